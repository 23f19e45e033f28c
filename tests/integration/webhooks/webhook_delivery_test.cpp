// How webhooks are delivered: signed, at least once, by one id, in order within a run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <thread>

#include "daemon/database/libpqxx.hpp"
#include "queries/outbox.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class WebhookDelivery : public WebhookFixture {};

TEST_F(WebhookDelivery, SignsASettledRunAndTellsIt) {
    start_sender();
    const std::string run = settle();
    all_are_delivered();

    const auto received = receiver_.received();
    ASSERT_THAT(received, SizeIs(1));
    EXPECT_EQ(received[0].path, "/hook");
    EXPECT_EQ(received[0].content_type, "application/json");
    EXPECT_THAT(received[0].id, testing::MatchesRegex("msg_[0-9a-f]{32}"));
    EXPECT_NEAR(std::stod(received[0].timestamp), static_cast<double>(time(nullptr)), 60);
    EXPECT_TRUE(is_signed_with(received[0], secret_text));
    EXPECT_FALSE(is_signed_with(received[0], other_secret_text));
    EXPECT_THAT(told_of(run), ElementsAre("failed"));
    EXPECT_EQ(webhook_of(run, "state || ' ' || attempts || ' ' || answer_status || ' ' || webhook_id"),
              "sent 1 200 " + received[0].id);
    EXPECT_EQ(sent().delivered, 1U);
}

TEST_F(WebhookDelivery, TellsNothingOfWhatIsSettledWhileWebhooksAreOff) {
    settings_ = {};
    start_sender();
    (void)settle();

    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications WHERE channel = 'webhook'"), "0");
}

TEST_F(WebhookDelivery, SendsEachTryByTheSameIdWithItsOwnTime) {
    receiver_.script({.answer = {.status = 500, .body = "out of order"}, .times = 2});
    start_sender();
    const std::string run = settle();
    all_are_delivered();

    const auto received = receiver_.received();
    ASSERT_THAT(received, SizeIs(3));
    for (const ReceivedWebhook& each : received) {
        EXPECT_EQ(each.id, received[0].id);
        EXPECT_EQ(each.body, received[0].body);
        EXPECT_TRUE(is_signed_with(each, secret_text));
    }
    EXPECT_EQ(webhook_of(run, "attempts"), "3");
    EXPECT_EQ(sent().retried, 2U);
    EXPECT_THAT(log_.lines_with("webhook postponed"), SizeIs(2));
}

TEST_F(WebhookDelivery, KeepsTheOrderWithinARunAndHoldsNoOther) {
    start_sender();
    const std::string held = settle();
    all_are_delivered();
    // The next one is refused; those behind it would be accepted.
    receiver_.script({.answer = {.status = 400}, .times = -1, .mention = "\"status\": \"completed\""});

    settle_again(held, "success");
    settle_again(held, "cancelled");
    settle_again(held, "failed");
    const std::string free = settle();
    eventually("the other run is told", [&] { return told_of(free).size() == 1; });
    eventually("the next one is tried again", [&] { return sent().retried >= 3; });
    EXPECT_THAT(told_of(held), ElementsAre("failed"));
    receiver_.clear_script();
    all_are_delivered();

    EXPECT_THAT(told_of(held), ElementsAre("failed", "completed", "cancelled", "failed"));
}

TEST_F(WebhookDelivery, TellsOfAReopenedRowAndOfTheRunThatItNamesNow) {
    start_sender();
    const std::string first = settle();
    execute(
        fmt::format("UPDATE runledger.generations SET metadata = metadata || '{{\"run_id\": \"another\"}}' "
                    "WHERE run_id = '{0}'; UPDATE runledger.runs SET run_id = 'another' WHERE run_id = '{0}';"
                    "SELECT runledger.settle_run('another', interval '3 seconds', interval '1 day')",
                    first));
    all_are_delivered();

    const auto accepted = receiver_.accepted();
    ASSERT_THAT(accepted, SizeIs(3));
    EXPECT_THAT(accepted[1].body, HasSubstr("generation.reopened"));
    EXPECT_THAT(told_of(first), ElementsAre("failed", "pending"));
    EXPECT_THAT(accepted[2].body, HasSubstr("\"another\""));
}

TEST_F(WebhookDelivery, GivesUpAfter410AndSendsTheNext) {
    receiver_.script({.answer = {.status = 410, .body = "no more"}});
    start_sender();
    const std::string run = settle();
    eventually("it is given up", [&] { return count_webhooks("dead") == 1; });

    EXPECT_EQ(webhook_of(run, "last_error"), "HTTP 410: no more");
    EXPECT_EQ(sent().gone, 1U);
    const std::string next = settle();
    eventually("the next is told", [&] { return told_of(next).size() == 1; });
}

TEST_F(WebhookDelivery, WaitsForAsLongAsTheReceiverAsksAndNoLongerThanItsBound) {
    settings_.retry_after_max = seconds{1};
    receiver_.script({.answer = {.status = 429, .retry_after_seconds = 3600}});
    start_sender();
    (void)settle();
    eventually("it is held", [&] { return sent().held == 1; });
    (void)settle();  // The host waits, so this one does, too.
    all_are_delivered();

    const auto received = receiver_.received();
    ASSERT_THAT(received, SizeIs(3));
    EXPECT_GE(received[1].at - received[0].at, milliseconds{900});
    EXPECT_GE(received[2].at - received[0].at, milliseconds{900});
    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_hosts"), "0");
}

TEST_F(WebhookDelivery, FollowsNoRedirect) {
    receiver_.script({.answer = {.status = 307, .location = receiver_.url("/elsewhere")}});
    start_sender();
    (void)settle();
    all_are_delivered();

    for (const ReceivedWebhook& each : receiver_.received()) {
        EXPECT_EQ(each.path, "/hook");
    }
    EXPECT_THAT(receiver_.received(), SizeIs(2));
}

TEST_F(WebhookDelivery, ReadsAKilobyteOfAnAnswerAndStoresNoMore) {
    constexpr std::size_t fifty_megabytes = 50'000'000;
    receiver_.script({.answer = {.status = 500, .body_bytes = fifty_megabytes}});
    receiver_.script({.answer = {.status = 200, .body_bytes = fifty_megabytes}});
    start_sender();
    const std::string run = settle();
    eventually("it is retried", [&] { return sent().retried == 1; });
    EXPECT_THAT(log_.lines_with("HTTP 500: xxx"), SizeIs(1));
    EXPECT_LT(log_.lines_with("HTTP 500: xxx").front().size(), 1500U);
    all_are_delivered();

    EXPECT_EQ(webhook_of(run, "attempts"), "2");
}

TEST_F(WebhookDelivery, RetriesASlowReceiverAfterItsTimeout) {
    settings_.timeout = milliseconds{300};
    receiver_.script({.answer = {.delay = seconds{30}}});
    start_sender();
    (void)settle();
    all_are_delivered();

    ASSERT_THAT(receiver_.received(), SizeIs(2));
    EXPECT_EQ(receiver_.received()[0].id, receiver_.received()[1].id);
}

TEST_F(WebhookDelivery, SendsSeveralAtATimeAndNoMoreThanAreAllowed) {
    settings_.concurrency = 3;
    receiver_.script({.answer = {.delay = milliseconds{100}}, .times = 20});
    for (int i = 0; i < 20; ++i) {
        (void)settle();
    }
    EXPECT_EQ(count_webhooks("pending"), 0) << "webhooks are off until a daemon says otherwise";
    start_sender();
    for (int i = 0; i < 20; ++i) {
        (void)settle();
    }
    all_are_delivered();

    EXPECT_EQ(receiver_.under_way_most(), 3U);
}

TEST_F(WebhookDelivery, RotatesSecretsWithoutAnEventThatNeitherVerifies) {
    start_sender();
    (void)settle();
    all_are_delivered();
    const std::string both = fmt::format("{}\n{}", other_secret_text, secret_text);
    settings_.secrets = secrets(both);
    sender_->use(settings_);
    eventually("the new secrets are used", [&] { return !log_.lines_with("by the new configuration").empty(); });
    (void)settle();
    all_are_delivered();
    settings_.secrets = secrets(other_secret_text);
    sender_->use(settings_);
    eventually("the old secret is gone", [&] { return log_.lines_with("by the new configuration").size() == 2; });
    (void)settle();
    all_are_delivered();

    const auto received = receiver_.received();
    ASSERT_THAT(received, SizeIs(3));
    EXPECT_TRUE(is_signed_with(received[0], secret_text));
    EXPECT_TRUE(is_signed_with(received[1], secret_text) && is_signed_with(received[1], other_secret_text));
    EXPECT_TRUE(is_signed_with(received[2], other_secret_text) && !is_signed_with(received[2], secret_text));
}

TEST_F(WebhookDelivery, GivesUpWhatHasWaitedTooLongAndTheOperatorSendsItAgainByItsId) {
    receiver_.goes_away();
    start_sender();
    const std::string run = settle();
    const std::string id = webhook_of(run, "webhook_id");
    eventually("it is tried", [&] { return sent().retried > 0; });
    execute("UPDATE runledger.notifications SET waits_since = now() - interval '4 days' WHERE channel = 'webhook'");
    eventually("it is given up", [&] { return count_webhooks("dead") == 1; });

    EXPECT_THAT(webhook_of(run, "last_error"), HasSubstr("given up after [webhooks] give_up_days: no answer"));
    eventually("it is counted, behind its COMMIT", [&] { return sent().expired > 0; });
    EXPECT_EQ(sent().expired, 1U);
    EXPECT_EQ(value("SELECT channel || webhook_host FROM runledger.failed_notifications_v1"), "webhook[webhooks] url");
    receiver_.comes_back();
    const auto connection = connect_to(uri_);
    pqxx::nontransaction operators(*connection);
    const std::optional<std::string> any;
    EXPECT_THAT(libpqxx::run(operators, queries::outbox::retry, any, any, any, any, any), SizeIs(1));
    all_are_delivered();
    EXPECT_EQ(receiver_.accepted().front().id, id);
}

TEST_F(WebhookDelivery, RefusesAnInnerAddressUnlessItIsAllowed) {
    settings_.url_is_inner = false;
    for (const char* url : {"https://127.0.0.1:{}/x", "https://127.1:{}/x", "https://2130706433:{}/x",
                            "https://0x7f.0.0.1:{}/x", "https://[::ffff:127.0.0.1]:{}/x", "https://localhost:{}/x"}) {
        const auto before = receiver_.received().size();
        settings_.url = fmt::format(fmt::runtime(url), receiver_.port());
        start_sender();
        const std::string run = settle();
        eventually("it is retried", [&] { return sent().retried > 0; });
        stop_sender();

        EXPECT_THAT(webhook_of(run, "last_error"), HasSubstr("not on the open Internet; url_is_inner = true")) << url;
        EXPECT_EQ(receiver_.received().size(), before);
        execute("DELETE FROM runledger.notifications; DELETE FROM runledger.webhook_hosts");
    }
}

TEST_F(WebhookDelivery, LosesNothingWhileItsReceiverIsAwayAndKeepsEachRunsOrder) {
    start_sender();
    (void)settle();
    all_are_delivered();
    receiver_.goes_away();
    std::vector<std::string> runs;
    for (int i = 0; i < 40; ++i) {
        runs.push_back(settle());
    }
    for (const std::string& run : runs) {
        settle_again(run, "success");
    }
    eventually("it is tried", [&] { return sent().retried > 5; });
    receiver_.comes_back();
    all_are_delivered();

    std::map<std::string, std::size_t> times;
    for (const ReceivedWebhook& each : receiver_.accepted()) {
        ++times[each.id];
    }
    EXPECT_EQ(times.size(), 81U) << "one id an event";
    for (const std::string& run : runs) {
        EXPECT_THAT(told_of(run), ElementsAre("failed", "completed"));
    }
}

// Fewer than a host may have at a time: what comes next waits for the end of gather_interval, in one transaction with
// what the attempts came to.
TEST_F(WebhookDelivery, LeasesAndStoresTogetherWhatComesWithinItsGatherInterval) {
    start_sender();
    eventually("webhooks are on", [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == "1"; });
    stop_sender();
    (void)settle();
    (void)settle();
    sender_tuning_.poll_interval = std::chrono::hours{1};
    sender_tuning_.gather_interval = std::chrono::hours{1};
    start_sender();
    eventually("both are accepted", [&] { return sent().delivered == 2; });
    (void)settle();
    sender_->wake();
    std::this_thread::sleep_for(milliseconds{200});
    EXPECT_EQ(count_webhooks("leased"), 2);
    EXPECT_EQ(count_webhooks("pending"), 1);

    stop_sender();
    EXPECT_EQ(count_webhooks("sent"), 2) << "an orderly end stores at once";
    sender_tuning_.gather_interval = milliseconds{300};
    start_sender();
    all_are_delivered();
    (void)settle();
    sender_->wake();
    all_are_delivered();
    EXPECT_THAT(receiver_.received(), SizeIs(4));
}

TEST_F(WebhookDelivery, StoresAndLeasesByOneCommit) {
    start_sender();
    receiver_.script({.answer = {.delay = std::chrono::seconds{1}}, .times = -1});
    settle_again(settle(), "success");  // The second one waits for the first.
    eventually("the second one is on its way", [&] { return receiver_.received().size() == 2; });

    EXPECT_EQ(value("SELECT string_agg(state, ' ' ORDER BY id) || ' ' || count(DISTINCT xmin::text) "
                    "FROM runledger.notifications WHERE channel = 'webhook'"),
              "sent leased 1");
    all_are_delivered();
}

TEST_F(WebhookDelivery, GathersNothingWhileAHostHasAllTheAttemptsThatItMayHave) {
    settings_.concurrency = 2;
    start_sender();
    eventually("webhooks are on", [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == "1"; });
    stop_sender();
    for (int i = 0; i < 9; ++i) {
        (void)settle();
    }
    sender_tuning_.poll_interval = std::chrono::hours{1};
    sender_tuning_.gather_interval = std::chrono::hours{1};
    start_sender();
    eventually("all are accepted", [&] { return sent().delivered == 9; });
}

}  // namespace
}  // namespace runledger::test
