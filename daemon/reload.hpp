// The configuration in use, and what a reload (SIGHUP) makes of it.
//
// Invariant: the file is read and checked as a whole before anything changes. If it has a fault, everything stays as it
// is. If not, each key has its new value, except those that only a restart can change: these keep theirs, and the log
// and a metric name them. Owned by main()'s thread; the counters may be read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/config.hpp"

namespace runledger {

struct ConfigCounters {
    std::atomic<std::uint64_t> reloads_done{0};
    std::atomic<std::uint64_t> reloads_refused{0};  // The file has a fault: the daemon has kept what it had.
    std::atomic<bool> is_refused{false};            // The last reload was.
    std::atomic<std::int64_t> read_at{0};           // Unix seconds: when the configuration in use was read.
    std::atomic<std::uint64_t> keys_for_restart{0};
};

// What differs between two configurations.
struct ConfigChange {
    std::vector<std::string> sections{};          // "[telegram]": of keys that a running daemon can change.
    std::vector<std::string> keys_for_restart{};  // "[postgres] uri"
};
[[nodiscard]] ConfigChange change_between(const Config& in_use, const Config& read);

class ConfigInUse {
public:
    ConfigInUse(std::filesystem::path file, Config config, ConfigCounters& counters);

    [[nodiscard]] const Config& get() const noexcept { return config_; }

    // What exists by the time of a reload, and so cannot change any more.
    enum class Phase : std::uint8_t {
        starting,  // The metrics' listener.
        running,   // All stages, with their connections and sockets.
    };
    // Reads the file again. True: get() has the new values. False: the file has a fault, and nothing has changed. Both
    // are logged and counted.
    [[nodiscard]] bool read_again(Phase phase) noexcept;

private:
    void take(Config read, Phase phase);

    std::filesystem::path file_;
    Config config_;
    ConfigCounters& counters_;
};

}  // namespace runledger
