// Settings that change while messages are sent: each message is sent once, by the old ones or by the new ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SizeIs;

class NotifyChange : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        changed_ = config_;
        changed_.text.plain.set("completed", "It is done");
    }
    [[nodiscard]] std::string caption_to(std::string_view chat) const {
        const auto calls = bot_api_->sent_to(chat);
        return calls.size() == 1 ? calls[0].fields.get("caption") : std::to_string(calls.size()) + " calls";
    }

    TelegramSettings changed_;
};

TEST_F(NotifyChange, LetsTheCallInFlightEndByTheOldSettings) {
    bot_api_->script({.answer = BotAnswer::slow(seconds{1}), .chat_id = "42"});
    const auto in_flight = there_is_a_picture(42);
    start();
    eventually("the call is made", [&] { return times_accepted("https://") == 1; });

    notifier_->use(changed_);
    const auto next = there_is_a_picture(43);

    becomes(in_flight, "sent");
    becomes(next, "sent");
    EXPECT_EQ(caption_to("42"), "Finished in 12.3 s");
    EXPECT_EQ(caption_to("43"), "It is done");
    EXPECT_EQ(row(in_flight).attempts, 1);
    EXPECT_EQ(row(next).attempts, 1);
}

TEST_F(NotifyChange, GivesBackWhatWaitsForThePaceWithoutAnAttempt) {
    const auto slow = Limit{.messages = 1, .window = seconds{2}};
    tuning_.pace = runledger::PaceLimits{.bot = slow, .chat = slow, .group = slow};
    const auto first = there_is_a_picture(42);
    start();
    becomes(first, "sent");
    const auto waits = there_is_a_picture(43);

    notifier_->use(changed_);

    becomes(waits, "sent");
    EXPECT_EQ(caption_to("43"), "It is done");
    EXPECT_EQ(row(waits).attempts, 1);
    const auto calls = sends();
    ASSERT_THAT(calls, SizeIs(2));
    // Two seconds apart as they are sent; the first may reach the stand-in a little later.
    EXPECT_GE(calls[1].at - calls[0].at, milliseconds{1'900}) << "what was sent before the change counts in the pace";
}

TEST_F(NotifyChange, KeepsTheHoldThatTelegramAskedFor) {
    bot_api_->script({.answer = BotAnswer::too_many_requests(2), .chat_id = "42"});
    const auto held = there_is_a_picture(42);
    start();
    eventually("Telegram has asked", [&] { return counters().too_many_requests == 1; });

    notifier_->use(changed_);

    becomes(held, "sent");
    ASSERT_THAT(bot_api_->sent_to("42"), SizeIs(1));
    EXPECT_GE(bot_api_->sent_to("42")[0].at - bot_api_->refused()[0].at, seconds{2});
}

TEST_F(NotifyChange, SendsWhatComesAfterTheModeWasLog) {
    config_.mode = TelegramMode::log;
    const auto before = there_is_a_picture(42);
    start();
    becomes(before, "logged");

    notifier_->use(changed_);
    const auto after = there_is_a_picture(43);

    becomes(after, "sent");
    EXPECT_EQ(caption_to("43"), "It is done");
}

TEST_F(NotifyChange, AsksAboutANewTokenAtOnce) {
    config_.token = Secret("100:wrong-test-token");
    tuning_.token_retry = std::chrono::hours{1};
    const auto id = there_is_a_picture(42);
    start();
    eventually("the refusal is seen", [&] { return counters().token_is_refused.load(); });

    notifier_->use(changed_);

    becomes(id, "sent");
    EXPECT_FALSE(counters().token_is_refused.load());
}

TEST_F(NotifyChange, ComesAgainAndAgainUnderLoadWithoutLosingOrRepeatingAMessage) {
    constexpr int messages = 200;
    std::vector<std::int64_t> ids;
    for (int i = 0; i < messages; ++i) {
        ids.push_back(there_is_a_picture(1000 + i));
    }
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{5}), .calls = -1});
    start();

    int changes = 0;
    eventually(
        "all are sent",
        [&] {
            if (changes < 40) {
                notifier_->use(changes++ % 2 == 0 ? changed_ : config_);
            }
            return count_in_state({"sent"}) == messages;
        },
        seconds{60});

    EXPECT_GE(changes, 5);
    EXPECT_THAT(sends(), SizeIs(messages));
    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications WHERE attempts <> 1"), "0");
}

TEST_F(NotifyChange, WaitsForAPostgresThatIsAwayAndLosesNothing) {
    bot_api_->script({.answer = BotAnswer::slow(seconds{1}), .chat_id = "42"});
    const auto in_flight = there_is_a_picture(42);
    start();
    eventually("the call is made", [&] { return times_accepted("https://") == 1; });
    postgres().freeze();

    notifier_->use(changed_);
    // The answer comes meanwhile. Whether notify reads it at once depends on whether it was in a statement.
    std::this_thread::sleep_for(milliseconds{1'500});
    postgres().thaw();
    becomes(in_flight, "sent");  // A look that was under way by the old configuration is over, too.
    const auto next = there_is_a_picture(43);

    becomes(next, "sent");
    EXPECT_EQ(caption_to("42"), "Finished in 12.3 s");
    EXPECT_EQ(caption_to("43"), "It is done");
}

}  // namespace
}  // namespace runledger::test
