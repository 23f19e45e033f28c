// The segments that were retired and are kept for a while, so that a ledger that was restored to an earlier point can
// be fed again.
//
// Nobody owns them: any courier removes what has been kept for long enough, or what stands in the way of new events,
// the oldest first. Used by the courier's thread alone.
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

    // While the folder is being listed: begins anew, and takes note of one file after the other.
    void forget() noexcept;
    void note(std::string name, const FileFacts& facts);

    [[nodiscard]] std::size_t count() const noexcept { return kept_.size(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    // Removes those whose time is over, but only a turn's share of them.
    void remove_expired(WallTime now);
    // Removes the oldest until so many bytes are free, or none are left. Returns how many were freed. What can't be
    // removed is logged, and ends it.
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
