// The tell stage: says in NOTIFY what a settlement alone can't say, that all of a group have ended; and, if it is asked
// for, how far runs are. One thread with a connection of its own, so that neither apply, nor settle, nor the
// application waits for it.
//
// A group is looked at behind the transactions that have changed its members, never inside one: so the one that commits
// last is seen, whichever that is. What was told stands in the table generation_groups, so that any daemon can go on,
// and none tells it a second time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tell/settings.hpp"

namespace runledger {

struct TellCounters {
    std::atomic<std::uint64_t> groups_told{0};
    std::atomic<std::uint64_t> progress_told{0};
    std::atomic<std::uint64_t> turns_failed{0};  // Tried again a moment later.
};

class Teller {
public:
    // `stop` ends run(); nobody wakes it.
    Teller(const ApplicationSettings& settings, const std::string& postgres_uri, Wakeup& stop, TellCounters& counters);

    // The thread's body, several times a second, until stopped. Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }

    // From any thread: the next turn goes by these.
    void use(const ApplicationSettings& settings) { next_settings_.offer(settings); }

    // A transaction for the groups, and one for progress. Whether it has left no group that it could see; false, too,
    // if it failed.
    [[nodiscard]] bool turn();

private:
    [[nodiscard]] bool tell_groups();
    void tell_progress();

    ApplicationSettings settings_;
    SettingsChange<ApplicationSettings> next_settings_;
    Database database_;
    Wakeup& stop_;
    TellCounters& counters_;
    Heartbeat heartbeat_;
    // No entry is of an older transaction, as PostgreSQL writes it. Nothing is lost with it but the time to find it.
    std::string from_;
    std::chrono::steady_clock::time_point from_found_at_{};
};

}  // namespace runledger
