// The bounds that both sides use, and how they depend on each other.
//
// A bound that only one side uses is defined there. A bound that two parts must agree on is defined here, so that a
// change that would break the other part does not compile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runledger {

inline constexpr std::size_t run_id_bytes_max = 128;
inline constexpr std::size_t json_depth_max = 64;

// The largest body that is accepted. Text outputs have no bound (docs/sender.md, "Outputs"), and a refused event is
// usually lost, so this is eight times what a very large body has.
inline constexpr std::size_t body_bytes_max = 8UL * 1024 * 1024;

// A body up to this size is validated in nginx's event loop; a larger one by the courier (6-8 ms per MiB).
inline constexpr std::size_t body_in_loop_bytes_max = 64UL * 1024;

// A batch is closed when the next event would exceed this. A single larger event is a batch by itself.
inline constexpr std::size_t batch_bytes_soft_max = 1024UL * 1024;
inline constexpr std::size_t batch_events_max = 4096;

inline constexpr std::size_t edge_name_bytes_max = 255;

// The largest frame on the wire, and so the largest record's payload in a segment.
inline constexpr std::size_t wire_overhead_bytes_max = 4096;
inline constexpr std::size_t wire_message_bytes_max = body_bytes_max + wire_overhead_bytes_max;

// A segment is sealed when the next record would exceed this.
inline constexpr std::size_t segment_bytes = 16UL * 1024 * 1024;

// Bytes sent and not yet answered, for each courier.
inline constexpr std::size_t window_bytes_max = 16UL * 1024 * 1024;

// Bytes that the daemon holds between the socket and the appliers. Over this bound it answers `busy`.
inline constexpr std::size_t intake_bytes_max = 64UL * 1024 * 1024;

static_assert(body_in_loop_bytes_max <= batch_bytes_soft_max);
static_assert(batch_bytes_soft_max <= body_bytes_max, "one event of the largest size is still one batch");
static_assert(wire_message_bytes_max < segment_bytes, "the largest batch fits an empty segment");
static_assert(wire_message_bytes_max <= window_bytes_max,
              "the largest batch fits the window, or it would never be sent");
static_assert(window_bytes_max <= intake_bytes_max, "one edge alone can't make the daemon busy for ever");

}  // namespace runledger
