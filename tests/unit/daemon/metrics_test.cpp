// Each counter of each stage to its own sample: a table in which every counter and every sample stands.
#include "daemon/metrics.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

struct Wire {
    std::string sample;
    std::function<void(double)> set;
};

template <class Value>
Wire wire(std::string sample, std::atomic<Value>& counter) {
    return {std::move(sample), [&counter](double value) { counter = static_cast<Value>(value); }};
}

// A counter that is added to a stage does not compile here until it has a name, and then is a warning until it has a
// row. What is in no row on purpose: nothing.
std::vector<Wire> wires(Counters& counters) {
    auto& [intake, apply, settle, notify, maintain, reconcile, web] = counters;
    auto& [messages, busy, damaged, answers, handshakes_denied] = intake;
    auto& [turns, apply_turns_failed, batches_applied, batch_copies, batch_conflicts, batches_refused, events_applied,
           events_quarantined, segments_retired, set_back] = apply;
    auto& [settled, resettled, edited_by_hand, postponed, settle_turns_failed] = settle;
    auto& [sent, logged, retried, dead, uncertain, skipped, expired, too_many_requests, notify_turns_failed,
           notify_in_flight, dead_lately, retrying, oldest_seconds, last_too_many_requests_at, unanswered,
           token_is_refused] = notify;
    auto& [days_made, days_dropped, runs_removed, notifications_removed, settlements_removed, quarantine_removed,
           tombstones_removed, runs_requeued, steps_failed] = maintain;
    auto& [ended, not_ended, not_found, refused, too_many, failed, given_up, too_late, reconcile_turns_failed,
           lookups_in_flight, key_is_refused] = reconcile;
    auto& [tokens_refused] = web;
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
        wire("runledger_notifications_dead", dead_lately),
        wire("runledger_notifications_retrying", retrying),
        wire("runledger_notifications_oldest_seconds", oldest_seconds),
        wire("runledger_telegram_too_many_requests_last_seconds", last_too_many_requests_at),
        wire("runledger_telegram_unanswered", unanswered),
        wire("runledger_telegram_token_refused", token_is_refused),
        wire("runledger_event_partitions_total{action=\"made\"}", days_made),
        wire("runledger_event_partitions_total{action=\"dropped\"}", days_dropped),
        wire("runledger_rows_expired_total{of=\"runs\"}", runs_removed),
        wire("runledger_rows_expired_total{of=\"notifications\"}", notifications_removed),
        wire("runledger_rows_expired_total{of=\"settlements\"}", settlements_removed),
        wire("runledger_rows_expired_total{of=\"quarantine\"}", quarantine_removed),
        wire("runledger_rows_expired_total{of=\"tombstones\"}", tombstones_removed),
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
        wire("runledger_page_tokens_refused_total", tokens_refused),
    };
}

class DaemonCounters : public testing::Test {
protected:
    [[nodiscard]] std::map<std::string, double> served() const {
        auto samples = samples_of(http_get(fmt::format("http://{}/metrics", address_)).body);
        std::erase_if(samples, [](const auto& sample) { return !sample.first.starts_with("runledger_"); });
        return samples;
    }

    Counters counters_;

private:
    std::string address_{fmt::format("127.0.0.1:{}", free_port())};
    Metrics metrics_{address_, counters_};
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

}  // namespace
}  // namespace runledger::test
