#include "daemon/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <chrono>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/version.hpp"
#include "daemon/web/routes.hpp"

namespace runledger {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Sample {
    double value{};
    std::string label_value{};
};

template <class Value>
double as_double(const std::atomic<Value>& counter) {
    return static_cast<double>(counter.load(std::memory_order_relaxed));
}

MetricFamily family(MetricType type, std::string name, std::string help, const std::string& label,
                    const std::vector<Sample>& samples) {
    MetricFamily made;
    made.name = std::move(name);
    made.help = std::move(help);
    made.type = type;
    for (const Sample& sample : samples) {
        ClientMetric metric;
        if (!label.empty()) {
            metric.label.push_back({label, sample.label_value});
        }
        if (type == MetricType::Counter) {
            metric.counter.value = sample.value;
        } else {
            metric.gauge.value = sample.value;
        }
        made.metric.push_back(std::move(metric));
    }
    return made;
}

MetricFamily histogram(std::string name, std::string help, const LagHistogram& lags) {
    const auto seconds = [](std::chrono::microseconds time) { return std::chrono::duration<double>(time).count(); };
    ClientMetric metric;
    for (const std::uint64_t count : lags.counts()) {
        const std::size_t bucket = metric.histogram.bucket.size();
        metric.histogram.sample_count += count;
        metric.histogram.bucket.push_back({.cumulative_count = metric.histogram.sample_count,
                                           .upper_bound = bucket < LagHistogram::bounds.size()
                                                              ? seconds(LagHistogram::bounds[bucket])
                                                              : std::numeric_limits<double>::infinity()});
    }
    metric.histogram.sample_sum = seconds(lags.sum());
    MetricFamily made;
    made.name = std::move(name);
    made.help = std::move(help);
    made.type = MetricType::Histogram;
    made.metric.push_back(std::move(metric));
    return made;
}

// The first time that it is asked, which is when the daemon starts.
std::chrono::seconds started_at() {
    static const auto first =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    return first;
}

// Reads the stages' counters when Prometheus asks; on a thread of the listener.
class StageCounters : public prometheus::Collectable {
public:
    StageCounters(const Counters& counters, std::function<bool()> postgres_is_away)
        : counters_(counters), postgres_is_away_(std::move(postgres_is_away)) {
        (void)started_at();  // From now on.
    }

    [[nodiscard]] std::vector<MetricFamily> Collect() const override {
        const auto counter = [](std::string name, std::string help, const std::string& label,
                                const std::vector<Sample>& samples) {
            return family(MetricType::Counter, std::move(name), std::move(help), label, samples);
        };
        const auto gauge = [](std::string name, std::string help, double value) {
            return family(MetricType::Gauge, std::move(name), std::move(help), "", {{value}});
        };
        const auto gauges = [](std::string name, std::string help, const std::string& label,
                               const std::vector<Sample>& samples) {
            return family(MetricType::Gauge, std::move(name), std::move(help), label, samples);
        };
        const auto& [intake, apply, settle, notify, maintain, reconcile, backlog, tell, config, web, webhooks] =
            counters_;
        // What is not known yet is left out, and is not 0.
        const bool is_measured = backlog.measured_at > 0;
        const auto measured = [&](std::string name, std::string help, const std::string& label,
                                  const std::vector<Sample>& samples) {
            return gauges(std::move(name), std::move(help), label, is_measured ? samples : std::vector<Sample>{});
        };
        return {
            counter("runledger_intake_messages_total", "Messages read from the edges.", "",
                    {{as_double(intake.messages)}}),
            counter("runledger_intake_answers_total", "Answers that appliers gave and intake sent.", "",
                    {{as_double(intake.answers)}}),
            counter("runledger_intake_busy_total", "Batches answered busy: the intake queue was full.", "",
                    {{as_double(intake.busy)}}),
            counter("runledger_intake_damaged_total", "Messages that could not be read and have no name to answer to.",
                    "", {{as_double(intake.damaged)}}),
            counter("runledger_intake_handshakes_denied_total", "Handshakes of edges whose key is not authorised.", "",
                    {{as_double(intake.handshakes_denied)}}),
            counter("runledger_apply_turns_total", "Apply transactions that committed.", "",
                    {{as_double(apply.turns)}}),
            counter("runledger_apply_turns_failed_total", "Apply transactions that failed and were retried.", "",
                    {{as_double(apply.turns_failed)}}),
            counter("runledger_batches_total", "Batches by result.", "fate",
                    {{as_double(apply.batches_applied), "applied"},
                     {as_double(apply.batch_copies), "copy"},
                     {as_double(apply.batch_conflicts), "conflict"},
                     {as_double(apply.batches_refused), "refused"}}),
            gauge("runledger_batches_set_back", "Batches that PostgreSQL refuses and that wait apart.",
                  as_double(apply.set_back)),
            counter("runledger_events_applied_total", "Events written to the ledger.", "",
                    {{as_double(apply.events_applied)}}),
            counter("runledger_events_quarantined_total", "Events that could not be stored in their place.", "",
                    {{as_double(apply.events_quarantined)}}),
            counter("runledger_events_ahead_of_clock_total",
                    "Events received more than a second later than now, by this daemon's clock.", "",
                    {{as_double(apply.events_ahead_of_clock)}}),
            histogram("runledger_apply_lag_seconds", "From an event's receipt at the edge to its commit in the ledger.",
                      apply.lag),
            counter("runledger_segments_retired_total", "Spool segments whose batches are all in the ledger.", "",
                    {{as_double(apply.segments_retired)}}),
            counter("runledger_settlements_total", "Settlements by outcome.", "outcome",
                    {{as_double(settle.settled), "settled"},
                     {as_double(settle.resettled), "resettled"},
                     {as_double(settle.edited_by_hand), "edited_by_hand"},
                     {as_double(settle.postponed), "postponed"}}),
            counter("runledger_settle_turns_failed_total", "Settle transactions that failed and were retried.", "",
                    {{as_double(settle.turns_failed)}}),
            histogram("runledger_settle_lag_seconds",
                      "From the receipt of a run's ending to the commit of its first settlement.", settle.lag),
            counter("runledger_notifications_total", "Attempts to send notifications, by result.", "outcome",
                    {{as_double(notify.sent), "sent"},
                     {as_double(notify.logged), "logged"},
                     {as_double(notify.retried), "retried"},
                     {as_double(notify.dead), "dead"},
                     {as_double(notify.uncertain), "uncertain"},
                     {as_double(notify.skipped), "skipped"},
                     {as_double(notify.expired), "expired"}}),
            counter("runledger_notify_turns_failed_total", "Notify transactions that failed and were retried.", "",
                    {{as_double(notify.turns_failed)}}),
            counter("runledger_telegram_too_many_requests_total", "Calls that Telegram answered with 429.", "",
                    {{as_double(notify.too_many_requests)}}),
            counter("runledger_webhooks_total", "Attempts to deliver webhooks, by result.", "outcome",
                    {{as_double(webhooks.delivered), "delivered"},
                     {as_double(webhooks.retried), "retried"},
                     {as_double(webhooks.held), "held"},
                     {as_double(webhooks.dropped), "dropped"},
                     {as_double(webhooks.gone), "gone"},
                     {as_double(webhooks.forbidden), "forbidden"},
                     {as_double(webhooks.expired), "expired"}}),
            counter("runledger_webhook_turns_failed_total", "Transactions of webhooks that failed and were retried.",
                    "", {{as_double(webhooks.turns_failed)}}),
            gauge("runledger_webhooks_in_flight", "Webhooks that are leased now.", as_double(webhooks.in_flight)),
            gauge("runledger_webhook_hosts_closed",
                  "Receivers of webhooks that get none now, because they fail or have asked to wait.",
                  as_double(webhooks.hosts_closed)),
            counter("runledger_event_partitions_total", "Day partitions of webhook_events, made ahead and dropped.",
                    "action", {{as_double(maintain.days_made), "made"}, {as_double(maintain.days_dropped), "dropped"}}),
            counter("runledger_rows_expired_total", "Rows that retention has removed.", "of",
                    {{as_double(maintain.runs_removed), "runs"},
                     {as_double(maintain.notifications_removed), "notifications"},
                     {as_double(maintain.settlements_removed), "settlements"},
                     {as_double(maintain.quarantine_removed), "quarantine"},
                     {as_double(maintain.tombstones_removed), "tombstones"},
                     {as_double(maintain.news_removed), "news"}}),
            counter("runledger_runs_requeued_total", "Runs that had ended, were not settled, and were in no queue.", "",
                    {{as_double(maintain.runs_requeued)}}),
            counter("runledger_maintain_steps_failed_total", "Steps of maintenance that failed and were retried.", "",
                    {{as_double(maintain.steps_failed)}}),
            gauge("runledger_notifications_in_flight", "Notifications that are leased now.",
                  as_double(notify.in_flight)),
            gauge("runledger_telegram_too_many_requests_last_seconds",
                  "Unix time of the last call that Telegram answered with 429; 0: none since the start.",
                  as_double(notify.last_too_many_requests_at)),
            gauge("runledger_telegram_unanswered", "Calls in a row that Telegram has not answered.",
                  as_double(notify.unanswered)),
            gauge("runledger_telegram_token_refused", "1 while Telegram refuses the bot's token and nothing is sent.",
                  as_double(notify.token_is_refused)),
            counter("runledger_lookups_total", "Look-ups of silent runs at the provider, by result.", "outcome",
                    {{as_double(reconcile.ended), "ended"},
                     {as_double(reconcile.not_ended), "not_ended"},
                     {as_double(reconcile.not_found), "not_found"},
                     {as_double(reconcile.refused), "refused"},
                     {as_double(reconcile.too_many), "too_many"},
                     {as_double(reconcile.failed), "failed"}}),
            counter("runledger_lookups_given_up_total", "Silent runs that are no longer looked up.", "",
                    {{as_double(reconcile.given_up)}}),
            counter("runledger_reports_too_late_total",
                    "Endings that the provider reported and that are not kept: their run was forgotten or removed.", "",
                    {{as_double(reconcile.too_late)}}),
            counter("runledger_reconcile_turns_failed_total", "Reconcile transactions that failed and were retried.",
                    "", {{as_double(reconcile.turns_failed)}}),
            gauge("runledger_lookups_in_flight", "Look-ups in flight now.", as_double(reconcile.in_flight)),
            gauge("runledger_comfydeploy_key_refused",
                  "1 while the provider refuses the key and no silent run is looked up.",
                  as_double(reconcile.key_is_refused)),
            measured("runledger_unsettled_runs", "Runs that wait to be settled, by what they wait for.", "state",
                     {{as_double(backlog.unsettled_new.runs), "new"},
                      {as_double(backlog.unsettled_locked.runs), "locked"},
                      {as_double(backlog.unsettled_refused.runs), "refused"}}),
            measured("runledger_unsettled_oldest_seconds", "The longest wait of a run that waits to be settled.",
                     "state",
                     {{as_double(backlog.unsettled_new.oldest_seconds), "new"},
                      {as_double(backlog.unsettled_locked.oldest_seconds), "locked"},
                      {as_double(backlog.unsettled_refused.oldest_seconds), "refused"}}),
            measured("runledger_stuck_runs", "Runs that have not ended and have been silent for too long.", "",
                     {{as_double(backlog.stuck_runs)}}),
            measured("runledger_outbox_notifications",
                     "Notifications by state; those that reached nobody: of the last day.", "state",
                     {{as_double(backlog.outbox_pending), "pending"},
                      {as_double(backlog.outbox_retrying), "retrying"},
                      {as_double(backlog.outbox_leased), "leased"},
                      {as_double(backlog.outbox_dead), "dead"},
                      {as_double(backlog.outbox_uncertain), "uncertain"},
                      {as_double(backlog.outbox_skipped), "skipped"},
                      {as_double(backlog.outbox_elsewhere), "elsewhere"}}),
            measured("runledger_outbox_oldest_seconds",
                     "The longest wait of a pending notification, and the age of the oldest dead one.", "state",
                     {{as_double(backlog.outbox_oldest_pending_seconds), "pending"},
                      {as_double(backlog.outbox_oldest_dead_seconds), "dead"}}),
            measured("runledger_outbox_webhooks", "Webhooks by state; those that were given up: of the last day.",
                     "state",
                     {{as_double(backlog.webhooks_pending), "pending"},
                      {as_double(backlog.webhooks_retrying), "retrying"},
                      {as_double(backlog.webhooks_dead), "dead"},
                      {as_double(backlog.webhooks_skipped), "skipped"}}),
            measured("runledger_outbox_webhooks_oldest_seconds", "The longest wait of a webhook.", "",
                     {{as_double(backlog.webhooks_oldest_seconds)}}),
            measured("runledger_lookups_enrolled", "Silent runs that are to be looked up, by when.", "state",
                     {{as_double(backlog.lookups_due), "due"},
                      {as_double(backlog.lookups_later), "later"},
                      {as_double(backlog.lookups_given_up), "given_up"}}),
            measured("runledger_lookups_oldest_due_seconds", "For how long the first look-up has been due.", "",
                     {{as_double(backlog.lookups_oldest_due_seconds)}}),
            gauge("runledger_backlog_measured_last_seconds",
                  "Unix time of the last look at what waits in the database; 0: none since the start.",
                  as_double(backlog.measured_at)),
            counter("runledger_backlog_looks_failed_total", "Looks at what waits in the database that failed.", "",
                    {{as_double(backlog.looks_failed)}}),
            counter("runledger_groups_ended_total", "Groups of generations that were told of as ended.", "",
                    {{as_double(tell.groups_told)}}),
            counter("runledger_progress_told_total", "Notifications about the progress of a run.", "",
                    {{as_double(tell.progress_told)}}),
            counter("runledger_tell_turns_failed_total", "Tell transactions that failed and were retried.", "",
                    {{as_double(tell.turns_failed)}}),
            gauge("runledger_postgres_up", "0 while PostgreSQL is away or refuses the daemon.",
                  postgres_is_away_() ? 0 : 1),
            gauge("runledger_start_time_seconds", "Unix time at which the daemon started.",
                  static_cast<double>(started_at().count())),
            gauges("runledger_build_info", "The daemon's version.", "version", {{1, std::string(build_version())}}),
            counter("runledger_config_reloads_total", "Reloads of the configuration, by result.", "outcome",
                    {{as_double(config.reloads_done), "done"}, {as_double(config.reloads_refused), "refused"}}),
            gauge("runledger_config_refused",
                  "1 if the last reload was refused: the file has a fault, and the daemon has kept what it had.",
                  as_double(config.is_refused)),
            gauge("runledger_config_read_last_seconds", "Unix time at which the configuration in use was read.",
                  as_double(config.read_at)),
            gauge("runledger_config_keys_for_restart", "Keys whose value in the file only a restart puts to use.",
                  as_double(config.keys_for_restart)),
            counter("runledger_page_tokens_refused_total", "Wrong tokens that the page was offered.", "",
                    {{as_double(web.tokens_refused)}}),
        };
    }

private:
    const Counters& counters_;
    std::function<bool()> postgres_is_away_;
};

}  // namespace

class Metrics::Impl {
public:
    Impl(const std::string& listen, const Counters& counters, std::function<bool()> postgres_is_away,
         std::vector<web::Route> routes)
        : listener_(listen, with_metrics(counters, std::move(postgres_is_away), std::move(routes))) {}

private:
    static std::vector<web::Route> with_metrics(const Counters& counters, std::function<bool()> postgres_is_away,
                                                std::vector<web::Route> routes) {
        routes.push_back(web::metrics_route(std::make_shared<StageCounters>(counters, std::move(postgres_is_away))));
        return routes;
    }

    web::Listener listener_;
};

Metrics::Metrics(const std::string& listen, const Counters& counters, std::function<bool()> postgres_is_away,
                 std::vector<web::Route> others) {
    try {
        impl_ = std::make_unique<Impl>(listen, counters, std::move(postgres_is_away), std::move(others));
    } catch (const std::exception& error) {
        throw std::runtime_error(
            fmt::format("[metrics] listen: \"{}\" can't be listened on: {}", listen, error.what()));
    }
}

Metrics::~Metrics() = default;

}  // namespace runledger
