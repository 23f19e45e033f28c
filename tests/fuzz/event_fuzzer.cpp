// The event decoder on any bytes: it stops nowhere, the edge's check and the daemon's reading agree, and another JSON
// parser accepts, refuses and reads alike. The differences that are meant are as_rfc8259()'s and this list:
//   - a zero byte anywhere is refused (PostgreSQL's text can't hold one); the other takes it for the end;
//   - an empty body, one that is compressed, and one that is no UTF-8, have a fault of their own; to the other they are
//     no JSON. Which of two faults is named may differ: the other looks one token ahead;
//   - a number that was masked says nothing, where the other knows its value: progress may be missing, never another.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/event.hpp"
#include "tests/fuzz/claim.hpp"
#include "tests/fuzz/reference_event.hpp"

namespace runledger::fuzz {
namespace {

void edge_and_daemon_agree(const DecodeResult& decoded, std::string_view body) {
    const auto validated = validate_event(body);

    claim(decoded.index() == validated.index(), "validate_event and decode_event accept and refuse alike");
    if (const auto* refusal = std::get_if<Refusal>(&decoded)) {
        const auto& other = std::get<Refusal>(validated);
        claim(refusal->fault == other.fault, "validate_event and decode_event name the same fault");
        claim(refusal->offset == other.offset && refusal->offset <= body.size(),
              "validate_event and decode_event stop at the same byte of the body");
        claim(to_word(refusal->fault) != "unknown" && describe(refusal->fault) != "unknown fault",
              "a fault has a word and a sentence");
        return;
    }
    const auto& event = std::get<Event>(decoded);
    const auto& summary = std::get<EventSummary>(validated);
    claim(event.run_id == summary.run_id && event.status_word == summary.status_word &&
              event.beyond_parser == summary.beyond_parser,
          "validate_event and decode_event read the same");
}

void is_read_alike(const Event& event, const ReferenceEvent& reference) {
    claim(event.run_id == reference.run_id, "run_id is read alike");
    claim(event.status_word == reference.status_word, "status is read alike");
    claim(event.event_type == reference.event_type, "event_type is read alike");
    claim(event.live_status == reference.live_status, "live_status is read alike");
    claim(event.error == reference.error, "error is read alike");

    // RapidJSON rounds each digit of a long number; near the end of a double's range it gives up early.
    constexpr double range = 1e307;
    constexpr double precision = 1e-12;
    if (event.progress) {
        claim(std::isfinite(*event.progress), "progress is finite");
        claim(reference.progress && std::abs(*event.progress - *reference.progress) <=
                                        precision * std::abs(*reference.progress) + 1 / range,
              "progress is read alike");
    } else {
        claim(!reference.progress || reference.may_lack_progress || std::abs(*reference.progress) > range,
              "progress that a double holds is read");
    }

    claim(event.outputs_shape == reference.outputs_shape ||
              (event.outputs_shape == OutputsShape::null && reference.may_pass_for_null),
          "outputs is of the same shape");
    claim(event.outputs.size() == reference.outputs.size(), "there are as many outputs");
    for (std::size_t i = 0; i < event.outputs.size(); ++i) {
        claim(event.outputs[i].id == reference.outputs[i].id, "an output's id is read alike");
        claim(event.outputs[i].updated_at == reference.outputs[i].updated_at, "an output's updated_at is read alike");
    }
}

void outputs_are_bytes_of_the_body(const Event& event, std::string_view body) {
    const char* end = body.data();
    for (const Output& output : event.outputs) {
        claim(output.json.data() >= end && output.json.data() + output.json.size() <= body.data() + body.size(),
              "outputs stand in the body, one behind the other");
        end = output.json.data() + output.json.size();
        claim(is_json_object(as_rfc8259(output.json).text), "an output's bytes are one JSON object");
    }
}

void check(std::string_view body) {
    const DecodeResult decoded = decode_event(body);
    edge_and_daemon_agree(decoded, body);
    const auto* event = std::get_if<Event>(&decoded);
    if (event != nullptr) {
        outputs_are_bytes_of_the_body(*event, body);
    }
    if (body.find('\0') != std::string_view::npos) {
        claim(event == nullptr, "a zero byte is refused");
        return;
    }
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // Both skip one.
    const std::string_view mark = body.starts_with(byte_order_mark) ? byte_order_mark : "";
    const std::string_view unmarked = body.substr(mark.size());

    const Rfc8259 json = as_rfc8259(unmarked);
    const ReferenceResult reference = read_reference(std::string(mark) + json.text);

    if (event == nullptr) {
        const EventFault fault = std::get<Refusal>(decoded).fault;
        claim(reference.fault.has_value(), "what is refused is refused by the other parser too");
        const bool is_not_json = fault == EventFault::body_empty || fault == EventFault::body_compressed ||
                                 fault == EventFault::body_not_utf8;
        // Where a number was masked, the second reading of the body may meet its faults in another order.
        claim(json.has_unusual_number || *reference.fault == (is_not_json ? EventFault::body_not_json : fault),
              "both parsers name the same fault");
        claim(fault != EventFault::body_empty || unmarked.find_first_not_of(" \t\r\n") == std::string_view::npos,
              "what is called empty is blank");
        claim(fault != EventFault::body_compressed || unmarked.starts_with("\x1F\x8B"), "what is called gzip is");
        claim(fault != EventFault::body_not_utf8 || !is_utf8(body), "what is called no UTF-8 is none");
        return;
    }
    claim(!reference.fault, "what is accepted is accepted by the other parser too");
    is_read_alike(*event, reference.event);
    // The parser reads a lone low surrogate; where something else had the body masked, it was masked, too.
    claim(
        !event->beyond_parser || json.has_lone_high_surrogate || json.has_lone_low_surrogate || json.has_unusual_number,
        "nothing is beyond the parser but surrogates and numbers");
    claim(event->beyond_parser || !json.has_lone_high_surrogate, "a lone high surrogate is beyond the parser");
}

}  // namespace
}  // namespace runledger::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // libFuzzer's bytes are the body's characters.
    runledger::fuzz::check({reinterpret_cast<const char*>(data), size});
    return 0;
}
