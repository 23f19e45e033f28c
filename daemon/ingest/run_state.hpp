// A run's state, as a function of the set of its events: a join-semilattice, pure.
//
// merge() is associative, commutative and, but for event_count, idempotent; the SQL in
// sql/queries/apply/upsert_runs.sql and upsert_outputs.sql does the same between what is stored and what comes. Every
// choice has a total order behind it (docs/ARCHITECTURE.md, "Run state"). What a price depends on, `running` and the
// ending, is kept for each boot of an edge: within a boot the boottime decides, so a wall clock that is stepped changes
// nothing that one boot has measured.
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

// When and how an event came. Its order is that of wall time: between boots no other clock compares.
struct EventStamp {
    WallTime received_at{};
    BootId boot;
    BootTime boottime;
    bool redelivered{false};
    std::int64_t digest{0};  // XXH3-64 of the body: decides last, and only between different bodies.

    friend auto operator<=>(const EventStamp&, const EventStamp&) = default;

    // Whether it came before another event of the same boot.
    [[nodiscard]] bool is_before_in_boot(const EventStamp& other) const noexcept;
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
    std::int32_t signed_links{0};        // Of one moment, the version with more of them: others can't be opened.
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
    std::map<BootId, EventStamp> running;  // The first of each boot.
    std::map<BootId, RunEnding> ending;    // The first of each boot.
    RunLatest latest;
    WallTime first_received_at{};
    std::int64_t event_count{0};
    std::map<std::string, WallTime> other_statuses;  // Unknown words, cut to other_status_bytes_max.
    std::map<std::string, OutputVersion> outputs;    // By output key.

    // The one that counts, of the boots' first ones: the earliest by wall time. nullptr: none.
    [[nodiscard]] const EventStamp* first_running() const noexcept;
    [[nodiscard]] const RunEnding* first_ending() const noexcept;
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

// How many links in an output's JSON are signed: parameters named Signature, X-Amz-Signature, X-Goog-Signature or sig.
[[nodiscard]] std::int32_t count_signed_links(std::string_view json) noexcept;

// PostgreSQL's text can't hold U+0000; it becomes U+FFFD.
[[nodiscard]] std::string storable_text(std::string_view text);

}  // namespace runledger
