// The settle stage: takes from settle_queue and brings generations up to what is known. One thread.
//
// What a row must say is computed by runledger.settle_run, in SQL; here is only when, how many, and what to try again.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/backoff.hpp"
#include "daemon/config.hpp"
#include "daemon/database.hpp"
#include "daemon/signal.hpp"

namespace runledger {

struct SettleCounters {
    std::atomic<std::uint64_t> settled{0};
    std::atomic<std::uint64_t> resettled{0};
    std::atomic<std::uint64_t> edited_by_hand{0};
    std::atomic<std::uint64_t> postponed{0};  // Locked, refused by the application's own constraints, or busy.
    std::atomic<std::uint64_t> turns_failed{0};
};

class Settler {
public:
    // `wakeup` is notified by apply after a commit; `outbox` is notified here when there may be something to send.
    Settler(const Config& config, Wakeup& wakeup, Wakeup& outbox, SettleCounters& counters);

    // The thread's body, until the wakeup is stopped. Never throws.
    void run();

private:
    // One transaction. Returns how many entries it took.
    std::size_t turn(std::size_t entries_max);
    // After a turn that failed: the next ones take one entry each, so that the one at fault is found and put off.
    void after_failure(const std::exception& error);
    void put_off_culprit();

    Config::Settle config_;
    Database database_;
    Wakeup& wakeup_;
    Wakeup& outbox_;
    SettleCounters& counters_;
    Backoff backoff_;
    struct Entry {
        std::int64_t id{};
        int attempts{};
    };
    struct Culprit {
        Entry entry;
        std::string error;
    };
    std::vector<Entry> taken_;  // By the turn under way or the one that failed.
    std::optional<Culprit> culprit_;
    std::size_t single_turns_left_{0};
};

}  // namespace runledger
