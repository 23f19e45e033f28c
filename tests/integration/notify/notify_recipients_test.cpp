// Several chats of one run, and chats that are named @channelname.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class NotifyRecipients : public NotifyFixture {
protected:
    std::int64_t id_of(std::string_view recipient) {
        return std::stoll(value(fmt::format(
            "SELECT id FROM runledger.notifications WHERE recipient = '{}' ORDER BY id DESC LIMIT 1", recipient)));
    }
};

TEST_F(NotifyRecipients, AreSentToByTheNameOfTheirChannel) {
    const auto id = there_is({.recipient = "@some_channel"});

    start();
    becomes(id, "sent");

    EXPECT_THAT(bot_api_->sent_to("@some_channel"), SizeIs(1));
    EXPECT_THAT(log_.lines_with("notification sent").at(0), HasSubstr("chat=@some_channel"));
}

TEST_F(NotifyRecipients, AreGivenUpIfTelegramKnowsNoSuchChannel) {
    bot_api_->script({.answer = BotAnswer::bad_request(), .calls = -1, .chat_id = "@no_such"});
    const auto unknown = there_is({.recipient = "@no_such"});
    const auto known = there_is({.recipient = "@some_channel"});

    start();
    becomes(unknown, "dead");
    becomes(known, "sent");

    EXPECT_THAT(row(unknown).last_error, HasSubstr("chat not found"));
}

TEST_F(NotifyRecipients, LoseOnlyTheMessagesOfTheChannelThatTheBotWasRemovedFrom) {
    bot_api_->script({.answer = BotAnswer::forbidden("Forbidden: bot is not a member of the channel chat"),
                      .calls = -1,
                      .chat_id = "@gone"});
    const auto first = there_is({.recipient = "@gone"});
    const auto second = there_is({.recipient = "@gone"});
    const auto other = there_is({.recipient = "@here"});

    start();
    becomes(first, "dead");
    becomes(second, "dead");
    becomes(other, "sent");
}

TEST_F(NotifyRecipients, AreKeptInOrderByEachChatAlone) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = -1, .chat_id = "42"});
    config_.retry_delay_min = config_.retry_delay_max = std::chrono::minutes{5};
    const auto stuck = there_is({.chat_id = 42, .generation_id = 7, .recipient = "42"});
    const auto ending = there_is({.chat_id = 43, .generation_id = 7, .recipient = "43"});
    const auto correction =
        there_is({.chat_id = 43, .kind = "correction", .for_status = "failed", .generation_id = 7, .recipient = "43"});

    start();
    becomes(ending, "sent");
    becomes(correction, "sent");

    EXPECT_EQ(row(stuck).state, "pending");
    EXPECT_LT(*row(ending).message_id, *row(correction).message_id);
}

TEST_F(NotifyRecipients, EachGetTheEndingOfTheRun) {
    settle_somewhere(R"(, "telegramMessageId": 5, "notificationContext": {"platform": "telegram",
        "chatId": ["@channel", {}], "messageThreadId": "7", "replyToMessageId": "x"})");

    start();
    eventually("both are told", [&] { return count_in_state({"sent"}) == 2; });

    EXPECT_THAT(bot_api_->sent_to("42").at(0).fields.get("reply_parameters"), HasSubstr("\"message_id\":5"));
    EXPECT_EQ(bot_api_->sent_to("@channel").at(0).fields.get("message_thread_id"), "7");
    EXPECT_THAT(row(id_of("@channel")).last_error,
                HasSubstr("metadata.notificationContext.replyToMessageId is no positive whole number"));
    EXPECT_EQ(row(id_of("42")).last_error, "");
    EXPECT_EQ(value("SELECT state FROM runledger.notifications WHERE recipient = "
                    "'metadata.notificationContext.chatId[1]'"),
              "skipped");
}

TEST_F(NotifyRecipients, OfAnotherPlatformAreLeftToItsChannel) {
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload, state, recipient) "
        "VALUES (1, 'r', 'ending', '', '{}', 'elsewhere', 'platform discord')");
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    EXPECT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(count_in_state({"elsewhere"}), 1);
}

}  // namespace
}  // namespace runledger::test
