#include "tests/oracle/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "common/digest.hpp"
#include "tests/oracle/payload.hpp"

namespace runledger::test {
namespace {

// The event's place among those of its boot.
auto place_in_boot(const StoredEvent& event) {
    const std::uint64_t digest = checksum64(std::as_bytes(std::span{event.body}));
    return std::make_tuple(event.boottime_us, event.received_at_us, event.redelivered,
                           static_cast<std::int64_t>(digest));
}

// The event's place among the first ones of each boot. The digest is compared as the signed number that PostgreSQL has.
auto instant_of(const StoredEvent& event) {
    const std::uint64_t digest = checksum64(std::as_bytes(std::span{event.body}));
    return std::make_tuple(event.received_at_us, event.boot_id, event.boottime_us, event.redelivered,
                           static_cast<std::int64_t>(digest));
}

const PlannedEvent* find_planned(const RunPlan& run, const std::string& body) {
    const auto found = std::find_if(run.events.begin(), run.events.end(),
                                    [&](const PlannedEvent& event) { return event.body == body; });
    return found == run.events.end() ? nullptr : &*found;
}

std::optional<RunStatus> terminal_status_of(const PlannedEvent& event) {
    const auto status = find_run_status(event.status);
    return status && is_terminal(*status) ? status : std::nullopt;
}

struct Milestones {
    const StoredEvent* running{};
    const StoredEvent* ending{};
    std::optional<RunStatus> ending_status{};
};

using EventsByBoot = std::map<std::string, const StoredEvent*>;

void keep_first_of_boot(EventsByBoot& firsts, const StoredEvent& event) {
    const StoredEvent*& first = firsts[event.boot_id];
    if (first == nullptr || place_in_boot(event) < place_in_boot(*first)) {
        first = &event;
    }
}

const StoredEvent* first_of_boots(const EventsByBoot& firsts) {
    const StoredEvent* first = nullptr;
    for (const auto& [boot, event] : firsts) {
        if (first == nullptr || instant_of(*event) < instant_of(*first)) {
            first = event;
        }
    }
    return first;
}

Milestones milestones_of(const RunPlan& run, const std::vector<const StoredEvent*>& events) {
    EventsByBoot running;
    EventsByBoot ending;
    for (const StoredEvent* event : events) {
        const PlannedEvent* planned = find_planned(run, event->body);
        if (planned == nullptr) {
            continue;  // check_events() has a sentence for it.
        }
        if (planned->status == "running") {
            keep_first_of_boot(running, *event);
        }
        if (terminal_status_of(*planned)) {
            keep_first_of_boot(ending, *event);
        }
    }
    Milestones found{.running = first_of_boots(running), .ending = first_of_boots(ending)};
    if (found.ending != nullptr) {
        found.ending_status = terminal_status_of(*find_planned(run, found.ending->body));
    }
    return found;
}

std::int64_t microseconds_between(const StoredEvent& from, const StoredEvent& to) {
    return from.boot_id == to.boot_id ? to.boottime_us - from.boottime_us : to.received_at_us - from.received_at_us;
}

std::string mapped(RunStatus terminal) {
    switch (terminal) {
        case RunStatus::success:
            return "completed";
        case RunStatus::failed:
        case RunStatus::timeout:
            return "failed";
        case RunStatus::cancelled:
            return "cancelled";
        case RunStatus::not_started:
        case RunStatus::queued:
        case RunStatus::started:
        case RunStatus::running:
        case RunStatus::uploading:
            break;
    }
    throw std::logic_error("not a terminal status");
}

void charge(ExpectedGeneration& expected, const PlannedRate& rate, bool same_clock) {
    if (!rate.usable) {
        expected.cost_note = ExpectedGeneration::any_reason;
        return;
    }
    const Decimal amount = Decimal::parse(rate.amount).value();  // A usable rate's amount is a number by its making.
    if (is_flat(rate.unit)) {
        expected.cost_usd = cost_of({.amount = amount, .duration_us = 1, .unit_us = 1});
        expected.cost_note.clear();
    } else if (rate.unit == "token" || rate.unit == "tokens") {
        expected.cost_usd = cost_of({.amount = amount, .duration_us = rate.tokens.value(), .unit_us = 1});
        expected.cost_note.clear();
    } else if (expected.duration_us) {
        expected.cost_usd =
            cost_of({.amount = amount, .duration_us = *expected.duration_us, .unit_us = unit_us_of(rate.unit).value()});
        expected.cost_note = same_clock ? "" : "clocks_differ";
    }
}

// Outputs by id over all stored events; an empty list adds nothing and erases nothing.
std::vector<const PlannedOutput*> merged_outputs(const RunPlan& run, const std::vector<const StoredEvent*>& events) {
    std::set<std::size_t> present;
    for (const StoredEvent* event : events) {
        if (const PlannedEvent* planned = find_planned(run, event->body)) {
            present.insert(planned->outputs.begin(), planned->outputs.end());
        }
    }
    std::vector<const PlannedOutput*> outputs;
    for (const std::size_t index : present) {
        outputs.push_back(&run.outputs[index]);
    }
    return outputs;
}

bool notice_may_be_partial(const RunPlan& run, const std::vector<const StoredEvent*>& events) {
    int endings = 0;
    bool outputs_before = false;
    for (const StoredEvent* event : events) {
        if (const PlannedEvent* planned = find_planned(run, event->body)) {
            const bool terminal = terminal_status_of(*planned).has_value();
            endings += terminal ? 1 : 0;
            outputs_before = outputs_before || (!terminal && !planned->outputs.empty());
        }
    }
    return endings > 1 && outputs_before;
}

std::string said(const std::optional<std::string>& value) { return value.value_or("NULL"); }

void compare_money(const StoredGeneration& row, const ExpectedGeneration& expected, Findings& findings) {
    const auto same = [](const std::optional<std::string>& stored, const std::optional<Decimal>& wanted) {
        return stored ? Decimal::parse(*stored) == wanted : !wanted.has_value();
    };
    std::optional<Decimal> duration_ms;
    if (expected.duration_us) {
        duration_ms = milliseconds_of(*expected.duration_us);
    }
    if (!same(row.duration_ms, duration_ms)) {
        findings.push_back(fmt::format("run {}: duration_ms is {}, not {}", row.run_id, said(row.duration_ms),
                                       duration_ms ? duration_ms->text() : "NULL"));
    }
    if (!same(row.cost_usd, expected.cost_usd)) {
        findings.push_back(fmt::format("run {}: cost_usd is {}, not {}", row.run_id, said(row.cost_usd),
                                       expected.cost_usd ? expected.cost_usd->text() : "NULL"));
    }
    const bool any = expected.cost_note == ExpectedGeneration::any_reason;
    const std::string note = row.cost_note.value_or("");
    if (any ? note.empty() : note != expected.cost_note) {
        findings.push_back(fmt::format("run {}: cost_note is \"{}\", not \"{}\"", row.run_id, note,
                                       any ? "a reason" : expected.cost_note));
    }
}

}  // namespace

std::optional<std::int64_t> unit_us_of(std::string_view unit) {
    constexpr std::int64_t second = 1'000'000;
    if (unit == "second" || unit == "seconds") {
        return second;
    }
    if (unit == "minute" || unit == "minutes") {
        return 60 * second;
    }
    if (unit == "hour" || unit == "hours") {
        return 3'600 * second;
    }
    return std::nullopt;
}

bool is_flat(std::string_view unit) {
    return unit == "run" || unit == "fixed" || unit == "request" || unit == "requests";
}

ExpectedGeneration expected_generation(const RunPlan& run, const std::vector<const StoredEvent*>& events) {
    const Milestones found = milestones_of(run, events);
    ExpectedGeneration expected;
    expected.outputs = merged_outputs(run, events);
    expected.notice_may_be_partial = notice_may_be_partial(run, events);
    if (found.ending == nullptr) {
        expected.status = found.running != nullptr ? "processing" : "pending";
        return expected;
    }
    expected.status = mapped(*found.ending_status);
    if (found.running == nullptr) {
        expected.cost_note = "no_running_event";
    } else if (const std::int64_t duration = microseconds_between(*found.running, *found.ending); duration < 0) {
        expected.cost_note = "running_after_end";
    } else {
        expected.duration_us = duration;
    }
    if (expected.status == "completed") {
        charge(expected, run.rate, found.running == nullptr || found.running->boot_id == found.ending->boot_id);
    } else {
        expected.cost_note = "not_charged";
    }
    return expected;
}

std::map<std::string, std::vector<const StoredEvent*>> events_by_run(const Ledger& ledger) {
    std::map<std::string, std::vector<const StoredEvent*>> events;
    for (const StoredEvent& event : ledger.events) {
        events[event.run_id].push_back(&event);
    }
    return events;
}

Findings check_generations(const std::vector<RunPlan>& runs, const Ledger& ledger) {
    Findings findings;
    std::map<std::string, std::vector<const StoredGeneration*>> rows;
    for (const StoredGeneration& row : ledger.generations) {
        rows[row.run_id].push_back(&row);
    }
    const auto events = events_by_run(ledger);
    for (const RunPlan& run : runs) {
        const auto found = rows.find(run.run_id);
        if (found == rows.end() || found->second.size() != 1) {
            findings.push_back(fmt::format("run {}: {} rows in generations, not 1", run.run_id,
                                           found == rows.end() ? 0 : found->second.size()));
            continue;
        }
        const StoredGeneration& row = *found->second.front();
        const auto own = events.find(run.run_id);
        const ExpectedGeneration expected =
            expected_generation(run, own == events.end() ? std::vector<const StoredEvent*>{} : own->second);
        if (row.status != expected.status) {
            findings.push_back(fmt::format("run {}: status is {}, not {}", run.run_id, row.status, expected.status));
        }
        compare_money(row, expected, findings);
        const bool ended = expected.status != "pending" && expected.status != "processing";
        if (ended) {
            compare_outputs(row, expected, findings);
        }
    }
    return findings;
}

}  // namespace runledger::test
