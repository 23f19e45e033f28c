// The settings and the figures of what is kept of refused requests. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace runledger::edge {

class Files;  // nginx-module/spool/files.hpp

struct RefusedSettings {
    std::string folder;                               // Empty: nothing is kept.
    std::uint64_t bytes_max{64UL * 1024 * 1024};      // Of all files in the folder, each rounded up to 4 KiB.
    std::uint64_t bodies_max{10'000};                 // Files in the folder.
    std::chrono::seconds age_max{7L * 24 * 60 * 60};  // A file is removed this long after its body was received.
    std::string edge_name;

    // No directive sets these; tests do. The first four are what one worker may take of requests, whoever sends them.
    double bodies_per_second{200};
    double bodies_burst{2'000};
    double bytes_per_second{8.0 * 1024 * 1024};
    double bytes_burst{32.0 * 1024 * 1024};
    std::size_t pending_bodies_max{2'048};  // Being read, or not written yet: a whole burst, while the disk stalls.
    std::size_t pending_bytes_max{16UL * 1024 * 1024};
    std::chrono::milliseconds look_every{5'000};  // How often the folder is listed while nothing is refused.
    std::shared_ptr<Files> files;                 // Nothing: the file system.
};

struct RefusedFigures {
    // Counters of bodies.
    std::uint64_t kept{};
    std::uint64_t over_rate{};  // More than the bounds above.
    std::uint64_t no_room{};    // The folder is full, or the sender has its share of it, or the disk has little room.
    std::uint64_t unfit{};      // Nothing that could be put through later.
    std::uint64_t failed{};     // The disk's fault, or no thread.

    // Of the folder, whoever keeps bodies there.
    std::uint64_t folder_bodies{};
    std::uint64_t folder_bytes{};
};

}  // namespace runledger::edge
