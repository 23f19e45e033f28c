// How the operator's tool writes segments, batches and events: for eyes, and as JSON, one object a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/wire.hpp"
#include "daemon/tool/spool/folder.hpp"

namespace runledger::tool {

// "2026-11-23T22:54:12.123456Z"
[[nodiscard]] std::string to_text(WallTime time);

// "owned", "orphan", "kept", "damaged", or what is wrong: "unknown_version".
[[nodiscard]] std::string_view state_of(const SegmentLook& look);

// What a segment holds, counted.
struct SegmentSums {
    std::uint64_t batches{};
    std::uint64_t events{};
    std::uint64_t body_bytes{};
    std::string first_received_at;  // Empty without an event.
    std::string last_received_at;
};
[[nodiscard]] SegmentSums sum_up(const SegmentContent& content);

[[nodiscard]] std::string to_json(const SegmentLook& look, const SegmentSums& sums);

// One event with its name (segment, batch, index). The body stands as a string under "body", or, if it is no UTF-8,
// as hexadecimal digits under "body_hex"; without it, its size stands under "bytes".
enum class WithBody : std::uint8_t { no, yes };
[[nodiscard]] std::string to_json(const wire::Batch& batch, std::size_t index, WithBody with_body);

// A line for eyes, without the body.
[[nodiscard]] std::string to_line(const wire::Batch& batch, std::size_t index);

}  // namespace runledger::tool
