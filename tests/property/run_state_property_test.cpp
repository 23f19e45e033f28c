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

// Of those that came in each boot the first by boottime; of these the first by wall time.
template <class IsMeant>
const SentEvent* first_of_boots(const std::vector<SentEvent>& events, IsMeant is_meant) {
    std::map<int, const SentEvent*> firsts;
    const auto order_in_boot = [](const SentEvent& e) {
        return std::make_tuple(e.boottime, e.second, e.redelivered, state_of(e).latest.stamp.digest);
    };
    for (const SentEvent& event : events) {
        if (!is_meant(std::get<Event>(decode_event(event.body)))) {
            continue;
        }
        const SentEvent*& first = firsts[event.boot];
        if (first == nullptr || order_in_boot(event) < order_in_boot(*first)) {
            first = &event;
        }
    }
    const SentEvent* first = nullptr;
    for (const auto& [boot, event] : firsts) {
        const auto order = [](const SentEvent& e) { return order_of(e, state_of(e).latest.stamp.digest); };
        if (first == nullptr || order(*event) < order(*first)) {
            first = event;
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
    const SentEvent* running =
        first_of_boots(events, [](const Event& event) { return event.status == RunStatus::running; });
    const EventStamp* kept = all.first_running();
    RC_ASSERT((kept != nullptr) == (running != nullptr));
    if (running != nullptr) {
        RC_ASSERT(kept->received_at == running->stamp().received_at);
        RC_ASSERT(kept->boot == running->boot_id());
        RC_ASSERT(kept->boottime == running->stamp().boottime);
        RC_ASSERT(kept->redelivered == running->redelivered);
    }
    for (const auto& [word, at] : all.other_statuses) {
        const SentEvent* other = first_of(events, [&word = word](const Event& event) {
            return !event.status && storable_text(event.status_word).substr(0, other_status_bytes_max) == word;
        });
        RC_ASSERT(time_of(other) == std::optional{at});
    }
}

RC_GTEST_PROP(RunState, EndsWithTheFirstTerminalEventOfTheBootThatHeardOneFirst, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    const SentEvent* first =
        first_of_boots(events, [](const Event& event) { return event.status && is_terminal(*event.status); });
    const RunEnding* ending = all.first_ending();
    RC_ASSERT((ending != nullptr) == (first != nullptr));
    if (first != nullptr) {
        const Event event = std::get<Event>(decode_event(first->body));
        RC_ASSERT(ending->stamp.received_at == first->stamp().received_at);
        RC_ASSERT(ending->stamp.boot == first->boot_id());
        RC_ASSERT(ending->stamp.boottime == first->stamp().boottime);
        RC_ASSERT(ending->status == *event.status);
        RC_ASSERT(ending->progress == event.progress);
        RC_ASSERT(ending->live_status == storable_text(event.live_status));
        RC_ASSERT(ending->error == event.error);
    }
}

// A run has up to a hundred `running` events; one that comes after the wall clock was set back is not the first.
TEST(RunState, MeasuresFromTheFirstRunningOfABootThoughItsWallClockIsSetBack) {
    const auto at = [](std::string status, int second, int boottime) {
        return SentEvent{.body = R"({"status": ")" + status + R"(", "run_id": "r", "outputs": []})",
                         .second = second,
                         .boottime = boottime};
    };

    const std::vector<SentEvent> events{at("running", 1200, 100), at("running", 1180, 110), at("success", 1230, 160),
                                        at("success", 1210, 170)};
    const RunState all = fold(events);

    ASSERT_NE(all.first_running(), nullptr);
    ASSERT_NE(all.first_ending(), nullptr);
    EXPECT_EQ(all.first_running()->boottime.since_boot, std::chrono::seconds{100});
    EXPECT_EQ(all.first_ending()->stamp.boottime.since_boot, std::chrono::seconds{160});
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

// As the generator writes them.
std::size_t signatures_in(std::string_view json) {
    std::size_t count = 0;
    for (std::size_t at = json.find("Signature="); at != std::string_view::npos; at = json.find("Signature=", at + 1)) {
        ++count;
    }
    return count;
}

TEST(RunState, CountsTheLinksThatAreSigned) {
    struct Row {
        const char* json;
        int count;
    };
    for (const Row& row :
         {Row{R"({"url": "https://h/a.png"})", 0},
          Row{R"({"url": "https://h/a.png?X-Amz-Date=20261129T230000Z&X-Amz-Expires=3600&X-Amz-Signature=abc"})", 1},
          Row{R"({"url": "https://h/a.png?X-Goog-Signature=abc"})", 1},
          Row{R"({"url": "https://h/a.png?Expires=1\u0026Signature=abc\u0026Key-Pair-Id=k"})", 1},
          Row{R"({"url": "https://h/a.png?sv=1&sig=abc"})", 1}, Row{R"({"url": "https://h/a.png?design=4"})", 0},
          Row{R"([{"url": "https://h/a?Signature=1"}, {"url": "https://h/b?Signature=1"}, "="])", 2}}) {
        EXPECT_EQ(count_signed_links(row.json), row.count) << row.json;
    }
}

RC_GTEST_PROP(RunState, NeverReplacesASignedLinkByAnUnsignedOneOfTheSameMoment, ()) {
    const auto event = [](std::string_view query, int second, int boot) {
        return SentEvent{
            .body = fmt::format(R"({{"status": "success", "run_id": "r", "outputs": [{{"id": "a", )"
                                R"("updated_at": "2026-11-29T22:00:00.000Z", "data": "https://h/a{}"}}]}})",
                                query),
            .second = second,
            .boottime = 0,
            .boot = boot,
            .redelivered = false};
    };
    std::vector<SentEvent> events{event("?X-Amz-Signature=abc", *rc::gen::inRange(0, 3), *rc::gen::inRange(0, 2)),
                                  event("", *rc::gen::inRange(0, 3), *rc::gen::inRange(0, 2))};
    if (*rc::gen::arbitrary<bool>()) {
        std::swap(events.front(), events.back());
    }

    const RunState state = fold(events);

    RC_ASSERT(state.outputs.at("a").json.find("Signature=") != std::string_view::npos);
}

RC_GTEST_PROP(RunState, KeepsTheNewestVersionOfEachOutput, ()) {
    const auto events = *some_events("r");
    const RunState all = fold(events);
    for (const auto& [key, kept] : all.outputs) {
        const auto newness = [](const SentEvent& event, const OutputVersion& output) {
            return std::make_tuple(output.updated_at ? output.updated_at->time_since_epoch().count() : INT64_MIN,
                                   signatures_in(output.json), event.second, event.boot, event.boottime,
                                   output.stamp.digest, output.position);
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
        RC_ASSERT(kept.position == std::get<6>(*newest));
    }
}

}  // namespace
}  // namespace runledger::test
