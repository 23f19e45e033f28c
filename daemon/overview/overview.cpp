#include "daemon/overview/overview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace runledger {

Overview::Overview(Options options)
    : options_(std::move(options)),
      live_reader_(options_.uri, "page"),
      month_reader_(options_.uri, "page month"),
      live_({.fresh = options_.live_fresh}, [this] { return live_reader_.read_live(); }),
      month_({.fresh = options_.month_fresh}, [this] { return month_reader_.read_month(); }),
      edges_({.fresh = options_.live_fresh, .rest = 1},
             [this] { return read_edges(options_.edges, options_.edge_timeout); }),
      search_(options_.uri) {}

Overview::Numbers Overview::numbers() { return {live_.get(), month_.get(), edges_.get()}; }

Overview::Found Overview::search(const std::string& words) {
    const std::lock_guard lock(search_mutex_);
    try {
        return {search_.find(words), ""};
    } catch (const std::exception& error) {
        return {{}, why_not_read(error)};
    }
}

namespace {

// A run is settled within a second or so; outputs_grace delays messages only.
constexpr std::int64_t settle_wait_max_seconds = 60;

Component settlement_of(const LiveNumbers& live) {
    if (live.unsettled == 0 || live.unsettled_oldest_seconds <= settle_wait_max_seconds) {
        return {"settlement", Condition::ok, "runs are settled as they end", ""};
    }
    return {"settlement", Condition::degraded,
            fmt::format("{} {} to be settled, the oldest for {}", live.unsettled,
                        live.unsettled == 1 ? "run waits" : "runs wait",
                        in_words(std::chrono::seconds{live.unsettled_oldest_seconds})),
            live.unsettled_failing > 0 ? "mend what refuses their rows; \"To deal with\" has the reasons"
                                       : "see the daemon's log, if that goes on"};
}

}  // namespace

Health with_numbers(Health health, const Overview::Numbers& numbers) {
    // What the daemon says of its own turns is worse than any number: few runs may wait for long.
    const bool is_said =
        std::ranges::find(health.components, "settlement", &Component::name) != health.components.end();
    if (numbers.live.value && numbers.live.error.empty() && !is_said) {
        health.components.push_back(settlement_of(*numbers.live.value));
    }
    if (numbers.edges.value && !numbers.edges.value->empty()) {
        std::ranges::move(edge_components(*numbers.edges.value), std::back_inserter(health.components));
    }
    const bool has_failed_edge = std::ranges::any_of(health.components, [](const Component& component) {
        return component.name == "edges" && component.condition == Condition::failed;
    });
    if (has_failed_edge && health.verdict != Verdict::stopped) {
        health.verdict = Verdict::degraded;
        health.sentence = "An edge can't store events: it refuses webhooks, or soon will";
    }
    const bool has_degraded = std::ranges::any_of(
        health.components, [](const Component& component) { return component.condition == Condition::degraded; });
    if (has_degraded && health.verdict == Verdict::flowing) {
        health.verdict = Verdict::degraded;
        health.sentence = "Receipts go on, and a part of the work waits";
    }
    return health;
}

}  // namespace runledger
