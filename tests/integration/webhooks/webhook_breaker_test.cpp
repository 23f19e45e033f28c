// A receiver that fails gets one webhook at a time, after growing pauses; the rows say so, whichever daemon asks.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::SizeIs;

class WebhookBreaker : public WebhookFixture {};

TEST_F(WebhookBreaker, SparesAReceiverThatFailsAndTriesItAgain) {
    settings_.breaker_failures = 3;
    settings_.concurrency = 2;
    settings_.breaker_delay_max = seconds{2};
    receiver_.script({.answer = {.status = 502}, .times = -1});
    start_sender();
    for (int i = 0; i < 50; ++i) {
        (void)settle();
    }
    eventually("the host is closed for a second", [&] {
        return value("SELECT closed_until > now() + interval '0.7 s' FROM runledger.webhook_hosts") == "t";
    });

    EXPECT_LT(receiver_.received().size(), 20U) << "of 50 that wait";
    eventually("the metric says so", [&] { return sent().hosts_closed == 1; });
    receiver_.clear_script();
    all_are_delivered();
    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_hosts"), "0");
    EXPECT_THAT(log_.lines_with("a receiver of webhooks fails"), SizeIs(1));
    EXPECT_THAT(log_.lines_with("accepts them again"), SizeIs(1));
}

// Of those that wait, a look reads those that it takes.
TEST_F(WebhookBreaker, LooksAtFewThoughManyWaitForAReceiverThatIsAway) {
    constexpr int many = 20'000;
    constexpr std::uint64_t looks = 10;
    settings_.breaker_failures = 1;
    settings_.breaker_delay_max = milliseconds{50};
    start_sender();
    (void)settle();
    all_are_delivered();
    stop_sender();
    // Tried before, and so in another order than they came.
    execute(fmt::format(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, payload, not_before, "
        "webhook_id, webhook_host) SELECT generation_id + i, run_id || i, kind, for_status, channel, payload, "
        "now() - random() * interval '1 hour', webhook_id || i, webhook_host FROM runledger.notifications "
        "CROSS JOIN generate_series(1, {}) AS i WHERE channel = 'webhook'",
        many));
    execute("ANALYZE runledger.notifications");
    const auto rows_read = [&] {
        execute("SELECT pg_stat_force_next_flush()");
        execute("SELECT pg_stat_clear_snapshot()");
        return std::stoll(
            value("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'notifications'"));
    };
    const auto before = rows_read();
    receiver_.script({.answer = {.status = 502}, .times = -1});

    start_sender();
    eventually("it was tried some times", [&] { return sent().retried >= looks; });
    stop_sender();
    eventually("the session has ended", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd webhooks' AND "
                   "datname = current_database()") == "0";
    });

    EXPECT_LT(rows_read() - before, many);
}

TEST_F(WebhookBreaker, IsRememberedByTheNextDaemon) {
    settings_.breaker_failures = 1;
    settings_.retry_delay_min = settings_.retry_delay_max = settings_.breaker_delay_max = seconds{60};
    receiver_.script({.answer = {.status = 502}, .times = -1});
    start_sender();
    (void)settle();
    eventually("it fails", [&] { return value("SELECT count(*) FROM runledger.webhook_hosts") == "1"; });
    EXPECT_EQ(value("SELECT closed_until > now() + interval '30 s' FROM runledger.webhook_hosts"), "t");
    (void)settle();
    const auto other = another_sender("there:2:second");
    execute("UPDATE runledger.webhook_hosts SET closed_until = now() + interval '1 hour'");
    eventually("the other looks", [&] { return other->counters().hosts_closed == 1; });

    EXPECT_EQ(other->counters().retried + other->counters().delivered, 0U);
}

TEST_F(WebhookBreaker, IsNotMovedByAnswersThatAreAboutOneWebhook) {
    settings_.breaker_failures = 2;
    start_sender();
    const std::string bad = settle();
    all_are_delivered();
    receiver_.script({.answer = {.status = 422}, .times = -1, .mention = bad});
    settle_again(bad, "success");
    eventually("it is tried often", [&] { return sent().retried >= 4; });

    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_hosts"), "0");
    (void)settle();
    eventually("the next is told", [&] { return sent().delivered == 2; });
}

// An answer tells how the receiver was when it was asked, not what it said meanwhile.
TEST_F(WebhookBreaker, KeepsWhatAHostHasAskedForThoughEarlierWebhooksAreAccepted) {
    receiver_.script({.answer = {.delay = milliseconds{1500}}, .times = 1, .mention = "\"slow\""});
    receiver_.script({.answer = {.status = 503, .retry_after_seconds = 3600}, .times = 1, .mention = "\"busy\""});
    settings_.metadata_keys = {"*"};
    settings_.breaker_failures = 1;
    start_sender();
    (void)settle(R"(, "a": "slow")");
    eventually("it is on its way", [&] { return receiver_.received().size() == 1; });
    (void)settle(R"(, "a": "busy")");
    eventually("the host asks to wait", [&] { return sent().held == 1; });
    ASSERT_EQ(sent().delivered, 0U) << "the earlier one has to be answered later";
    eventually("the earlier one is accepted", [&] { return count_webhooks("sent") == 1; });
    const std::string next = settle();
    eventually("it is looked at again", [&] { return sent().hosts_closed == 1; });

    EXPECT_EQ(value("SELECT closed_until > now() + interval '50 minutes' FROM runledger.webhook_hosts"), "t");
    EXPECT_EQ(webhook_of(next, "state || ' ' || attempts"), "pending 0");
    execute(
        "UPDATE runledger.webhook_hosts SET asked_until = now(), closed_until = now();"
        "UPDATE runledger.notifications SET not_before = now() WHERE state = 'pending'");
    all_are_delivered();
    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_hosts"), "0");
}

}  // namespace
}  // namespace runledger::test
