// The settle stage: takes entries from settle_queue and updates their generations. One thread for each lane.
//
// SQL functions (runledger.settle_run) compute the row. This class decides when, how many, and what to retry. The
// application's own triggers and constraints run inside; whatever they do, they delay only their own row.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "daemon/base/backoff.hpp"
#include "daemon/base/lag_histogram.hpp"
#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/settle/settings.hpp"

namespace runledger {

struct SettleCounters {
    std::atomic<std::uint64_t> settled{0};
    std::atomic<std::uint64_t> resettled{0};
    std::atomic<std::uint64_t> edited_by_hand{0};  // How often such a row was found; the audit has it once.
    std::atomic<std::uint64_t> postponed{0};       // Locked, refused by the application's own constraints, or busy.
    std::atomic<std::uint64_t> turns_failed{0};
    // From the receipt of the run's ending to the commit of its first settlement, by the edge's clock and then this
    // host's. It has what the run waited for its row.
    LagHistogram lag;
};

// Which entries a settler takes, and how long it waits for one.
enum class SettleLane : std::uint8_t {
    prompt,   // All other entries, half a second each at most: a slower one goes to the other lane.
    patient,  // Entries that were slow and failed, for example because a trigger hangs: they delay only each other.
};

// The words of runledger.settle_run, whose COMMENT says what each means.
enum class SettleOutcome : std::uint8_t {
    settled,
    resettled,
    kept,
    edited_by_hand,
    processing,
    unchanged,
    not_ended,
    no_run,
    no_generation,
    busy,
    locked,
    failed,
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
    // From any thread: the next turn settles by these. Rows that were settled stay as they are.
    void use(const SettleSettings& settings) { next_settings_.offer(settings); }

    // The server's process id of its session, from any thread; 0: none, or a pooler's.
    [[nodiscard]] int backend() const noexcept { return backend_.load(std::memory_order_relaxed); }

private:
    struct Entry {
        std::int64_t id{};
        int attempts{};
    };
    using Runs = std::map<std::string, std::vector<Entry>>;
    // The result for a run.
    struct Settled {
        SettleOutcome outcome{};
        std::string detail;
        std::optional<WallTime> ended_at{};  // When the ending was received; of a first settlement alone.
    };
    static Settled read_settled(const pqxx::row& row);
    // What a turn has done, counted once it is committed.
    struct Tally {
        ArrayLiteral done{};  // Entries to be removed.
        std::uint64_t settled{0};
        std::uint64_t resettled{0};
        std::uint64_t edited_by_hand{0};
        std::uint64_t postponed{0};
        std::vector<WallTime> ended_at{};  // Of those that are settled for the first time.

        void add(const std::string& run_id, const std::vector<Entry>& entries, const Settled& result);
    };

    // Where entries can be: behind it nothing is left. As PostgreSQL writes the values (queries/settle/mark.sql).
    struct Mark {
        std::string next{"0"};
        std::string next_id{"0"};
        std::string late{"{}"};
        std::string due_from{"-infinity"};
    };

    struct Portion {
        std::size_t entries_max;
        std::size_t runs_max;
    };

    // One transaction. Returns whether there may be more to take at once.
    bool turn(const Portion& portion);
    [[nodiscard]] Portion next_portion();
    [[nodiscard]] Mark next_mark(const Statements& work, const Mark& from) const;
    // Finds it from the beginning of the queue, if it isn't known or has not been looked for a while.
    void find_mark();
    // Locks due entries; the settler's lane decides which. All of a run's, as far as they are among them. Returns
    // whether there may be more.
    bool take(const Statements& work, const Portion& portion, Runs& runs);
    // False: it took too long, and nothing was settled.
    bool settle_together(const Statements& work, Runs& runs, Tally& tally);
    // After a turn of so many runs.
    void keep_pace(std::size_t runs, std::chrono::milliseconds spent);
    static void postpone(const Statements& work, const std::string& run_id, const std::vector<Entry>& entries,
                         const Settled& settled, bool slow);
    // After a failed turn the next ones take one entry each, so that the failing entry is found and postponed.
    void after_failure(const std::exception& error);
    void put_off_culprit();

    SettleSettings settings_;
    SettingsChange<SettleSettings> next_settings_;
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
    std::size_t turns_apart_left_{0};  // Of one run each.
    std::size_t runs_a_turn_;          // As many as are settled within a turn's time.
    bool new_ones_first_{false};
    std::optional<Mark> mark_;  // Of this connection; nothing is lost with it but the time to find it again.
    std::chrono::steady_clock::time_point mark_found_at_{};
};

}  // namespace runledger
