// Promise 3: a run's final state is a function of the set of its events.
//
// Times, boots and bodies are drawn from few values, so that ties, which the total orders must settle, are common.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "daemon/run_state.hpp"

namespace runledger {

// For rapidcheck's reports and the comparisons below: everything but the views' addresses.
std::string describe(const RunState& state) {
    const auto time = [](const std::optional<WallTime>& at) {
        return at ? std::to_string(at->time_since_epoch().count()) : std::string("-");
    };
    const auto stamp = [](const EventStamp& s) {
        return std::to_string(s.received_at.time_since_epoch().count()) + "/" + s.boot.hex().substr(0, 2) + "/" +
               std::to_string(s.boottime.since_boot.count()) + "/" + (s.redelivered ? "again" : "first") + "/" +
               std::to_string(s.digest);
    };
    std::string text = "not_started=" + time(state.not_started_at) + " queued=" + time(state.queued_at) +
                       " started=" + time(state.started_at) + " uploading=" + time(state.uploading_at) +
                       " running=" + (state.running ? stamp(*state.running) : "-");
    if (state.ending) {
        text += " ending=" + std::string(to_word(state.ending->status)) + "@" + stamp(state.ending->stamp) + " " +
                state.ending->live_status + " " + state.ending->error;
    }
    text += " latest=" + state.latest.status_word + "@" + stamp(state.latest.stamp) + " " + state.latest.live_status;
    text += " first=" + time(state.first_received_at) + " count=" + std::to_string(state.event_count);
    for (const auto& [word, at] : state.other_statuses) {
        text += " " + word + "=" + time(at);
    }
    for (const auto& [key, output] : state.outputs) {
        text += " [" + key + " " + time(output.updated_at) + " " + stamp(output.stamp) + " " +
                std::to_string(output.position) + " " + std::string(output.json) + "]";
    }
    return text;
}

namespace {

// A body and when it came; the run is the same for all.
struct Delivery {
    std::string body;
    int second{};
    int boottime{};
    int boot{};
    bool redelivered{false};
};

void showValue(const Delivery& delivery, std::ostream& out) {
    out << delivery.body << " at " << delivery.second << " boot " << delivery.boot << "/" << delivery.boottime
        << (delivery.redelivered ? " again" : "");
}

RunState state_of(const Delivery& delivery) {
    auto decoded = decode_event(delivery.body);
    ReceivedEvent received;
    received.event = std::get<Event>(decoded);
    received.stamp.received_at = WallTime{std::chrono::seconds{1'700'000'000 + delivery.second}};
    received.stamp.boottime = BootTime{std::chrono::seconds{delivery.boottime}};
    received.boot.bytes[0] = static_cast<std::uint8_t>(delivery.boot);
    received.redelivered = delivery.redelivered;
    received.body = delivery.body;
    return runledger::state_of(received);
}

RunState fold(const std::vector<Delivery>& deliveries) {
    RunState state;
    for (const Delivery& delivery : deliveries) {
        merge(state, state_of(delivery));
    }
    return state;
}

rc::Gen<std::string> output_body() {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::element<std::string>(R"("id": "a", )", R"("id": "b", )", R"("id": "", )", ""),
                       rc::gen::element<std::string>(R"("updated_at": "2025-08-29T02:35:38.214Z", )",
                                                     R"("updated_at": "2025-08-29T02:35", )",
                                                     R"("updated_at": "yesterday", )", ""),
                       rc::gen::inRange(0, 3)),
        [](const auto& parts) {
            return "{" + std::get<0>(parts) + std::get<1>(parts) + R"("data": )" + std::to_string(std::get<2>(parts)) +
                   "}";
        });
}

rc::Gen<std::string> event_body() {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::element<std::string>("queued", "started", "running", "running", "uploading", "success",
                                                     "failed", "timeout", "cancelled", "exploding", "not-started"),
                       rc::gen::element<std::string>("null", R"("Executing KSampler")", R"("Executing SaveImage")"),
                       rc::gen::element<std::string>("0.0", "0.5", "1.0"), rc::gen::inRange(0, 4),
                       rc::gen::container<std::vector<std::string>>(output_body())),
        [](const auto& parts) {
            std::string outputs = "[]";
            const auto& bodies = std::get<4>(parts);
            if (std::get<3>(parts) == 0 && !bodies.empty()) {
                outputs = bodies.front();  // An object in the array's place.
            } else if (std::get<3>(parts) < 3) {
                outputs = "[";
                for (const std::string& body : bodies) {
                    outputs += (outputs.size() > 1 ? ", " : "") + body;
                }
                outputs += "]";
            }
            return R"({"status": ")" + std::get<0>(parts) + R"(", "live_status": )" + std::get<1>(parts) +
                   R"(, "progress": )" + std::get<2>(parts) + R"(, "run_id": "r", "outputs": )" + outputs + "}";
        });
}

rc::Gen<std::vector<Delivery>> some_deliveries() {
    return rc::gen::nonEmpty(rc::gen::container<std::vector<Delivery>>(rc::gen::build<Delivery>(
        rc::gen::set(&Delivery::body, event_body()), rc::gen::set(&Delivery::second, rc::gen::inRange(0, 4)),
        rc::gen::set(&Delivery::boottime, rc::gen::inRange(0, 3)),
        rc::gen::set(&Delivery::boot, rc::gen::inRange(0, 2)),
        rc::gen::set(&Delivery::redelivered, rc::gen::arbitrary<bool>()))));
}

RC_GTEST_PROP(RunState, IsTheSameInAnyOrder, ()) {
    auto deliveries = *some_deliveries();
    const std::string expected = describe(fold(deliveries));
    std::shuffle(deliveries.begin(), deliveries.end(), std::mt19937(*rc::gen::arbitrary<std::uint32_t>()));
    RC_ASSERT(describe(fold(deliveries)) == expected);
}

RC_GTEST_PROP(RunState, IsTheSameInAnySplitIntoBatches, ()) {
    const auto deliveries = *some_deliveries();
    const auto middle =
        deliveries.begin() + static_cast<std::ptrdiff_t>(*rc::gen::inRange<std::size_t>(0, deliveries.size()));
    // Kept, since the states' outputs point into the bodies.
    const std::vector<Delivery> first_part(deliveries.begin(), middle);
    const std::vector<Delivery> second_part(middle, deliveries.end());
    RunState first = fold(first_part);
    const RunState second = fold(second_part);
    if (middle == deliveries.begin()) {
        first = second;
    } else {
        merge(first, second);
    }
    RC_ASSERT(describe(first) == describe(fold(deliveries)));
}

RC_GTEST_PROP(RunState, IsTheSameWithCopiesButForTheirCount, ()) {
    const auto deliveries = *some_deliveries();
    auto twice = deliveries;
    twice.insert(twice.end(), deliveries.begin(), deliveries.end());
    RunState state = fold(twice);
    RC_ASSERT(state.event_count == static_cast<std::int64_t>(twice.size()));
    state.event_count = static_cast<std::int64_t>(deliveries.size());
    RC_ASSERT(describe(state) == describe(fold(deliveries)));
}

RC_GTEST_PROP(RunState, NeverLosesAnOutput, ()) {
    const auto deliveries = *some_deliveries();
    const RunState all = fold(deliveries);
    for (const Delivery& delivery : deliveries) {
        for (const auto& [key, output] : state_of(delivery).outputs) {
            RC_ASSERT(all.outputs.contains(key));
        }
    }
}

// What must hold of the result, said without the merge.
RC_GTEST_PROP(RunState, TakesTheEarliestOfEachStatus, ()) {
    const auto deliveries = *some_deliveries();
    const RunState all = fold(deliveries);
    std::optional<int> running;
    std::optional<int> terminal;
    for (const Delivery& delivery : deliveries) {
        const auto event = std::get<Event>(decode_event(delivery.body));
        auto& earliest = event.status == RunStatus::running ? running : terminal;
        if (event.status && (event.status == RunStatus::running || is_terminal(*event.status))) {
            earliest = std::min(earliest.value_or(delivery.second), delivery.second);
        }
    }
    const auto at = [](int second) { return WallTime{std::chrono::seconds{1'700'000'000 + second}}; };
    RC_ASSERT(all.running.has_value() == running.has_value());
    RC_ASSERT(all.ending.has_value() == terminal.has_value());
    if (running) {
        RC_ASSERT(all.running->received_at == at(*running));
    }
    if (terminal) {
        RC_ASSERT(all.ending->stamp.received_at == at(*terminal));
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

}  // namespace
}  // namespace runledger
