// What a webhook's body says, read by another JSON parser than the edge's: the event fuzzer's oracle.
//
// The parser is nlohmann's, a strict reader of RFC 8259. What the edge takes on purpose and the RFC, or a double, does
// not is turned into plain JSON first, each kind by its own rule, and nothing else is touched. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.hpp"

namespace runledger::fuzz {

// The body with exactly these changed, where they are tokens or escapes of their own:
//   NaN, Infinity, Inf, with or without a minus: Python writes the first two, RapidJSON reads all three;
//   a number of RFC 8259 that no double holds, such as 1e400: JSON has no bound, and Python's integers have none;
//   the escape of a surrogate without its other half: JSON allows it, Python writes it.
// The first two become a number, the last U+FFFD's escape.
struct Rfc8259 {
    std::string text;
    bool has_lone_high_surrogate{false};  // A low one RapidJSON takes by itself.
    bool has_lone_low_surrogate{false};
    bool has_unusual_number{false};
};
[[nodiscard]] Rfc8259 as_rfc8259(std::string_view body);
// Whether the edge may mask a number written like this: some hundred digits, or an exponent of three.
[[nodiscard]] bool is_unusual_number(std::string_view token);
// Whether the token is what as_rfc8259() puts for NaN and numbers that no double holds.
[[nodiscard]] bool is_stand_in(std::string_view token);

// The same meanings as in Event and Output.
struct ReferenceOutput {
    std::string id;
    std::string updated_at;
};

struct ReferenceEvent {
    std::string run_id;
    std::string status_word;
    std::string event_type{"run.updated"};
    std::string live_status;
    std::string error;
    std::optional<double> progress;
    bool may_lack_progress{false};  // It is a number that the edge may mask, or none.
    OutputsShape outputs_shape{OutputsShape::absent};
    bool may_pass_for_null{false};  // `outputs` is a number that the edge may mask.
    std::vector<ReferenceOutput> outputs;
};

struct ReferenceResult {
    std::optional<EventFault> fault;  // body_not_json stands for body_empty and body_not_utf8, too.
    ReferenceEvent event;             // Where there is no fault.
};

[[nodiscard]] ReferenceResult read_reference(std::string_view rfc8259_text);

[[nodiscard]] bool is_utf8(std::string_view text);
// Whether the text is one JSON object and nothing else.
[[nodiscard]] bool is_json_object(std::string_view rfc8259_text);

}  // namespace runledger::fuzz
