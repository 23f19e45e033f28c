// A spool's settings and its figures. Plain values, for whoever configures a spool or shows it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/spool_identity.hpp"

namespace runledger::edge {

struct SpoolSettings {
    std::string folder;
    std::uint64_t bytes_max{1024UL * 1024 * 1024};  // Allocated bytes of the folder's segments, whoever owns them.
    std::chrono::seconds keep_acked{0};             // How long retired segments are kept, if their room is not needed.
    std::optional<SpoolHost> host{};                // The host that the folder must belong to. Nothing: any.

    // No directive sets these; tests do.
    std::size_t moving_segments_max{8};   // Open ones with batches to send, besides the one being written.
    std::size_t parked_segments_max{16};  // Open ones that wait for a retirement or have refused batches.
    std::chrono::milliseconds adopt_every{1000};
    std::chrono::milliseconds seal_idle_after{60'000};
    std::chrono::milliseconds avoid_for{60'000};  // A segment that can't be read, or was released unfinished.
    std::chrono::milliseconds read_slice{50};     // After which a commit may come between two reads of an adoption.
};

struct SpoolFigures {
    // Since the courier's start.
    std::uint64_t segments_adopted{};
    std::uint64_t segments_removed{};  // Unlinked, kept or set aside: no longer this courier's.
    std::uint64_t segments_damaged{};  // How many of the removed ones were renamed as damaged.

    // Of this courier, now.
    std::uint64_t batches_unacked{};
    std::uint64_t oldest_unacked_seconds{};

    // Of the whole folder, whoever owns what is in it, when last looked at.
    std::uint64_t folder_bytes{};
    std::uint64_t folder_segments{};  // Neither kept nor set aside.
    std::uint64_t folder_damaged_segments{};
    std::uint64_t folder_kept_segments{};  // Retired, and kept for keep_acked.
    std::uint64_t folder_kept_bytes{};     // Part of folder_bytes.
};

}  // namespace runledger::edge
