// A run's state, as a function of the set of its events: a join-semilattice, pure.
//
// merge() is associative, commutative and, but for event_count, idempotent; the SQL in queries/apply_upsert_runs.sql
// and apply_upsert_outputs.sql does the same between stored rows and a turn. Every choice has a total order
// behind it (docs/ARCHITECTURE.md, "Run state").
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/identity.hpp"

namespace runledger {

// When and how an event came, in the order in which stamps are compared.
struct EventStamp {
    WallTime received_at{};
    BootId boot;
    BootTime boottime;
    bool redelivered{false};
    std::int64_t digest{0};  // XXH3-64 of the body: decides last, and only between different bodies.

    friend auto operator<=>(const EventStamp&, const EventStamp&) = default;
};

// The name of a stored event.
struct EventName {
    BatchName batch;
    std::uint32_t index{};
};

struct RunEnding {
    EventStamp stamp;
    RunStatus status{};
    std::optional<double> progress;
    std::string live_status;
    std::string error;
};

struct RunLatest {
    EventStamp stamp;
    std::string status_word;
    std::optional<double> progress;
    std::string live_status;
};

// One version of one output; the greater one in the order of its members down to `position` is the newer.
struct OutputVersion {
    std::optional<WallTime> updated_at;  // Nothing (absent, unreadable) is older than any instant.
    EventStamp stamp;                    // With the digest of the output's own bytes.
    std::int32_t position{0};
    std::string_view json;  // Points into the batch's frame.
    EventName event;

    [[nodiscard]] bool is_newer_than(const OutputVersion& other) const noexcept;
};

struct RunState {
    std::optional<WallTime> not_started_at;
    std::optional<WallTime> queued_at;
    std::optional<WallTime> started_at;
    std::optional<WallTime> uploading_at;
    std::optional<EventStamp> running;
    std::optional<RunEnding> ending;
    RunLatest latest;
    WallTime first_received_at{};
    std::int64_t event_count{0};
    std::map<std::string, WallTime> other_statuses;  // Unknown words, cut to other_status_bytes_max.
    std::map<std::string, OutputVersion> outputs;    // By output key.
};

inline constexpr std::size_t other_status_bytes_max = 200;  // It is part of an index's key.
inline constexpr std::size_t output_key_bytes_max = 200;

struct ReceivedEvent {
    Event event;
    Stamp stamp;
    BootId boot;
    bool redelivered{false};
    std::string_view body;
    EventName name;
};

// The state that one event gives its run. Without its outputs if `with_outputs` is false.
[[nodiscard]] RunState state_of(const ReceivedEvent& received, bool with_outputs = true);

// Joins two states of one run.
void merge(RunState& into, const RunState& other);

// The provider's "2025-08-29T02:35:38.214Z": seconds, fraction and zone can be missing (then UTC); microseconds are
// cut, not rounded. Nothing for anything else, or beyond the years 1 to 9999 of UTC, which PostgreSQL can read.
[[nodiscard]] std::optional<WallTime> parse_provider_time(std::string_view text) noexcept;

// PostgreSQL's text can't hold U+0000; it becomes U+FFFD.
[[nodiscard]] std::string storable_text(std::string_view text);

}  // namespace runledger
