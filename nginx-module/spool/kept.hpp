// Retired segments that are kept for some time, so that they can be sent again to a ledger that was restored to an
// earlier point.
//
// They have no owner: any courier removes those whose time is over, or whose room is needed for new events, the oldest
// first. Used by the courier's thread alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

class KeptSegments {
public:
    KeptSegments(std::string folder, std::chrono::seconds keep_for, Files& files, CourierLog& log)
        : folder_(std::move(folder)), keep_for_(keep_for), files_(files), log_(log) {}

    // While the folder is being listed: clears the list, then adds one file after the other.
    void forget() noexcept;
    void note(std::string name, const FileFacts& facts);

    [[nodiscard]] std::size_t count() const noexcept { return kept_.size(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    // Removes segments whose time is over, at most a turn's share of them.
    void remove_expired(WallTime now);
    // Removes the oldest until this many bytes are free, or none is left. Returns the bytes that were freed. Stops at a
    // file that can't be removed, and logs it.
    std::uint64_t give_up(std::uint64_t bytes);

private:
    struct Kept {
        WallTime since;
        std::string name;
        std::uint64_t bytes{};
    };

    void sort();
    // The last one of the sorted list. False if it can't be removed.
    [[nodiscard]] bool remove_last();

    std::string folder_;
    std::chrono::seconds keep_for_;
    Files& files_;
    CourierLog& log_;
    std::vector<Kept> kept_;
    bool is_sorted_{true};  // The oldest last.
    std::uint64_t bytes_{};
};

}  // namespace runledger::edge
