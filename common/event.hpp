// Decodes a webhook's body. The edge uses it to refuse bodies that hold no event, the daemon to read events.
//
// Tolerant where the sender is odd (docs/sender.md, "Body"): unknown keys and statuses, a missing event_type, any key
// order, NaN, a byte order mark, numbers and escapes that our parser can't represent. Pure functions; views point into
// the body that was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/status.hpp"

namespace runledger {

enum class EventFault : std::uint8_t {
    body_empty,
    body_compressed,
    body_not_json,
    body_not_utf8,
    body_not_object,
    body_too_deep,
    run_id_missing,
    run_id_not_string,
    run_id_empty,
    run_id_too_long,
    status_missing,
    status_not_string,
};

// A stable word, for logs, metrics and the problem document's `type`: "run_id_missing".
[[nodiscard]] std::string_view to_word(EventFault fault) noexcept;
// A sentence for the sender's operator: "run_id is missing".
[[nodiscard]] std::string_view describe(EventFault fault) noexcept;

struct Refusal {
    EventFault fault{};
    std::size_t offset{};  // Byte in the body where the reader stopped; 0 if the fault has no place.
};

enum class OutputsShape : std::uint8_t { absent, null, array, object, other };

// One element of `outputs`, or `outputs` itself where it is an object.
struct Output {
    std::string id;          // Empty if the sender gave none.
    std::string updated_at;  // As written; empty if absent or not a string.
    std::string_view json;   // The element's own bytes in the body; PostgreSQL's jsonb may still refuse them.
};

// Strings are decoded to valid UTF-8; the escape of a lone surrogate becomes U+FFFD. They may contain U+0000, which
// PostgreSQL's text can't hold. If a key is repeated, the last one counts, as in Python and in jsonb.
struct Event {
    std::string run_id;
    std::string status_word;
    std::optional<RunStatus> status;  // Nothing for an unknown word.
    std::string event_type{"run.updated"};
    std::string live_status;         // Empty if null, absent or not a string.
    std::optional<double> progress;  // Finite; nothing if absent, null, NaN or beyond a double.
    std::string error;               // From `error`, else `error_details`; empty if neither is a string.
    OutputsShape outputs_shape{OutputsShape::absent};
    std::vector<Output> outputs;  // In the body's order; elements that are not objects are left out.
    bool beyond_parser{false};    // A number or escape was masked to read the rest.
};

using DecodeResult = std::variant<Event, Refusal>;

[[nodiscard]] DecodeResult decode_event(std::string_view body);

// What the edge keeps of an accepted event; no copies of outputs are made.
struct EventSummary {
    std::string run_id;
    std::string status_word;
    bool beyond_parser{false};
};

// Accepts and refuses exactly as decode_event does.
[[nodiscard]] std::variant<EventSummary, Refusal> validate_event(std::string_view body);

}  // namespace runledger
