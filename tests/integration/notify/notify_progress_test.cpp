// The optional message that tells how a run is getting on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class NotifyProgress : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        config_.progress = true;
        config_.progress_interval = milliseconds{100};
        begins("r", "42");
    }

    void begins(const std::string& run_id, const std::string& chat) {
        execute(fmt::format(
            "INSERT INTO runledger.generations (id, metadata) VALUES (900 + (SELECT count(*) FROM "
            "runledger.generations), '{{\"run_id\": \"{0}\", \"telegramChatId\": {1}}}');"
            "INSERT INTO runledger.runs (run_id, running_at, running_boot_id, running_boottime_us, "
            "running_redelivered, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, "
            "latest_status, latest_progress, latest_live_status, first_received_at, event_count) VALUES ('{0}', now(), "
            "gen_random_uuid(), 1, false, now(), gen_random_uuid(), 1, false, 1, 'running', 0.25, 'Loading <model>', "
            "now(), 1)",
            run_id, chat));
    }

    void gets_on(double progress, const std::string& step) {
        execute(
            fmt::format("UPDATE runledger.runs SET latest_at = clock_timestamp(), latest_progress = {}, "
                        "latest_live_status = '{}'",
                        progress, step));
    }

    void ends() {
        execute(
            "UPDATE runledger.runs SET terminal_status = 'failed', finished_at = now(), finished_boot_id = "
            "gen_random_uuid(), finished_boottime_us = 1, finished_redelivered = false, finished_digest = 1;"
            "SELECT runledger.settle_run('r', interval '0', interval '1 day')");
    }

    std::vector<std::string> texts_in_the_chat() {
        std::vector<std::string> texts;
        for (const BotMessage& message : bot_api_->visible_in("42")) {
            texts.push_back(message.fields.get("text"));
        }
        return texts;
    }
};

TEST_F(NotifyProgress, IsOneMessageThatIsEditedAndGoesAfterTheEnding) {
    start();
    eventually("progress is told", [&] { return !texts_in_the_chat().empty(); });
    EXPECT_THAT(texts_in_the_chat(), ElementsAre("Working: Loading &lt;model&gt; (25 %)"));

    gets_on(0.5, "Sampling");
    eventually("it is edited", [&] { return texts_in_the_chat().front() == "Working: Sampling (50 %)"; });
    EXPECT_THAT(texts_in_the_chat(), SizeIs(1));

    ends();
    eventually("the ending stands alone", [&] {
        const auto texts = texts_in_the_chat();
        return texts.size() == 1 && texts.front().find("Failed") == 0;
    });
    const auto calls = bot_api_->accepted();
    EXPECT_EQ(calls.back().method, "deleteMessage") << "after the ending was told";
    eventually("the row goes, too", [&] { return value("SELECT count(*) FROM runledger.progress_messages") == "0"; });
}

// As its ending: nobody is notified about an adopted row.
TEST_F(NotifyProgress, IsNotToldOfAnAdoptedRow) {
    execute("UPDATE runledger.generations SET adopted_at = now()");
    begins("beside-it", "43");
    start();
    eventually("the other one is told", [&] { return !bot_api_->visible_in("43").empty(); });

    gets_on(0.5, "Sampling");
    eventually("it is told again",
               [&] { return bot_api_->visible_in("43").front().fields.get("text") == "Working: Sampling (50 %)"; });

    EXPECT_THAT(texts_in_the_chat(), IsEmpty());
    EXPECT_EQ(value("SELECT string_agg(run_id, ' ') FROM runledger.progress_messages"), "beside-it");
}

TEST_F(NotifyProgress, StaysUntilTheMessageAboutTheEndingWasSentThoughTheRecordNamesNobodyElsewhere) {
    execute("UPDATE runledger.generations SET metadata = metadata || '{\"telegramChatId\": [42, \"x\"]}'");
    start();
    eventually("progress is told", [&] { return !texts_in_the_chat().empty(); });
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 3, .method = "sendMessage"});

    ends();
    eventually("the ending stands alone", [&] {
        const auto texts = texts_in_the_chat();
        return texts.size() == 1 && texts.front().find("Failed") == 0;
    });

    EXPECT_EQ(bot_api_->accepted().back().method, "deleteMessage") << "after the ending was told";
}

// Then no message about the ending is written.
TEST_F(NotifyProgress, GoesThoughTheApplicationHasEndedTheRowItself) {
    start();
    eventually("the message is there", [&] { return bot_api_->visible_in("42").size() == 1; });

    execute("UPDATE runledger.generations SET status = 'cancelled' WHERE run_id = 'r'");
    ends();

    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications"), "0");
    eventually("it is gone", [&] { return bot_api_->visible_in("42").empty(); });
    eventually("it is forgotten", [&] { return value("SELECT count(*) FROM runledger.progress_messages") == "0"; });
}

TEST_F(NotifyProgress, IsToldInTheLanguageOfTheRecord) {
    config_.text.by_language["fr"].set("progress", "En cours");
    execute(
        "UPDATE runledger.generations SET metadata = metadata || '{\"notificationContext\": {\"language\": \"FR\"}}'");

    start();

    eventually("progress is told", [&] { return !texts_in_the_chat().empty(); });
    EXPECT_THAT(texts_in_the_chat(), ElementsAre("En cours"));
}

TEST_F(NotifyProgress, IsEditedAtMostOnceAnInterval) {
    config_.progress_interval = seconds{3};
    start();
    eventually("progress is told", [&] { return !texts_in_the_chat().empty(); });
    gets_on(0.5, "Sampling");
    eventually("it is edited", [&] { return texts_in_the_chat().front() == "Working: Sampling (50 %)"; });

    // The daemon looks every second. The interval begins a little before the first call.
    std::vector<std::chrono::system_clock::time_point> told_at;
    for (const BotCall& call : bot_api_->accepted()) {
        if (call.method != "getMe") {
            told_at.push_back(call.at);
        }
    }
    ASSERT_THAT(told_at, SizeIs(2));
    EXPECT_GE(told_at[1] - told_at[0], milliseconds{2500});
}

TEST_F(NotifyProgress, IsSentAnewWhereItWasDeletedByHand) {
    bot_api_->script(
        {.answer = BotAnswer::bad_request("Bad Request: message to edit not found"), .method = "editMessageText"});
    start();
    eventually("progress is told", [&] { return !texts_in_the_chat().empty(); });
    gets_on(0.5, "Sampling");

    eventually("a new one is sent", [&] { return texts_in_the_chat().size() == 2; });
    EXPECT_THAT(texts_in_the_chat().back(), HasSubstr("50 %"));
}

TEST_F(NotifyProgress, IsNotToldUnlessItIsWanted) {
    config_.progress = false;
    start();
    const auto other = there_is_a_picture(43);
    becomes(other, "sent");
    stop();  // After the turn that stored this, in which progress would have been looked for.

    EXPECT_THAT(texts_in_the_chat(), IsEmpty());
}

}  // namespace
}  // namespace runledger::test
