#include "daemon/notify/token_watch.hpp"

#include <gtest/gtest.h>

namespace runledger {
namespace {

using std::chrono::seconds;
using Action = TokenWatch::Action;

class TheTokenWatch : public testing::Test {
protected:
    const TokenWatch::Time start_{TokenWatch::Time{} + seconds{1000}};
    std::optional<Secret> file_{Secret("old")};
    TokenWatch watch_{{.token = Secret("old"),
                       .token_file = "/etc/token",
                       .retry = seconds{30},
                       .interval = seconds{1},
                       .read_file = [this](const std::string&) { return file_; }}};
};

TEST_F(TheTokenWatch, HasNothingToDoUntilTheTokenIsRefused) {
    EXPECT_FALSE(watch_.is_proven());
    EXPECT_FALSE(watch_.is_refused());
    EXPECT_EQ(watch_.look(start_), Action::none);
    EXPECT_EQ(watch_.next_look(), std::nullopt);

    EXPECT_FALSE(watch_.on_accepted()) << "it was not refused before";
    EXPECT_TRUE(watch_.is_proven());
}

TEST_F(TheTokenWatch, SaysOnceThatTheTokenIsRefused) {
    EXPECT_TRUE(watch_.on_refused(start_));
    EXPECT_FALSE(watch_.on_refused(start_));
    EXPECT_TRUE(watch_.is_refused());
    EXPECT_FALSE(watch_.is_proven());

    EXPECT_TRUE(watch_.on_accepted());
    EXPECT_FALSE(watch_.is_refused());
}

TEST_F(TheTokenWatch, AsksAboutARefusedTokenNowAndThen) {
    watch_.on_refused(start_);

    EXPECT_EQ(watch_.look(start_), Action::none);
    EXPECT_EQ(watch_.next_look(), start_ + seconds{1});
    EXPECT_EQ(watch_.look(start_ + seconds{29}), Action::none);
    EXPECT_EQ(watch_.look(start_ + seconds{30}), Action::ask);
    EXPECT_EQ(watch_.look(start_ + seconds{59}), Action::none);
    EXPECT_EQ(watch_.look(start_ + seconds{60}), Action::ask);
}

TEST_F(TheTokenWatch, TakesANewTokenFromItsFile) {
    watch_.on_refused(start_);
    ASSERT_EQ(watch_.look(start_), Action::none);
    file_ = Secret("new");

    EXPECT_EQ(watch_.look(start_ + seconds{1}), Action::ask_new_token);

    EXPECT_EQ(watch_.token().reveal(), "new");
    EXPECT_TRUE(watch_.is_refused()) << "until Telegram says otherwise";
    EXPECT_EQ(watch_.look(start_ + seconds{30}), Action::none) << "it was asked about a second ago";
    EXPECT_EQ(watch_.look(start_ + seconds{31}), Action::ask);
}

TEST_F(TheTokenWatch, TakesNoFileThatCantBeRead) {
    watch_.on_refused(start_);
    file_ = std::nullopt;

    EXPECT_EQ(watch_.look(start_), Action::none);
    EXPECT_EQ(watch_.token().reveal(), "old");
}

}  // namespace
}  // namespace runledger
