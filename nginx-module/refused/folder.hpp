// The folder of refused bodies, which the keepers of all workers share: its bounds, and the writing of one file.
//
// Invariant: if the folder is full, what comes is not kept, and what is there stays. So a flood of wrong tokens can
// neither drive out what was refused before it, nor make the disk write more than the folder's bound in each age_max.
// Files are not synced, because a sync would delay the commits of accepted events on the same disk. Used by the
// keeper's thread alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/refused_format.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/refused/refused_settings.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

class RefusedFolder {
public:
    RefusedFolder(const RefusedSettings& settings, Files& files, EdgeLog& log)
        : settings_(settings), files_(files), log_(log) {}

    // Writes the file, whole or not at all. False if there is no room for it: the folder is full, the disk is nearly
    // full, or the sender has its share. Throws std::system_error if the disk fails.
    [[nodiscard]] bool store(const RefusedName& name, std::string_view file, WallTime now);

    // Lists the folder and removes what is too old. Throws std::system_error if the folder can't be read.
    void look(WallTime now);

    // Whether not even a small body would be kept, as far as is known.
    [[nodiscard]] bool is_full() const noexcept;
    // When the folder was last listed, and those stored since.
    [[nodiscard]] std::uint64_t bodies() const noexcept { return bodies_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    struct Share {
        std::uint64_t bodies{};
        std::uint64_t bytes{};
    };

    using SteadyTime = std::chrono::steady_clock::time_point;

    // Other workers write there, too: what they have added is known only from a look.
    void look_if_stale(WallTime now);
    [[nodiscard]] bool has_room_for(std::uint32_t sender, std::uint64_t file_bytes) const;
    void count(const RefusedName& name, std::uint64_t file_bytes);
    void write(const RefusedName& name, std::string_view file);
    // False if the file is still there.
    bool remove(const std::string& name) noexcept;

    const RefusedSettings& settings_;
    Files& files_;
    EdgeLog& log_;
    std::uint64_t bodies_{};
    std::uint64_t bytes_{};
    std::map<std::uint32_t, Share> shares_;  // By the name's sender.
    bool has_disk_{true};
    SteadyTime looked_at_{};
    std::uint64_t bodies_since_look_{};
    std::uint64_t bytes_since_look_{};
};

}  // namespace runledger::edge
