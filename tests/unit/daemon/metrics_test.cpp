// Each counter of each stage to its own sample: a table in which every counter and every sample stands.
#include "daemon/metrics.hpp"
#include "common/version.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <pqxx/pqxx>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::Not;
using testing::StartsWith;

struct Wire {
    std::string sample;
    std::function<void(double)> set;
};

template <class Value>
Wire wire(std::string sample, std::atomic<Value>& counter) {
    return {std::move(sample), [&counter](double value) { counter = static_cast<Value>(value); }};
}

// A counter that is added to a stage does not compile here until it has a name, and then is a warning until it has a
// row. What is in no row on purpose: the histograms and measured_at, which have tests of their own.
std::vector<Wire> wires(Counters& counters) {
    auto& [intake, apply, settle, notify, maintain, reconcile, backlog, tell, config, web, webhooks] = counters;
    auto& [messages, busy, damaged, answers, handshakes_denied] = intake;
    auto& [turns, apply_turns_failed, batches_applied, batch_copies, batch_conflicts, batches_refused, events_applied,
           events_quarantined, segments_retired, set_back, apply_lag, events_ahead_of_clock] = apply;
    auto& [settled, resettled, edited_by_hand, postponed, settle_turns_failed, settle_lag] = settle;
    auto& [sent, logged, retried, dead, uncertain, skipped, expired, too_many_requests, notify_turns_failed,
           notify_in_flight, last_too_many_requests_at, unanswered, token_is_refused] = notify;
    auto& [days_made, days_dropped, runs_removed, notifications_removed, settlements_removed, quarantine_removed,
           tombstones_removed, news_removed, runs_requeued, steps_failed] = maintain;
    auto& [ended, not_ended, not_found, refused, too_many, failed, given_up, too_late, reconcile_turns_failed,
           lookups_in_flight, key_is_refused] = reconcile;
    auto& [unsettled_new, unsettled_locked, unsettled_refused, stuck_runs, outbox_pending, outbox_retrying,
           outbox_leased, outbox_dead, outbox_uncertain, outbox_skipped, outbox_elsewhere,
           outbox_oldest_pending_seconds, outbox_oldest_dead_seconds, webhooks_pending, webhooks_retrying,
           webhooks_dead, webhooks_skipped, webhooks_oldest_seconds, lookups_due, lookups_later, lookups_given_up,
           lookups_oldest_due_seconds, measured_at, looks_failed] = backlog;
    auto& [reloads_done, reloads_refused, config_is_refused, config_read_at, keys_for_restart] = config;
    auto& [groups_told, progress_told, tell_turns_failed] = tell;
    auto& [tokens_refused] = web;
    auto& [delivered, webhooks_retried, webhooks_held, dropped, webhooks_gone, forbidden, webhooks_expired,
           webhook_turns_failed, webhooks_in_flight, hosts_closed] = webhooks;
    return {
        wire("runledger_intake_messages_total", messages),
        wire("runledger_intake_busy_total", busy),
        wire("runledger_intake_damaged_total", damaged),
        wire("runledger_intake_answers_total", answers),
        wire("runledger_intake_handshakes_denied_total", handshakes_denied),
        wire("runledger_apply_turns_total", turns),
        wire("runledger_apply_turns_failed_total", apply_turns_failed),
        wire("runledger_batches_total{fate=\"applied\"}", batches_applied),
        wire("runledger_batches_total{fate=\"copy\"}", batch_copies),
        wire("runledger_batches_total{fate=\"conflict\"}", batch_conflicts),
        wire("runledger_batches_total{fate=\"refused\"}", batches_refused),
        wire("runledger_events_applied_total", events_applied),
        wire("runledger_events_quarantined_total", events_quarantined),
        wire("runledger_segments_retired_total", segments_retired),
        wire("runledger_batches_set_back", set_back),
        wire("runledger_settlements_total{outcome=\"settled\"}", settled),
        wire("runledger_settlements_total{outcome=\"resettled\"}", resettled),
        wire("runledger_settlements_total{outcome=\"edited_by_hand\"}", edited_by_hand),
        wire("runledger_settlements_total{outcome=\"postponed\"}", postponed),
        wire("runledger_settle_turns_failed_total", settle_turns_failed),
        wire("runledger_notifications_total{outcome=\"sent\"}", sent),
        wire("runledger_notifications_total{outcome=\"logged\"}", logged),
        wire("runledger_notifications_total{outcome=\"retried\"}", retried),
        wire("runledger_notifications_total{outcome=\"dead\"}", dead),
        wire("runledger_notifications_total{outcome=\"uncertain\"}", uncertain),
        wire("runledger_notifications_total{outcome=\"skipped\"}", skipped),
        wire("runledger_notifications_total{outcome=\"expired\"}", expired),
        wire("runledger_telegram_too_many_requests_total", too_many_requests),
        wire("runledger_notify_turns_failed_total", notify_turns_failed),
        wire("runledger_notifications_in_flight", notify_in_flight),
        wire("runledger_telegram_too_many_requests_last_seconds", last_too_many_requests_at),
        wire("runledger_telegram_unanswered", unanswered),
        wire("runledger_telegram_token_refused", token_is_refused),
        wire("runledger_webhooks_total{outcome=\"delivered\"}", delivered),
        wire("runledger_webhooks_total{outcome=\"retried\"}", webhooks_retried),
        wire("runledger_webhooks_total{outcome=\"held\"}", webhooks_held),
        wire("runledger_webhooks_total{outcome=\"dropped\"}", dropped),
        wire("runledger_webhooks_total{outcome=\"gone\"}", webhooks_gone),
        wire("runledger_webhooks_total{outcome=\"forbidden\"}", forbidden),
        wire("runledger_webhooks_total{outcome=\"expired\"}", webhooks_expired),
        wire("runledger_webhook_turns_failed_total", webhook_turns_failed),
        wire("runledger_webhooks_in_flight", webhooks_in_flight),
        wire("runledger_webhook_hosts_closed", hosts_closed),
        wire("runledger_outbox_webhooks{state=\"pending\"}", webhooks_pending),
        wire("runledger_outbox_webhooks{state=\"retrying\"}", webhooks_retrying),
        wire("runledger_outbox_webhooks{state=\"dead\"}", webhooks_dead),
        wire("runledger_outbox_webhooks{state=\"skipped\"}", webhooks_skipped),
        wire("runledger_outbox_webhooks_oldest_seconds", webhooks_oldest_seconds),
        wire("runledger_event_partitions_total{action=\"made\"}", days_made),
        wire("runledger_event_partitions_total{action=\"dropped\"}", days_dropped),
        wire("runledger_rows_expired_total{of=\"runs\"}", runs_removed),
        wire("runledger_rows_expired_total{of=\"notifications\"}", notifications_removed),
        wire("runledger_rows_expired_total{of=\"settlements\"}", settlements_removed),
        wire("runledger_rows_expired_total{of=\"quarantine\"}", quarantine_removed),
        wire("runledger_rows_expired_total{of=\"tombstones\"}", tombstones_removed),
        wire("runledger_rows_expired_total{of=\"news\"}", news_removed),
        wire("runledger_runs_requeued_total", runs_requeued),
        wire("runledger_maintain_steps_failed_total", steps_failed),
        wire("runledger_lookups_total{outcome=\"ended\"}", ended),
        wire("runledger_lookups_total{outcome=\"not_ended\"}", not_ended),
        wire("runledger_lookups_total{outcome=\"not_found\"}", not_found),
        wire("runledger_lookups_total{outcome=\"refused\"}", refused),
        wire("runledger_lookups_total{outcome=\"too_many\"}", too_many),
        wire("runledger_lookups_total{outcome=\"failed\"}", failed),
        wire("runledger_lookups_given_up_total", given_up),
        wire("runledger_reports_too_late_total", too_late),
        wire("runledger_reconcile_turns_failed_total", reconcile_turns_failed),
        wire("runledger_lookups_in_flight", lookups_in_flight),
        wire("runledger_comfydeploy_key_refused", key_is_refused),
        wire("runledger_unsettled_runs{state=\"new\"}", unsettled_new.runs),
        wire("runledger_unsettled_runs{state=\"locked\"}", unsettled_locked.runs),
        wire("runledger_unsettled_runs{state=\"refused\"}", unsettled_refused.runs),
        wire("runledger_unsettled_oldest_seconds{state=\"new\"}", unsettled_new.oldest_seconds),
        wire("runledger_unsettled_oldest_seconds{state=\"locked\"}", unsettled_locked.oldest_seconds),
        wire("runledger_unsettled_oldest_seconds{state=\"refused\"}", unsettled_refused.oldest_seconds),
        wire("runledger_stuck_runs", stuck_runs),
        wire("runledger_outbox_notifications{state=\"pending\"}", outbox_pending),
        wire("runledger_outbox_notifications{state=\"retrying\"}", outbox_retrying),
        wire("runledger_outbox_notifications{state=\"leased\"}", outbox_leased),
        wire("runledger_outbox_notifications{state=\"dead\"}", outbox_dead),
        wire("runledger_outbox_notifications{state=\"uncertain\"}", outbox_uncertain),
        wire("runledger_outbox_notifications{state=\"skipped\"}", outbox_skipped),
        wire("runledger_outbox_notifications{state=\"elsewhere\"}", outbox_elsewhere),
        wire("runledger_outbox_oldest_seconds{state=\"pending\"}", outbox_oldest_pending_seconds),
        wire("runledger_outbox_oldest_seconds{state=\"dead\"}", outbox_oldest_dead_seconds),
        wire("runledger_lookups_enrolled{state=\"due\"}", lookups_due),
        wire("runledger_lookups_enrolled{state=\"later\"}", lookups_later),
        wire("runledger_lookups_enrolled{state=\"given_up\"}", lookups_given_up),
        wire("runledger_lookups_oldest_due_seconds", lookups_oldest_due_seconds),
        wire("runledger_backlog_looks_failed_total", looks_failed),
        wire("runledger_groups_ended_total", groups_told),
        wire("runledger_progress_told_total", progress_told),
        wire("runledger_tell_turns_failed_total", tell_turns_failed),
        wire("runledger_events_ahead_of_clock_total", events_ahead_of_clock),
        wire("runledger_config_reloads_total{outcome=\"done\"}", reloads_done),
        wire("runledger_config_reloads_total{outcome=\"refused\"}", reloads_refused),
        wire("runledger_config_refused", config_is_refused),
        wire("runledger_config_read_last_seconds", config_read_at),
        wire("runledger_config_keys_for_restart", keys_for_restart),
        wire("runledger_page_tokens_refused_total", tokens_refused),
    };
}

class DaemonCounters : public testing::Test {
protected:
    DaemonCounters() { counters_.backlog.measured_at = first_look; }

    // All samples but those of the HTTP library.
    [[nodiscard]] std::map<std::string, double> all_served() const {
        auto samples = samples_of(http_get(fmt::format("http://{}/metrics", address_)).body);
        std::erase_if(samples, [](const auto& sample) { return !sample.first.starts_with("runledger_"); });
        return samples;
    }
    // Of the counters in `wires`.
    [[nodiscard]] std::map<std::string, double> served() const {
        auto samples = all_served();
        std::erase_if(samples, [](const auto& sample) {
            return sample.first.find("_lag_seconds") != std::string::npos || is_of_no_counter(sample.first);
        });
        return samples;
    }
    static bool is_of_no_counter(const std::string& sample) {
        return sample == "runledger_backlog_measured_last_seconds" || sample == "runledger_postgres_up" ||
               sample == "runledger_start_time_seconds" || sample.starts_with("runledger_build_info");
    }
    static void postgres_goes_away() { outages()->begin(outages()->count(), pqxx::broken_connection("gone")); }
    static void postgres_comes_back() { outages()->end(); }

    static constexpr std::int64_t first_look = 1'790'000'000;
    Counters counters_;

private:
    static std::shared_ptr<Outages> outages() {
        static const auto of_one_server = Outages::of("host=nowhere");
        return of_one_server;
    }

    std::string address_{fmt::format("127.0.0.1:{}", free_port())};
    Metrics metrics_{address_, counters_, [] { return outages()->is_away(); }};
};

TEST_F(DaemonCounters, AreEachServedByTheirOwnName) {
    const auto all = wires(counters_);
    std::map<std::string, double> expected;
    double value = 1000;
    for (const Wire& one : all) {
        const bool is_flag = one.sample.ends_with("_refused");
        one.set(++value);
        expected[one.sample] = is_flag ? 1 : value;
    }

    EXPECT_EQ(served(), expected);
}

// Flags have two values only, so that the test above can't tell them apart.
TEST_F(DaemonCounters, AreEachServedAlone) {
    for (const Wire& one : wires(counters_)) {
        one.set(1);
        for (const auto& [sample, value] : served()) {
            EXPECT_EQ(value, sample == one.sample ? 1 : 0) << sample << " for " << one.sample;
        }
        one.set(0);
    }
}

TEST_F(DaemonCounters, HaveTheLagsAsHistogramsFromTenthsOfASecondToAWeek) {
    counters_.apply.lag.observe(std::chrono::milliseconds{250});
    counters_.apply.lag.observe(std::chrono::seconds{2});
    counters_.apply.lag.observe(std::chrono::hours{24 * 30});
    counters_.apply.lag.observe(-std::chrono::seconds{5});  // An edge's clock is ahead.
    counters_.settle.lag.observe(std::chrono::hours{2});

    auto samples = all_served();
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"0.01\"}"), 1);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"0.1\"}"), 1);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"0.25\"}"), 2);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"2.5\"}"), 3);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"604800\"}"), 3);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_bucket{le=\"+Inf\"}"), 4);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_count"), 4);
    EXPECT_EQ(samples.at("runledger_apply_lag_seconds_sum"), 2.25 + 2592000);
    EXPECT_EQ(samples.at("runledger_settle_lag_seconds_bucket{le=\"3600\"}"), 0);
    EXPECT_EQ(samples.at("runledger_settle_lag_seconds_bucket{le=\"86400\"}"), 1);
    EXPECT_EQ(samples.at("runledger_settle_lag_seconds_sum"), 7200);
}

TEST_F(DaemonCounters, LeaveOutWhatWaitsInTheDatabaseUntilItIsMeasured) {
    EXPECT_EQ(all_served().at("runledger_stuck_runs"), 0);
    EXPECT_EQ(all_served().at("runledger_backlog_measured_last_seconds"), first_look);

    counters_.backlog.measured_at = 0;

    for (const auto& [sample, value] : all_served()) {
        EXPECT_THAT(sample, Not(AnyOf(StartsWith("runledger_unsettled_"), StartsWith("runledger_outbox_"),
                                      StartsWith("runledger_lookups_enrolled"), Eq("runledger_stuck_runs"),
                                      Eq("runledger_lookups_oldest_due_seconds"))));
    }
    EXPECT_EQ(all_served().at("runledger_backlog_measured_last_seconds"), 0);
}

TEST_F(DaemonCounters, SayWhetherPostgreSQLIsAwayAndWhichBuildThisIs) {
    EXPECT_EQ(all_served().at("runledger_postgres_up"), 1);
    postgres_goes_away();
    EXPECT_EQ(all_served().at("runledger_postgres_up"), 0);
    postgres_comes_back();

    const auto samples = all_served();
    EXPECT_EQ(samples.at("runledger_postgres_up"), 1);
    EXPECT_EQ(samples.at(fmt::format("runledger_build_info{{version=\"{}\"}}", build_version())), 1);
    EXPECT_GT(samples.at("runledger_start_time_seconds"), 1.7e9);
}

}  // namespace
}  // namespace runledger::test
