#include "daemon/overview/json.hpp"

#include <fmt/format.h>

#include <string_view>

#include "daemon/base/json.hpp"

namespace runledger {
namespace {

void put(JsonWriter& out, std::string_view text) {
    out.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}
void key(JsonWriter& out, std::string_view name) {
    out.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}
void put(JsonWriter& out, std::string_view name, std::string_view text) {
    key(out, name);
    put(out, text);
}
void put(JsonWriter& out, std::string_view name, std::int64_t number) {
    key(out, name);
    out.Int64(number);
}
void put(JsonWriter& out, std::string_view name, double number) {
    key(out, name);
    out.Double(number);
}
// Exact money is a string: a JSON reader's double would round it.
void put(JsonWriter& out, std::string_view name, const std::optional<std::string>& text) {
    key(out, name);
    text ? put(out, *text) : static_cast<void>(out.Null());
}
template <class Rows, class Put>
void put_list(JsonWriter& out, std::string_view name, const Rows& rows, const Put& put_row) {
    key(out, name);
    out.StartArray();
    for (const auto& row : rows) {
        out.StartObject();
        put_row(row);
        out.EndObject();
    }
    out.EndArray();
}

void put_health(JsonWriter& out, const Health& health) {
    put(out, "verdict", word_of(health.verdict));
    put(out, "sentence", std::string_view(health.sentence));
    put_list(out, "components", health.components, [&](const Component& component) {
        put(out, "name", std::string_view(component.name));
        put(out, "condition", word_of(component.condition));
        put(out, "says", std::string_view(component.says));
        put(out, "cure", std::string_view(component.cure));
    });
}

void put_rates(JsonWriter& out, const WorkRates& rates) {
    key(out, "rates");
    out.StartObject();
    put(out, "events_per_second", rates.events);
    put(out, "settlements_per_second", rates.settlements);
    put(out, "messages_per_second", rates.messages);
    put(out, "events_of_hour", static_cast<std::int64_t>(rates.events_of_hour));
    key(out, "events_by_minute");
    out.StartArray();
    for (const std::uint64_t events : rates.events_by_minute) {
        out.Uint64(events);
    }
    out.EndArray();
    out.EndObject();
}

void put_lag(JsonWriter& out, std::string_view name, const Lag& lag) {
    key(out, name);
    if (lag.runs == 0) {
        out.Null();
        return;
    }
    out.StartObject();
    put(out, "runs", lag.runs);
    put(out, "median_seconds", lag.median);
    put(out, "p95_seconds", lag.high);
    put(out, "highest_seconds", lag.highest);
    out.EndObject();
}

void put_troubles(JsonWriter& out, std::string_view name, const std::vector<Trouble>& troubles) {
    put_list(out, name, troubles, [&](const Trouble& trouble) {
        put(out, "what", std::string_view(trouble.what));
        put(out, "name", std::string_view(trouble.name));
        put(out, "run_id", std::string_view(trouble.run_id));
        put(out, "reason", std::string_view(trouble.reason));
        put(out, "at", std::string_view(trouble.at));
        put(out, "command", std::string_view(trouble.command));
    });
}

void put_live(JsonWriter& out, const LiveNumbers& live) {
    put_list(out, "in_flight", live.in_flight, [&](const RunsInFlight& runs) {
        put(out, "status", std::string_view(runs.status));
        put(out, "runs", runs.runs);
    });
    put_lag(out, "commit_lag", live.commit_lag);
    put_lag(out, "settle_lag", live.settle_lag);
    key(out, "seconds_since_latest_event");
    live.latest_seconds ? out.Int64(*live.latest_seconds) : out.Null();
    put(out, "unsettled", live.unsettled);
    put(out, "unsettled_failing", live.unsettled_failing);
    put(out, "unsettled_oldest_seconds", live.unsettled_oldest_seconds);
    put(out, "messages_pending", live.messages_pending);
    put(out, "messages_leased", live.messages_leased);
    put(out, "messages_dead_of_day", live.messages_dead);
    put(out, "messages_uncertain_of_day", live.messages_uncertain);
    put(out, "messages_oldest_seconds", live.messages_oldest_seconds);
    put(out, "webhooks_pending", live.webhooks_pending);
    put(out, "webhooks_leased", live.webhooks_leased);
    put(out, "webhooks_dead_of_day", live.webhooks_dead);
    put(out, "webhooks_oldest_seconds", live.webhooks_oldest_seconds);
    put(out, "quarantined", live.quarantined);
    put_troubles(out, "troubles", live.troubles);
    put_troubles(out, "failed_runs", live.failed_runs);
}

void put_month(JsonWriter& out, const MonthNumbers& month) {
    put(out, "time_zone", std::string_view(month.zone));
    put(out, "cost_usd", month.cost_usd);
    put_list(out, "days", month.days, [&](const MonthNumbers::Day& day) {
        put(out, "date", std::string_view(day.date));
        put(out, "generations", day.generations);
        put(out, "completed", day.completed);
        put(out, "failed", day.failed);
        put(out, "unpriced", day.unpriced);
        put(out, "cost_usd", day.cost_usd);
    });
    put_list(out, "gpus", month.gpus, [&](const MonthNumbers::Gpu& gpu) {
        put(out, "gpu", std::string_view(gpu.gpu));
        put(out, "generations", gpu.generations);
        put(out, "unpriced", gpu.unpriced);
        put(out, "cost_usd", gpu.cost_usd);
    });
    put(out, "stuck_runs", month.stuck);
    put_troubles(out, "troubles", month.troubles);
}

template <class Value, class Put>
void put_kept(JsonWriter& out, std::string_view name, const Kept<Value>& kept, const Put& put_value) {
    key(out, name);
    kept.value ? put_value(*kept.value) : static_cast<void>(out.Null());
    if (kept.age) {
        put(out, fmt::format("{}_age_seconds", name), static_cast<std::int64_t>(kept.age->count()));
    }
    if (!kept.error.empty()) {
        put(out, fmt::format("{}_error", name), std::string_view(kept.error));
    }
}

std::string text_of(const JsonText& buffer) { return {buffer.GetString(), buffer.GetSize()}; }

}  // namespace

std::string health_json(const Health& health, const std::optional<WorkRates>& rates) {
    JsonText buffer;
    JsonWriter out(buffer);
    out.StartObject();
    put_health(out, health);
    if (rates) {
        put_rates(out, *rates);
    }
    out.EndObject();
    return text_of(buffer);
}

std::string overview_json(const std::optional<Health>& health, const std::optional<WorkRates>& rates,
                          const Overview::Numbers& numbers) {
    JsonText buffer;
    JsonWriter out(buffer);
    out.StartObject();
    if (health) {
        put_health(out, *health);
    }
    if (rates) {
        put_rates(out, *rates);
    }
    put_kept(out, "live", numbers.live, [&](const LiveNumbers& live) {
        out.StartObject();
        put_live(out, live);
        out.EndObject();
    });
    put_kept(out, "month", numbers.month, [&](const MonthNumbers& month) {
        out.StartObject();
        put_month(out, month);
        out.EndObject();
    });
    put_kept(out, "edges", numbers.edges, [&](const std::vector<EdgeNumbers>& edges) {
        out.StartArray();
        for (const EdgeNumbers& edge : edges) {
            out.StartObject();
            put(out, "name", std::string_view(edge.name));
            put(out, "error", std::string_view(edge.error));
            for (const EdgeFigure& figure : edge_figures) {
                put(out, figure.name, edge.*figure.member);
            }
            put(out, "accepted", edge.accepted);
            put(out, "refused", edge.refused);
            out.EndObject();
        }
        out.EndArray();
    });
    out.EndObject();
    return text_of(buffer);
}

}  // namespace runledger
