// The order of a chat's messages: which earlier ones a message waits for, and which it passes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class NotifyOrder : public NotifyFixture {
protected:
    // The pictures that a chat has, in the order in which they came.
    [[nodiscard]] std::vector<std::string> pictures_in(std::string_view chat) const {
        std::vector<std::string> pictures;
        for (const BotCall& call : bot_api_->sent_to(chat)) {
            pictures.push_back(call.fields.get("photo"));
        }
        return pictures;
    }
};

TEST_F(NotifyOrder, IsKeptThoughAMessageWaitsForItsRetry) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 4, .chat_id = "42"});
    there_is_a_picture(42);
    there_is_a_picture(42);
    there_is_a_picture(42);

    start();
    all_become_sent();

    EXPECT_THAT(pictures_in("42"), ElementsAre(picture_url(1), picture_url(2), picture_url(3)));
}

TEST_F(NotifyOrder, IsKeptByADaemonThatDidNotSendTheFirst) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 1, .chat_id = "42"});
    config_.retry_delay_min = config_.retry_delay_max = std::chrono::seconds{2};
    const auto first = there_is_a_picture(42);
    start();
    eventually("the first attempt has failed",
               [&] { return row(first).state == "pending" && row(first).attempts == 1; });
    stop();
    there_is_a_picture(42);

    start();
    all_become_sent();

    EXPECT_THAT(pictures_in("42"), ElementsAre(picture_url(1), picture_url(2)));
}

// One message of a chat, not due for an hour, and what the row says of it; the next one of the chat is due.
struct Earlier {
    const char* name;
    const char* row;  // What UPDATE sets.
    bool keeps_its_place;
};
void PrintTo(const Earlier& earlier, std::ostream* out) { *out << earlier.name; }

class NotifyOrderByRow : public NotifyOrder, public testing::WithParamInterface<Earlier> {};

TEST_P(NotifyOrderByRow, Holds) {
    const auto earlier = there_is_a_picture(42);
    execute(fmt::format("UPDATE runledger.notifications SET not_before = now() + interval '1 hour', {} WHERE id = {}",
                        GetParam().row, earlier));
    const auto next = there_is_a_picture(42);
    const auto of_another_chat = there_is_a_picture(43);

    start();
    becomes(of_another_chat, "sent");  // Chats take turns, so that of 42 has been.
    if (GetParam().keeps_its_place) {
        EXPECT_EQ(row(next).state, "pending");
    } else {
        becomes(next, "sent");
    }
    execute("UPDATE runledger.notifications SET not_before = now() WHERE state = 'pending'");
    all_become_sent();

    EXPECT_EQ(pictures_in("42").front(), picture_url(GetParam().keeps_its_place ? 1 : 2));
    EXPECT_THAT(pictures_in("42"), SizeIs(2));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NotifyOrderByRow,
    testing::Values(Earlier{"failed_once", "attempts = 1, sending_at = now()", true},
                    Earlier{"failed_seven_times", "attempts = 7, sending_at = now()", true},
                    Earlier{"failed_eight_times", "attempts = 8, sending_at = now()", false},
                    Earlier{"given_back_for_the_pace_or_an_outage", "attempts = 0, sending_at = now()", true},
                    Earlier{"perhaps_arrived", "attempts = 1, uncertain_attempts = 1, sending_at = now()", true},
                    Earlier{"never_tried_and_waiting_for_outputs", "attempts = 0", false}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace runledger::test
