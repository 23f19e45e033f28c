#include "tests/property/run_events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <tuple>

namespace runledger::test {
namespace {

// Of the whole range: inRange() alone takes only as much of it as the size allows, which is nothing but `first` of a
// short range among small things.
rc::Gen<int> from_to_below(int first, int end) {
    return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(first, end));
}

rc::Gen<std::string> output_text() {
    using rc::gen::element;
    using Text = std::string;
    return rc::gen::map(
        rc::gen::tuple(
            element<Text>(R"("id": "a", )", R"("id": "a", )", R"("id": "b", )", R"("id": "", )", R"("id": null, )",
                          R"("id": 7, )", R"("id": "#0000000000000000", )", R"("id": "nul\u0000", )",
                          R"("id": ")" + Text(201, 'x') + R"(", )", ""),
            element<Text>(
                R"("updated_at": "2025-08-29T02:35:38.214Z", )", R"("updated_at": "2025-08-29T04:35:38.214+02:00", )",
                R"("updated_at": "2025-08-29T02:35", )", R"("updated_at": "0001-01-01T00:30:00+01:00", )",
                R"("updated_at": "9999-12-31T23:30:00-01:00", )", R"("updated_at": "0001-01-01T00:00:00Z", )",
                R"("updated_at": "yesterday", )", R"("updated_at": 1756434938, )", R"("updated_at": null, )", ""),
            element<Text>("0", "1", R"(["lone \ud800"])", "NaN", R"({"images": [{"url": "u"}]})",
                          R"({"images": [{"url": "u?X-Amz-Signature=s"}]})", "[]")),
        [](const auto& parts) {
            return "{" + std::get<0>(parts) + std::get<1>(parts) + R"("data": )" + std::get<2>(parts) + "}";
        });
}

rc::Gen<std::string> outputs_text() {
    return rc::gen::map(rc::gen::pair(from_to_below(0, 8),
                                      rc::gen::resize(3, rc::gen::container<std::vector<std::string>>(output_text()))),
                        [](const std::pair<int, std::vector<std::string>>& drawn) -> std::string {
                            const auto& [shape, outputs] = drawn;
                            if (shape == 0) {
                                return "null";
                            }
                            if (shape == 1 && !outputs.empty()) {
                                return outputs.front();  // An object in the array's place.
                            }
                            if (shape == 2) {
                                return R"(["no object", 7])";
                            }
                            return fmt::format("[{}]", fmt::join(outputs, ", "));
                        });
}

rc::Gen<std::string> body(const std::string& run_id) {
    using rc::gen::element;
    using Text = std::string;
    return rc::gen::map(
        rc::gen::tuple(
            element<Text>("queued", "started", "running", "running", "uploading", "success", "success", "failed",
                          "timeout", "cancelled", "not-started", "exploding", "processing", "odd\\u0000word",
                          Text(250, 'w') + "1", Text(250, 'w') + "2", ""),
            element<Text>("null", R"("Executing KSampler")", R"("Executing SaveImage")", R"("nul\u0000")", "7"),
            element<Text>("0.0", "0.5", "1.0", "null", "NaN", "-0.0", "1e400"),
            element<Text>("", "", R"(, "error": "out of memory")", R"(, "error_details": "why")"), outputs_text()),
        [run_id](const auto& parts) {
            return fmt::format(
                R"({{"status": "{}", "live_status": {}, "progress": {}{}, "run_id": "{}", "outputs": {}}})",
                std::get<0>(parts), std::get<1>(parts), std::get<2>(parts), std::get<3>(parts), run_id,
                std::get<4>(parts));
        });
}

std::string text_of(const std::optional<WallTime>& at) {
    return at ? std::to_string(at->time_since_epoch().count()) : "-";
}

std::string text_of(const EventStamp& s) {
    return fmt::format("{}/{}/{}/{}/{}", s.received_at.time_since_epoch().count(), s.boot.hex().substr(0, 2),
                       s.boottime.since_boot.count(), s.redelivered ? "again" : "first", s.digest);
}

std::string text_of(const std::optional<double>& progress) { return progress ? fmt::format("{}", *progress) : "-"; }

}  // namespace

Stamp SentEvent::stamp() const {
    return {.received_at = WallTime{std::chrono::seconds{1'700'000'000 + second}},
            .boottime = BootTime{std::chrono::seconds{boottime}}};
}

BootId SentEvent::boot_id() const {
    BootId id;
    // Above 127, too: bytes are compared without a sign.
    id.bytes[0] = static_cast<std::uint8_t>(boot * 200);
    return id;
}

void showValue(const SentEvent& event, std::ostream& out) {
    out << event.body << " at " << event.second << " boot " << event.boot << "/" << event.boottime
        << (event.redelivered ? " again" : "");
}

rc::Gen<std::vector<SentEvent>> some_events(const std::string& run_id) {
    // Resized: rapidcheck's usual hundred events say no more than a dozen. Few moments, so that some are the same.
    return rc::gen::resize(
        12, rc::gen::nonEmpty(rc::gen::container<std::vector<SentEvent>>(rc::gen::build<SentEvent>(
                rc::gen::set(&SentEvent::body, body(run_id)), rc::gen::set(&SentEvent::second, from_to_below(0, 3)),
                rc::gen::set(&SentEvent::boottime, from_to_below(0, 2)),
                rc::gen::set(&SentEvent::boot, from_to_below(0, 2)),
                rc::gen::set(&SentEvent::redelivered, rc::gen::arbitrary<bool>())))));
}

RunState state_of(const SentEvent& event) {
    ReceivedEvent received;
    received.event = std::get<Event>(decode_event(event.body));
    received.stamp = event.stamp();
    received.boot = event.boot_id();
    received.redelivered = event.redelivered;
    received.body = event.body;
    return runledger::state_of(received);
}

RunState fold(const std::vector<SentEvent>& events) {
    RunState state;
    for (const SentEvent& event : events) {
        merge(state, state_of(event));
    }
    return state;
}

std::string describe(const RunState& state) {
    std::string text = fmt::format("not_started={} queued={} started={} uploading={}", text_of(state.not_started_at),
                                   text_of(state.queued_at), text_of(state.started_at), text_of(state.uploading_at));
    for (const auto& [boot, moment] : state.running) {
        text += fmt::format(" running={}", text_of(moment));
    }
    for (const auto& [boot, ending] : state.ending) {
        text += fmt::format(" ending={}@{} {} {} {}", to_word(ending.status), text_of(ending.stamp),
                            text_of(ending.progress), ending.live_status, ending.error);
    }
    text += fmt::format(" latest={}@{} {} {} first={} count={}", state.latest.status_word, text_of(state.latest.stamp),
                        text_of(state.latest.progress), state.latest.live_status, text_of(state.first_received_at),
                        state.event_count);
    for (const auto& [word, at] : state.other_statuses) {
        text += fmt::format(" {}={}", word, text_of(at));
    }
    for (const auto& [key, output] : state.outputs) {
        text += fmt::format(" [{} {} {} {} {}]", key, text_of(output.updated_at), text_of(output.stamp),
                            output.position, output.json);
    }
    return text;
}

}  // namespace runledger::test
