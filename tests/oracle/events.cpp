// Promises 1 and 2: what was accepted is there, once.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "tests/oracle/oracle.hpp"

namespace runledger::test {
namespace {

// All that the sender did with one body. Bodies that are the same byte by byte (a repeated event) are one entry.
struct SentBody {
    const RunPlan* run{};
    const PlannedEvent* event{};
    std::vector<const Try*> tries{};

    [[nodiscard]] int accepted(bool as_get) const {
        return static_cast<int>(std::count_if(tries.begin(), tries.end(), [&](const Try* attempt) {
            return attempt->as_get == as_get && attempt->accepted();
        }));
    }
    [[nodiscard]] int tried(bool as_get) const {
        return static_cast<int>(
            std::count_if(tries.begin(), tries.end(), [&](const Try* attempt) { return attempt->as_get == as_get; }));
    }
};

using SentBodies = std::unordered_map<std::string, SentBody>;

SentBodies sent_bodies(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries) {
    SentBodies bodies;
    for (const Delivery& delivery : deliveries) {
        const RunPlan& run = runs[delivery.run];
        SentBody& body = bodies[run.events[delivery.event].body];
        body.run = &run;
        body.event = &run.events[delivery.event];
        for (const Try& attempt : delivery.tries) {
            body.tries.push_back(&attempt);
        }
    }
    return bodies;
}

std::string place_of(const StoredEvent& row) {
    return fmt::format("event ({}, {}, {}) of run {}", row.segment, row.batch_number, row.event_index, row.run_id);
}

// The stamp was taken while a try of its kind was under way. A try without an answer has no end that we know: what was
// in the socket may have been read after the sender gave up.
bool stamped_during(const Try& attempt, const StoredEvent& row, const EventRules& rules) {
    const BootTime boottime{std::chrono::microseconds{row.boottime_us}};
    const WallTime wall{std::chrono::microseconds{row.received_at_us}};
    if (attempt.as_get != row.redelivered) {
        return false;
    }
    if (rules.one_boot &&
        (boottime < attempt.before.boottime || (attempt.status != 0 && boottime > attempt.after.boottime))) {
        return false;
    }
    return !rules.wall_clock_is_steady ||
           (wall >= attempt.before.received_at && (attempt.status == 0 || wall <= attempt.after.received_at));
}

void check_row(const StoredEvent& row, const SentBody& sent, const EventRules& rules, Findings& findings) {
    if (row.run_id != sent.run->run_id) {
        findings.push_back(fmt::format("{}: its body is of run {}", place_of(row), sent.run->run_id));
    }
    if (row.status != sent.event->status) {
        findings.push_back(fmt::format("{}: status is {}, not {}", place_of(row), row.status, sent.event->status));
    }
    if (std::none_of(sent.tries.begin(), sent.tries.end(),
                     [&](const Try* attempt) { return stamped_during(*attempt, row, rules); })) {
        findings.push_back(fmt::format("{}: its stamp (wall {} boottime {}) is within no {} of that body",
                                       place_of(row), row.received_at_us, row.boottime_us,
                                       row.redelivered ? "GET" : "POST"));
    }
}

void check_counts(const std::string& body, const SentBody& sent, const std::vector<const StoredEvent*>& rows,
                  const Ledger& ledger, Findings& findings) {
    for (const bool as_get : {false, true}) {
        const auto stored = static_cast<int>(std::count_if(
            rows.begin(), rows.end(), [&](const StoredEvent* row) { return row->redelivered == as_get; }));
        const std::string_view method = as_get ? "GET" : "POST";
        if (stored < sent.accepted(as_get) && !ledger.is_quarantined(body)) {
            findings.push_back(fmt::format("run {}: a {} was answered 2xx {} times and is stored {} times: {}",
                                           sent.run->run_id, method, sent.accepted(as_get), stored, body));
        }
        if (stored > sent.tried(as_get)) {
            findings.push_back(fmt::format("run {}: a {} was tried {} times and is stored {} times: {}",
                                           sent.run->run_id, method, sent.tried(as_get), stored, body));
        }
    }
}

}  // namespace

Findings check_events(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries, const Ledger& ledger,
                      const EventRules& rules) {
    Findings findings;
    const SentBodies bodies = sent_bodies(runs, deliveries);
    std::unordered_map<std::string, std::vector<const StoredEvent*>> rows;
    std::set<std::tuple<std::string, std::int64_t, int>> names;
    for (const StoredEvent& row : ledger.events) {
        if (!names.emplace(row.segment, row.batch_number, row.event_index).second) {
            findings.push_back(fmt::format("{}: stored twice", place_of(row)));
        }
        const auto sent = bodies.find(row.body);
        if (sent == bodies.end()) {
            findings.push_back(fmt::format("{}: never sent: {}", place_of(row), row.body));
            continue;
        }
        rows[row.body].push_back(&row);
        check_row(row, sent->second, rules, findings);
    }
    for (const auto& [body, sent] : bodies) {
        check_counts(body, sent, rows[body], ledger, findings);
    }
    return findings;
}

}  // namespace runledger::test
