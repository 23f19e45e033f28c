// Promise 3: a run's final state is a function of the set of its events.
//
// Two kinds of property: the merge's own laws, which hold for any order that is kept to; and what the state must be,
// found without the merge, which tells the documented order from its opposite.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>
#include <tuple>

#include "tests/property/run_events.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

// rapidcheck reads its parameters once, when the first property is tried. RC_PARAMS goes first.
const bool cases_are_set = [] {
    const int cases = from_environment("RUNLEDGER_PROPERTY_CASES", 1000);
    return setenv("RC_PARAMS", ("max_success=" + std::to_string(cases)).c_str(), 0) == 0;
}();

std::vector<SentEvent> shuffled(std::vector<SentEvent> events, std::mt19937& random) {
    std::shuffle(events.begin(), events.end(), random);
    return events;
}

// Cut into batches at random places; each is folded by itself, and the batches are joined in any order.
RunState fold_in_batches(const std::vector<SentEvent>& events, std::mt19937& random) {
    std::vector<RunState> batches(1);
    for (const SentEvent& event : events) {
        if (batches.back().event_count > 0 && random() % 3 == 0) {
            batches.emplace_back();
        }
        merge(batches.back(), state_of(event));
    }
    while (batches.size() > 1) {
        std::shuffle(batches.begin(), batches.end(), random);
        merge(*(batches.end() - 2), batches.back());
        batches.pop_back();
    }
    return batches.front();
}

RC_GTEST_PROP(RunState, IsTheSameForAnyOrderCopiesAndBatches, ()) {
    const auto events = *some_events("r");
    std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
    auto sent = events;
    for (std::size_t copies = random() % (events.size() + 1); copies > 0; --copies) {
        sent.push_back(events[random() % events.size()]);
    }
    sent = shuffled(sent, random);
    RunState state = fold_in_batches(sent, random);
    RC_ASSERT(state.event_count == static_cast<std::int64_t>(sent.size()));
    state.event_count = static_cast<std::int64_t>(events.size());
    RC_ASSERT(describe(state) == describe(fold(events)));
}

RC_GTEST_PROP(RunState, JoinsInAnyOrderAndGrouping, ()) {
    const auto a_events = *some_events("r");
    const auto b_events = *some_events("r");
    const auto c_events = *some_events("r");
    const auto join = [](RunState left, const RunState& right) {
        merge(left, right);
        return left;
    };
    const RunState a = fold(a_events);
    const RunState b = fold(b_events);
    const RunState c = fold(c_events);
    RC_ASSERT(describe(join(a, b)) == describe(join(b, a)));
    RC_ASSERT(describe(join(join(a, b), c)) == describe(join(a, join(b, c))));
    RunState twice = join(a, a);
    twice.event_count = a.event_count;
    RC_ASSERT(describe(twice) == describe(a));
}

// An output is one with those of its id; without a usable id, with those of the same text.
std::string identity_of(const Output& output) {
    const bool is_usable = !output.id.empty() && output.id.size() <= 200 && output.id[0] != '#' &&
                           output.id.find('\0') == std::string::npos;
    return is_usable ? "id " + output.id : "text " + std::string{output.json};
}

RC_GTEST_PROP(RunState, NeverLosesAnOutput, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    std::set<std::string> keys;
    std::set<std::string> identities;
    for (const SentEvent& event : events) {
        for (const auto& [key, output] : state_of(event).outputs) {
            keys.insert(key);
        }
        const Event decoded = std::get<Event>(decode_event(event.body));
        for (const Output& output : decoded.outputs) {
            identities.insert(identity_of(output));
        }
    }
    RC_ASSERT(all.outputs.size() == identities.size());
    RC_ASSERT(all.outputs.size() == keys.size());
    for (const auto& [key, output] : all.outputs) {
        RC_ASSERT(keys.contains(key));
    }
}

// The order of docs/ARCHITECTURE.md, "Run state", written down a second time.
auto order_of(const SentEvent& event, std::int64_t digest) {
    return std::make_tuple(event.second, event.boot, event.boottime, event.redelivered, digest);
}

// The first in that order of those whose status `is_meant`; nothing if there is none.
template <class IsMeant>
const SentEvent* first_of(const std::vector<SentEvent>& events, IsMeant is_meant) {
    const SentEvent* first = nullptr;
    for (const SentEvent& event : events) {
        const auto order = [](const SentEvent& e) { return order_of(e, state_of(e).latest.stamp.digest); };
        if (is_meant(std::get<Event>(decode_event(event.body))) && (first == nullptr || order(event) < order(*first))) {
            first = &event;
        }
    }
    return first;
}

std::optional<WallTime> time_of(const SentEvent* event) {
    return event == nullptr ? std::nullopt : std::optional{event->stamp().received_at};
}

RC_GTEST_PROP(RunState, TakesTheEarliestOfEachStatus, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    const auto first = [&](RunStatus status) {
        return first_of(events, [status](const Event& event) { return event.status == status; });
    };
    RC_ASSERT(all.not_started_at == time_of(first(RunStatus::not_started)));
    RC_ASSERT(all.queued_at == time_of(first(RunStatus::queued)));
    RC_ASSERT(all.started_at == time_of(first(RunStatus::started)));
    RC_ASSERT(all.uploading_at == time_of(first(RunStatus::uploading)));
    RC_ASSERT(all.first_received_at == *time_of(first_of(events, [](const Event&) { return true; })));
    const SentEvent* running = first(RunStatus::running);
    RC_ASSERT(all.running.has_value() == (running != nullptr));
    if (running != nullptr) {
        RC_ASSERT(all.running->received_at == running->stamp().received_at);
        RC_ASSERT(all.running->boot == running->boot_id());
        RC_ASSERT(all.running->boottime == running->stamp().boottime);
        RC_ASSERT(all.running->redelivered == running->redelivered);
    }
    for (const auto& [word, at] : all.other_statuses) {
        const SentEvent* other = first_of(events, [&word = word](const Event& event) {
            return !event.status && storable_text(event.status_word).substr(0, other_status_bytes_max) == word;
        });
        RC_ASSERT(time_of(other) == std::optional{at});
    }
}

RC_GTEST_PROP(RunState, EndsWithTheTerminalEventReceivedFirst, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    const SentEvent* first =
        first_of(events, [](const Event& event) { return event.status && is_terminal(*event.status); });
    RC_ASSERT(all.ending.has_value() == (first != nullptr));
    if (first != nullptr) {
        const Event event = std::get<Event>(decode_event(first->body));
        RC_ASSERT(all.ending->stamp.received_at == first->stamp().received_at);
        RC_ASSERT(all.ending->stamp.boot == first->boot_id());
        RC_ASSERT(all.ending->stamp.boottime == first->stamp().boottime);
        RC_ASSERT(all.ending->status == *event.status);
        RC_ASSERT(all.ending->progress == event.progress);
        RC_ASSERT(all.ending->live_status == storable_text(event.live_status));
        RC_ASSERT(all.ending->error == event.error);
    }
}

RC_GTEST_PROP(RunState, TellsTheProgressOfTheEventReceivedLast, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    const auto order = [](const SentEvent& e) { return order_of(e, state_of(e).latest.stamp.digest); };
    const SentEvent& last = *std::max_element(
        events.begin(), events.end(), [&](const SentEvent& a, const SentEvent& b) { return order(a) < order(b); });
    const Event event = std::get<Event>(decode_event(last.body));
    RC_ASSERT(all.latest.stamp.received_at == last.stamp().received_at);
    RC_ASSERT(all.latest.status_word == storable_text(event.status_word));
    RC_ASSERT(all.latest.progress == event.progress);
    RC_ASSERT(all.latest.live_status == storable_text(event.live_status));
}

RC_GTEST_PROP(RunState, KeepsTheNewestVersionOfEachOutput, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    for (const auto& [key, kept] : all.outputs) {
        const auto newness = [](const SentEvent& event, const OutputVersion& output) {
            return std::make_tuple(output.updated_at ? output.updated_at->time_since_epoch().count() : INT64_MIN,
                                   event.second, event.boot, event.boottime, output.stamp.digest, output.position);
        };
        std::optional<decltype(newness(events.front(), kept))> newest;
        std::string json;
        for (const SentEvent& event : events) {
            // One output at a time, so that an event with two of a key says both.
            const Event decoded = std::get<Event>(decode_event(event.body));
            for (std::size_t i = 0; i < decoded.outputs.size(); ++i) {
                ReceivedEvent received{.event = decoded,
                                       .stamp = event.stamp(),
                                       .boot = event.boot_id(),
                                       .redelivered = event.redelivered,
                                       .body = event.body,
                                       .name = {}};
                received.event.outputs = {decoded.outputs[i]};
                const auto said = runledger::state_of(received);
                const auto found = said.outputs.find(key);
                if (found == said.outputs.end()) {
                    continue;
                }
                OutputVersion version = found->second;
                version.position = static_cast<std::int32_t>(i);
                if (!newest || newness(event, version) > *newest) {
                    newest = newness(event, version);
                    json = decoded.outputs[i].json;
                }
            }
        }
        RC_ASSERT(newest.has_value());
        RC_ASSERT(std::string(kept.json) == json);
        RC_ASSERT(kept.position == std::get<5>(*newest));
    }
}

TEST(ParseProviderTime, ReadsWhatTheProviderWrites) {
    const auto micros = [](std::string_view text) {
        const auto time = parse_provider_time(text);
        return time ? time->time_since_epoch().count() : -1;
    };

    EXPECT_EQ(micros("2025-08-29T02:35:38.214Z"), 1'756'434'938'214'000);
    EXPECT_EQ(micros("2025-08-29T02:35:38.2145678Z"), 1'756'434'938'214'567);
    EXPECT_EQ(micros("2025-08-29T02:35:38Z"), 1'756'434'938'000'000);
    EXPECT_EQ(micros("2025-08-29T02:35Z"), 1'756'434'900'000'000);
    EXPECT_EQ(micros("2025-08-29T02:35:38"), 1'756'434'938'000'000);
    EXPECT_EQ(micros("2025-08-29 04:35:38.214+02:00"), 1'756'434'938'214'000);
    EXPECT_EQ(micros("2025-08-28T21:35:38.214-0500"), 1'756'434'938'214'000);
}

TEST(ParseProviderTime, ReadsNothingFromAnythingElse) {
    for (const char* text :
         {"", "yesterday", "2025-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2025-08-29", "2025-08-29T24:00:00Z",
          "2025-08-29T02:60:00Z", "2025-08-29T02:35:61Z", "2025-08-29T02:35:38Z and more", "0000-01-01T00:00:00Z",
          "2025-08-29T02:35:38+25:00", "+025-08-29T02:35:38Z", "2025-08-29T-1:35:38Z"}) {
        EXPECT_EQ(parse_provider_time(text), std::nullopt) << text;
    }
}

// timestamptz has no year 0, and a year of five digits would be read as something else: what PostgreSQL refuses would
// cost the event its outputs.
TEST(ParseProviderTime, ReadsNothingBeyondTheYearsOneTo9999OfUtc) {
    EXPECT_EQ(parse_provider_time("0001-01-01T00:30:00+01:00"), std::nullopt);
    EXPECT_EQ(parse_provider_time("9999-12-31T23:30:00-01:00"), std::nullopt);
    EXPECT_NE(parse_provider_time("0001-01-01T00:30:00Z"), std::nullopt);
    EXPECT_NE(parse_provider_time("9999-12-31T23:30:00Z"), std::nullopt);
}

}  // namespace
}  // namespace runledger::test
