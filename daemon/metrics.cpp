#include "daemon/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <stdexcept>
#include <utility>
#include <vector>

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

// Reads the stages' counters when Prometheus asks; on a thread of the listener.
class StageCounters : public prometheus::Collectable {
public:
    explicit StageCounters(const Counters& counters) : counters_(counters) {}

    [[nodiscard]] std::vector<MetricFamily> Collect() const override {
        const auto counter = [](std::string name, std::string help, const std::string& label,
                                const std::vector<Sample>& samples) {
            return family(MetricType::Counter, std::move(name), std::move(help), label, samples);
        };
        const auto gauge = [](std::string name, std::string help, double value) {
            return family(MetricType::Gauge, std::move(name), std::move(help), "", {{value}});
        };
        const auto& [intake, apply, settle, notify, maintain, reconcile, web] = counters_;
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
            counter("runledger_segments_retired_total", "Spool segments whose batches are all in the ledger.", "",
                    {{as_double(apply.segments_retired)}}),
            counter("runledger_settlements_total", "Settlements by outcome.", "outcome",
                    {{as_double(settle.settled), "settled"},
                     {as_double(settle.resettled), "resettled"},
                     {as_double(settle.edited_by_hand), "edited_by_hand"},
                     {as_double(settle.postponed), "postponed"}}),
            counter("runledger_settle_turns_failed_total", "Settle transactions that failed and were retried.", "",
                    {{as_double(settle.turns_failed)}}),
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
            counter("runledger_event_partitions_total", "Day partitions of webhook_events, made ahead and dropped.",
                    "action", {{as_double(maintain.days_made), "made"}, {as_double(maintain.days_dropped), "dropped"}}),
            counter("runledger_rows_expired_total", "Rows that retention has removed.", "of",
                    {{as_double(maintain.runs_removed), "runs"},
                     {as_double(maintain.notifications_removed), "notifications"},
                     {as_double(maintain.settlements_removed), "settlements"},
                     {as_double(maintain.quarantine_removed), "quarantine"},
                     {as_double(maintain.tombstones_removed), "tombstones"}}),
            counter("runledger_runs_requeued_total", "Runs that had ended, were not settled, and were in no queue.", "",
                    {{as_double(maintain.runs_requeued)}}),
            counter("runledger_maintain_steps_failed_total", "Steps of maintenance that failed and were retried.", "",
                    {{as_double(maintain.steps_failed)}}),
            gauge("runledger_notifications_in_flight", "Notifications that are leased now.",
                  as_double(notify.in_flight)),
            gauge("runledger_notifications_dead", "Notifications of the last day that are dead.",
                  as_double(notify.dead_lately)),
            gauge("runledger_notifications_retrying", "Notifications that wait for another attempt after an error.",
                  as_double(notify.retrying)),
            gauge("runledger_notifications_oldest_seconds", "The longest wait of a pending notification.",
                  as_double(notify.oldest_seconds)),
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
            counter("runledger_page_tokens_refused_total", "Wrong tokens that the page was offered.", "",
                    {{as_double(web.tokens_refused)}}),
        };
    }

private:
    const Counters& counters_;
};

}  // namespace

class Metrics::Impl {
public:
    Impl(const std::string& listen, const Counters& counters, std::vector<web::Route> routes)
        : listener_(listen, with_metrics(counters, std::move(routes))) {}

private:
    static std::vector<web::Route> with_metrics(const Counters& counters, std::vector<web::Route> routes) {
        routes.push_back(web::metrics_route(std::make_shared<StageCounters>(counters)));
        return routes;
    }

    web::Listener listener_;
};

Metrics::Metrics(const std::string& listen, const Counters& counters, std::vector<web::Route> others) {
    try {
        impl_ = std::make_unique<Impl>(listen, counters, std::move(others));
    } catch (const std::exception& error) {
        throw std::runtime_error(
            fmt::format("[metrics] listen: \"{}\" can't be listened on: {}", listen, error.what()));
    }
}

Metrics::~Metrics() = default;

}  // namespace runledger
