// The settle stage: takes from settle_queue and brings generations up to what is known. One thread for each lane.
//
// What a row must say is computed by runledger.settle_run, in SQL; here is only when, how many, and what to try again.
// Inside run the application's own triggers and constraints: whatever they do, they delay only their own row.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/settle/settings.hpp"

namespace runledger {

struct SettleCounters {
    std::atomic<std::uint64_t> settled{0};
    std::atomic<std::uint64_t> resettled{0};
    std::atomic<std::uint64_t> edited_by_hand{0};  // Meetings with such a row; reported in the audit once.
    std::atomic<std::uint64_t> postponed{0};       // Locked, refused by the application's own constraints, or busy.
    std::atomic<std::uint64_t> turns_failed{0};
};

// Which entries a settler takes, and how long it waits for one.
enum class SettleLane : std::uint8_t {
    prompt,   // All but those below, and for half a second at most: then the entry goes to the other lane.
    patient,  // Those that were slow in vain, as behind a trigger that hangs: they wait for each other only.
};

class Settler {
public:
    // `wakeup` is notified by apply after a commit; `outbox` is notified here when there may be something to send.
    // Every daemon runs one for each lane.
    Settler(const SettleSettings& settings, const std::string& postgres_uri, SettleLane lane, Wakeup& wakeup,
            Wakeup& outbox, SettleCounters& counters);

    // The thread's body, until the wakeup is stopped. Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }

    // The server's process in which it settles, from any thread; 0: none, or a pooler's.
    [[nodiscard]] int backend() const noexcept { return backend_.load(std::memory_order_relaxed); }

private:
    struct Entry {
        std::int64_t id{};
        int attempts{};
    };
    using Runs = std::map<std::string, std::vector<Entry>>;
    // What became of a run: the words of runledger.settle_run.
    struct Settled {
        std::string outcome;
        std::string detail;
    };
    // What a turn has done, counted once it is committed.
    struct Tally {
        ArrayLiteral done{};  // Entries to be removed.
        std::uint64_t settled{0};
        std::uint64_t resettled{0};
        std::uint64_t edited_by_hand{0};
        std::uint64_t postponed{0};

        void add(const std::string& run_id, const std::vector<Entry>& entries, const Settled& result);
    };

    // One transaction. Returns whether there may be more to take at once.
    bool turn(std::size_t entries_max);
    void settle_together(const Statements& work, Runs& runs, Tally& tally);
    static void postpone(const Statements& work, const std::string& run_id, const std::vector<Entry>& entries,
                         const Settled& settled, bool slow);
    // After a turn that failed: the next ones take one entry each, so that the one at fault is found and put off.
    void after_failure(const std::exception& error);
    void put_off_culprit();

    SettleSettings settings_;
    SettleLane lane_;
    Database database_;
    Wakeup& wakeup_;
    Wakeup& outbox_;
    SettleCounters& counters_;
    Backoff backoff_;
    Heartbeat heartbeat_;
    std::atomic<int> backend_{0};
    struct Culprit {
        Entry entry;
        std::string error;
    };
    std::vector<Entry> taken_;  // By the turn under way or the one that failed.
    std::optional<Culprit> culprit_;
    std::size_t single_turns_left_{0};
    std::size_t turns_apart_left_{0};
};

}  // namespace runledger
