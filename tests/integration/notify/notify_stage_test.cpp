// What the notify stage does with each answer, on a real PostgreSQL and the stand-in Bot API.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view failed_payload =
    R"({"status": "failed", "status_reason": "CUDA <out> of memory", "duration_ms": null, "outputs": []})";
constexpr std::string_view duplicate_mark = "Possibly a duplicate";

class NotifyStage : public NotifyFixture {};

TEST_F(NotifyStage, SendsAPictureOnce) {
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");
    stop();

    const auto calls = sends();
    ASSERT_THAT(calls, SizeIs(1));
    EXPECT_EQ(calls[0].method, "sendPhoto");
    EXPECT_EQ(calls[0].chat_id, "42");
    EXPECT_EQ(calls[0].fields.get("photo"), picture_url(1));
    EXPECT_EQ(calls[0].fields.get("caption"), "Finished in 12.3 s");
    const auto sent = row(id);
    EXPECT_EQ(sent.message_id, calls[0].message_ids.front());
    EXPECT_EQ(sent.attempts, 1);
    EXPECT_EQ(sent.last_error, "");
    EXPECT_FALSE(sent.is_leased);
    EXPECT_THAT(log_.lines_with("notification sent"),
                ElementsAre(HasSubstr(fmt::format("notification={} run_id=\"run-1\" chat=42", id))));
}

TEST_F(NotifyStage, SendsAFailureAsText) {
    const auto id = there_is({.payload = std::string(failed_payload)});

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMessage");
    EXPECT_EQ(sends()[0].fields.get("text"), "Failed: CUDA &lt;out&gt; of memory\n<code>run-1</code>");
}

TEST_F(NotifyStage, SendsAnAlbumAndKeepsItsFirstMessagesId) {
    const auto id = there_is(
        {.payload =
             R"({"status": "completed", "outputs": [{"images": ["https://h.example/1.png", "https://h.example/2.png"]}]})"});

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMediaGroup");
    ASSERT_THAT(sends()[0].message_ids, SizeIs(2));
    EXPECT_EQ(row(id).message_id, sends()[0].message_ids.front());
}

TEST_F(NotifyStage, WaitsUntilANotificationIsDue) {
    const auto later = there_is_a_picture();
    execute("UPDATE runledger.notifications SET not_before = now() + interval '1 hour'");
    const auto now = there_is_a_picture();

    start();
    becomes(now, "sent");
    execute("UPDATE runledger.notifications SET not_before = now() WHERE state = 'pending'");
    becomes(later, "sent");

    EXPECT_EQ(sends()[0].fields.get("photo"), picture_url(2));
}

TEST_F(NotifyStage, IsWokenWithoutWaitingForItsPoll) {
    tuning_.poll_interval = std::chrono::hours{1};
    start();
    eventually("the token is checked", [&] { return !log_.lines_with("accepts the token").empty(); });

    const auto id = there_is_a_picture();
    eventually("a wake-up sends it", [&] {
        notifier_->wake();  // The first may fall between a look and the wait, and is then kept for it.
        return row(id).state == "sent";
    });
}

TEST_F(NotifyStage, HoldsAChatAsLongAsTelegramSays) {
    bot_api_->script({.answer = BotAnswer::too_many_requests(1), .chat_id = "42"});
    const auto held = there_is_a_picture(42);
    const auto behind_it = there_is_a_picture(42);
    const auto other = there_is_a_picture(43);

    start();
    becomes(other, "sent");
    becomes(held, "sent");
    becomes(behind_it, "sent");

    const auto refused = bot_api_->refused();
    ASSERT_THAT(refused, SizeIs(1));
    ASSERT_THAT(bot_api_->sent_to("42"), SizeIs(2));
    for (const BotCall& call : bot_api_->sent_to("42")) {
        EXPECT_GE(call.at - refused[0].at, seconds{1});
    }
    EXPECT_EQ(row(held).attempts, 1) << "a 429 costs no attempt";
    EXPECT_EQ(counters().too_many_requests, 1U);
    EXPECT_GT(counters().last_too_many_requests_at, 0);
}

TEST_F(NotifyStage, GivesUpOnAChatThatBlockedTheBot) {
    bot_api_->script({.answer = BotAnswer::forbidden(), .chat_id = "42"});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "dead");

    EXPECT_EQ(row(id).last_error, "403 Forbidden: bot was blocked by the user");
    EXPECT_THAT(sends(), SizeIs(1));
    expect_counted("dead", counters().dead, 1);
    eventually("none is in flight", [&] { return counters().in_flight == 0U; });
}

TEST_F(NotifyStage, TriesAgainAfterServerErrors) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 4});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    EXPECT_THAT(sends(), SizeIs(5));
    EXPECT_EQ(row(id).attempts, 5);
    EXPECT_EQ(row(id).uncertain_attempts, 0);
    EXPECT_EQ(times_accepted(duplicate_mark), 0U);
    EXPECT_EQ(counters().retried, 4U);
}

TEST_F(NotifyStage, GivesUpAfterTheLastAttempt) {
    config_.attempts_max = 3;
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = -1});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "dead");

    EXPECT_THAT(sends(), SizeIs(3));
    EXPECT_THAT(row(id).last_error, HasSubstr("after 3 attempts: 502"));
}

TEST_F(NotifyStage, SaysInTextWhatTelegramCantFetch) {
    bot_api_->script(
        {.answer = BotAnswer::bad_request("Bad Request: wrong file identifier/HTTP URL specified"), .calls = 2});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    const auto calls = sends();
    ASSERT_THAT(calls, SizeIs(3));
    EXPECT_EQ(calls[1].method, "sendDocument");
    EXPECT_EQ(calls[2].method, "sendMessage");
    EXPECT_THAT(calls[2].fields.get("text"), HasSubstr(fmt::format("<a href=\"{}\">a.png</a>", picture_url(1))));
    EXPECT_EQ(row(id).attempts, 1);
    EXPECT_THAT(row(id).last_error, HasSubstr("wrong file identifier"));
}

TEST_F(NotifyStage, SendsAsAFileWhatIsNoPictureToTelegram) {
    bot_api_->script(
        {.answer = BotAnswer::bad_request("Bad Request: PHOTO_INVALID_DIMENSIONS"), .method = "sendPhoto"});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(2));
    EXPECT_EQ(sends()[1].method, "sendDocument");
    EXPECT_EQ(sends()[1].fields.get("document"), picture_url(1));
    EXPECT_EQ(sends()[1].fields.get("caption"), "Finished in 12.3 s");
}

TEST_F(NotifyStage, SaysInTextWhereNoPicturesMayBePosted) {
    bot_api_->script(
        {.answer = BotAnswer::bad_request("Bad Request: not enough rights to send photos to the chat"), .calls = 1});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(2));
    EXPECT_EQ(sends()[1].method, "sendMessage");
}

TEST_F(NotifyStage, SendsManyPicturesAsAlbumsOfTen) {
    const auto id = there_is({.payload = pictures_payload(23)});

    start();
    becomes(id, "sent");

    const auto sent = bot_api_->sent_to("42");
    ASSERT_THAT(sent, SizeIs(3));
    EXPECT_THAT(sent[0].message_ids, SizeIs(10));
    EXPECT_THAT(sent[1].message_ids, SizeIs(10));
    EXPECT_THAT(sent[2].message_ids, SizeIs(3));
    EXPECT_EQ(row(id).message_id, sent[0].message_ids.front());
    EXPECT_EQ(counters().sent, 1U);
}

TEST_F(NotifyStage, GoesOnAfterThePartsThatArrived) {
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{0}), .calls = 1});
    bot_api_->script({.answer = BotAnswer::accept_then_drop(), .calls = 1});
    const auto id = there_is({.payload = pictures_payload(23)});

    start();
    becomes(id, "sent");

    const auto sent = bot_api_->sent_to("42");
    ASSERT_THAT(sent, SizeIs(4));
    EXPECT_FALSE(sent[0].mentions(duplicate_mark));
    EXPECT_TRUE(sent[2].mentions(duplicate_mark)) << "the second album, once more";
    EXPECT_TRUE(sent[2].mentions("/20.png"));
    EXPECT_FALSE(sent[3].mentions(duplicate_mark));
    EXPECT_THAT(sent[3].message_ids, SizeIs(3));
}

TEST_F(NotifyStage, SaysThatALinkHasExpired) {
    const auto id =
        there_is({.payload = picture_payload(
                      "https://h.example/a.png?X-Amz-Date=20240101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=s")});

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMessage");
    EXPECT_THAT(sends()[0].fields.get("text"), HasSubstr("links have expired"));
}

TEST_F(NotifyStage, SkipsWhatHasWaitedTooLong) {
    config_.not_after = seconds{60};
    const auto late = there_is_a_picture(1);
    const auto late_and_perhaps_there = there_is_a_picture(2);
    const auto fresh = there_is_a_picture(3);
    execute("UPDATE runledger.notifications SET waits_since = now() - interval '2 minutes' WHERE chat_id < 3");
    execute("UPDATE runledger.notifications SET uncertain_attempts = 1 WHERE chat_id = 2");

    start();
    becomes(fresh, "sent");

    EXPECT_EQ(row(late).state, "skipped");
    EXPECT_THAT(row(late).last_error, HasSubstr("not_after"));
    EXPECT_EQ(row(late_and_perhaps_there).state, "uncertain");
    EXPECT_THAT(sends(), SizeIs(1));
    expect_counted("expired", counters().expired, 1);
}

TEST_F(NotifyStage, GivesUpWhatElseWaitsForAChatThatBlockedTheBot) {
    bot_api_->script({.answer = BotAnswer::forbidden(), .calls = 1, .chat_id = "42"});
    const auto first = there_is_a_picture(42);
    const auto second = there_is_a_picture(42);
    const auto maybe_there = there_is_a_picture(42);
    execute(fmt::format("UPDATE runledger.notifications SET uncertain_attempts = 1 WHERE id = {}", maybe_there));

    start();
    becomes(first, "dead");
    becomes(second, "dead");
    becomes(maybe_there, "uncertain");
    const auto later = there_is_a_picture(42);
    becomes(later, "sent");

    EXPECT_THAT(row(second).last_error, HasSubstr("blocked by the user (to another message in this chat)"));
    EXPECT_THAT(sends(), SizeIs(2)) << "the person may have come back, so what is made later is tried";
    expect_counted("dead", counters().dead, 2);
    EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', kind, chat_id, detail), ', ' ORDER BY kind, news_id) "
                    "FROM runledger.application_news_v1"),
              "chat_refused 42 403 Forbidden: bot was blocked by the user, "
              "message_dead 42 403 Forbidden: bot was blocked by the user, "
              "message_dead 42 403 Forbidden: bot was blocked by the user (to another message in this chat), "
              "message_uncertain 42 403 Forbidden: bot was blocked by the user (to another message in this chat)");
    EXPECT_EQ(value("SELECT refused_at IS NOT NULL FROM runledger.telegram_chats WHERE chat_id = 42"), "t");
}

TEST_F(NotifyStage, KeepsAHoldThoughTheDaemonIsAnother) {
    bot_api_->script({.answer = BotAnswer::too_many_requests(2), .chat_id = "42"});
    const auto held = there_is_a_picture(42);
    const auto behind_it = there_is_a_picture(42);
    start();
    eventually("the 429 is stored", [&] { return !row(held).last_error.empty(); });
    stop();

    start();
    becomes(behind_it, "sent");

    ASSERT_THAT(bot_api_->refused(), SizeIs(1));
    ASSERT_THAT(bot_api_->sent_to("42"), SizeIs(2));
    EXPECT_GE(bot_api_->sent_to("42").front().at - bot_api_->refused().front().at, seconds{2});
}

TEST_F(NotifyStage, FollowsAGroupToItsNewId) {
    bot_api_->script({.answer = BotAnswer::migrated("-1001234567890123"), .calls = -1, .chat_id = "-5"});
    const auto id = there_is_a_picture(-5);

    start();
    becomes(id, "sent");

    EXPECT_THAT(bot_api_->sent_to("-1001234567890123"), SizeIs(1));
    EXPECT_EQ(row(id).chat_id, -1001234567890123);
}

TEST_F(NotifyStage, WritesToTheNewIdFromThenOn) {
    bot_api_->script({.answer = BotAnswer::migrated("-1001234567890123"), .calls = 1, .chat_id = "-5"});
    const auto first = there_is_a_picture(-5);
    const auto behind_it = there_is_a_picture(-5);

    start();
    becomes(first, "sent");
    becomes(behind_it, "sent");
    settle_somewhere(R"(, "telegramChatId": -5)");
    all_become_sent();

    EXPECT_THAT(bot_api_->refused(), SizeIs(1)) << "told once, stored for good";
    EXPECT_THAT(bot_api_->sent_to("-1001234567890123"), SizeIs(3));
    EXPECT_EQ(row(behind_it).chat_id, -1001234567890123);
}

TEST_F(NotifyStage, PostsIntoTheTopicAndAnswersTheMessageOfTheMetadata) {
    settle_somewhere(R"(, "message_thread_id": 7, "reply_to_message_id": "99")");
    start();
    all_become_sent();

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].fields.get("message_thread_id"), "7");
    EXPECT_THAT(sends()[0].fields.get("reply_parameters"), HasSubstr("99"));
}

// A run without outputs whose `running` came behind its `success`, as after an outage: it is settled twice, and the
// first settlement knows no duration.
class NewerSettlement : public NotifyFixture {
protected:
    void success_arrives() {
        execute(R"(
            INSERT INTO runledger.generations (id, metadata)
            VALUES (500, '{"run_id": "late", "telegramChatId": 42, "message_thread_id": 7}');
            INSERT INTO runledger.runs (run_id, terminal_status, finished_at, finished_boot_id, finished_boottime_us,
                finished_redelivered, finished_digest, latest_at, latest_boot_id, latest_boottime_us,
                latest_redelivered, latest_digest, latest_status, first_received_at, event_count)
            SELECT 'late', 'success', now(), boot, 50000000, false, 1, now(), boot, 50000000, false, 1, 'success',
                now(), 1 FROM gen_random_uuid() AS boot;)");
        settle();
        ASSERT_EQ(value("SELECT payload ->> 'duration_ms' FROM runledger.notifications"), "NULL");
    }
    void running_arrives() {
        execute(R"(
            UPDATE runledger.runs SET running_at = finished_at - interval '40.141794 seconds',
                running_boot_id = finished_boot_id, running_boottime_us = finished_boottime_us - 40141794,
                running_redelivered = false)");
        settle();
        ASSERT_EQ(value("SELECT duration_ms FROM runledger.generations"), "40141.794");
    }
    // What was sent to the chat.
    [[nodiscard]] std::vector<std::string> texts() const {
        std::vector<std::string> texts;
        for (const BotCall& call : bot_api_->sent_to("42")) {
            texts.push_back(call.fields.get("text"));
        }
        return texts;
    }

private:
    void settle() { execute("SELECT runledger.settle_run('late', interval '0.5 seconds', interval '1 day')"); }
};

TEST_F(NewerSettlement, IsWhatAMessageSaysThatWaited) {
    success_arrives();
    running_arrives();

    start();
    all_become_sent();

    EXPECT_THAT(texts(), ElementsAre(AllOf(HasSubstr("Finished in 40.1 s"), HasSubstr("no outputs"))));
    EXPECT_EQ(sends()[0].fields.get("message_thread_id"), "7");
    EXPECT_EQ(value("SELECT payload ->> 'duration_ms' FROM runledger.notifications"), "40141.794");
}

TEST_F(NewerSettlement, IsWhatAMessageSaysThatIsTriedAgain) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 1000});  // Until that is cleared.
    success_arrives();
    start();
    eventually("it was tried", [&] { return !bot_api_->refused().empty(); });

    running_arrives();
    bot_api_->clear_script();
    all_become_sent();

    EXPECT_THAT(texts(), ElementsAre(HasSubstr("Finished in 40.1 s")));
}

TEST_F(NewerSettlement, IsNotWhatAMessageSaysThatHasBegun) {
    success_arrives();
    execute("UPDATE runledger.notifications SET parts_sent = 1");
    running_arrives();

    EXPECT_EQ(value("SELECT runledger.newest_notice(n) = n.payload FROM runledger.notifications AS n"), "t");
}

TEST_F(NotifyStage, NeverLetsACorrectionOvertakeTheEnding) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 2});
    const auto ending = there_is({.generation_id = 77});
    const auto correction = there_is(
        {.payload = std::string(failed_payload), .kind = "correction", .for_status = "failed", .generation_id = 77});

    start();
    becomes(correction, "sent");

    const auto sent = bot_api_->sent_to("42");
    ASSERT_THAT(sent, SizeIs(2));
    EXPECT_EQ(sent[0].method, "sendPhoto");
    EXPECT_THAT(sent[1].fields.get("text"), HasSubstr("Correction: Failed"));
    EXPECT_EQ(row(ending).attempts, 3);
}

TEST_F(NotifyStage, SkipsAFollowUpWithNothingToShow) {
    const auto id = there_is(
        {.payload = R"({"status": "completed", "outputs": [{"data": {"images": [true]}}]})", .kind = "follow_up"});

    start();
    becomes(id, "skipped");

    EXPECT_THAT(sends(), IsEmpty());
    EXPECT_EQ(counters().skipped, 1U);
}

TEST_F(NotifyStage, PutsAPayloadThatCantBeReadAside) {
    const auto broken = there_is({.payload = R"({"status": 7})"});
    const auto whole = there_is_a_picture();

    start();
    becomes(broken, "dead");
    becomes(whole, "sent");

    EXPECT_EQ(row(broken).last_error, "the payload can't be read");
}

TEST_F(NotifyStage, KeepsEverythingWhileTheTokenIsRefused) {
    const auto port = bot_api_->port();
    bot_api_.reset();
    bot_api_ = std::make_unique<BotApi>(BotApiOptions{.port = port, .token = "100:another"});
    for (int chat = 1; chat <= 5; ++chat) {
        there_is_a_picture(chat);
    }

    start();
    eventually("the refusal is seen", [&] { return counters().token_is_refused.load(); });
    const auto asked = [&] { return bot_api_->calls().size() - sends().size(); };
    eventually("it is asked about again", [&] { return asked() >= 2; });
    EXPECT_EQ(count_in_state({"dead", "uncertain", "sent"}), 0);
    EXPECT_THAT(log_.lines_with("telegram refuses the token"), Not(IsEmpty()));
    EXPECT_LE(sends().size(), 1U) << "nothing is sent";
    bot_api_.reset();
    bot_api_ = std::make_unique<BotApi>(BotApiOptions{.port = port, .token = std::string(token)});
    all_become_sent();

    EXPECT_FALSE(counters().token_is_refused);
    EXPECT_THAT(sends(), SizeIs(5));
    for (std::int64_t id = 1; id <= 5; ++id) {
        EXPECT_EQ(row(id).attempts, 1) << "a refused token costs no attempt";
    }
}

TEST_F(NotifyStage, ResumesWhenTheTokenFileChanges) {
    const TempFolder folder;
    config_.token_file = folder.write_secret("token", "100:wrong-test-token\n").string();
    config_.token = Secret("100:wrong-test-token");
    tuning_.token_retry = std::chrono::hours{1};
    tuning_.token_watch = milliseconds{50};
    const auto id = there_is_a_picture();
    start();
    eventually("the refusal is seen", [&] { return counters().token_is_refused.load(); });
    (void)folder.write_file("token", "");  // Whoever writes it may be at it.
    (void)folder.write_secret("token", std::string(token) + "\n");

    becomes(id, "sent");

    EXPECT_FALSE(counters().token_is_refused.load());
    EXPECT_THAT(log_.lines_with("telegram accepts the token again"), SizeIs(1));
    EXPECT_EQ(row(id).attempts, 1);
}

TEST_F(NotifyStage, WritesToTheLogInModeLog) {
    config_.mode = TelegramMode::log;
    config_.token = Secret{};
    const auto one = there_is({.payload = picture_payload("https://h.example/a.png?X-Amz-Signature=sesame")});
    const auto many =
        there_is({.payload = R"({"status": "completed", "outputs": [{"text": ["two\nlines"]},)"
                             R"( {"files": ["https://h.example/b.mp4?sesame", "https://h.example/c.mp3?sesame"]}]})"});

    start();
    becomes(one, "logged");
    becomes(many, "logged");

    EXPECT_THAT(bot_api_->calls(), IsEmpty());
    EXPECT_EQ(row(one).message_id, std::nullopt);
    EXPECT_THAT(row(one).last_error, HasSubstr("mode"));
    const auto lines = log_.lines_with("notification written to the log only");
    ASSERT_THAT(lines, SizeIs(3));
    EXPECT_THAT(lines[0], AllOf(HasSubstr("[info]"), HasSubstr("chat=42 method=sendPhoto text=\"Finished in 12.3 s\""),
                                HasSubstr("media=\"https://h.example/a.png?…\"")));
    EXPECT_THAT(lines[1],
                AllOf(HasSubstr("method=sendVideo"), HasSubstr("two lines"), HasSubstr("https://h.example/b.mp4?…")));
    EXPECT_THAT(log_.lines_with("sesame"), IsEmpty());
    EXPECT_EQ(counters().logged, 2U);
    EXPECT_EQ(counters().sent, 0U);
}

}  // namespace
}  // namespace runledger::test
