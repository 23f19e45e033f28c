// The apply stage: takes batches from the intake, writes them in one transaction, and only then has them answered.
//
// An applier is one thread with one connection; several may run. Nothing is answered before its COMMIT came back
// without a warning: that answer lets the edge forget the events.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/ingest/write_turn.hpp"

namespace runledger {

struct ApplyCounters {
    std::atomic<std::uint64_t> turns{0};
    std::atomic<std::uint64_t> turns_failed{0};
    std::atomic<std::uint64_t> batches_applied{0};
    std::atomic<std::uint64_t> batch_copies{0};
    std::atomic<std::uint64_t> batch_conflicts{0};
    std::atomic<std::uint64_t> batches_refused{0};
    std::atomic<std::uint64_t> events_applied{0};
    std::atomic<std::uint64_t> events_quarantined{0};
    std::atomic<std::uint64_t> segments_retired{0};
};

class Applier {
public:
    // `stop` ends the waiting between failed attempts; `settle` is notified after each commit.
    Applier(const std::string& postgres_uri, IntakeQueue& queue, Wakeup& stop, Wakeup& settle, ApplyCounters& counters);

    // The thread's body: until the queue is closed and drained, or stop is stopped while PostgreSQL is away.
    // Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }

private:
    struct Task {
        IntakeQueue::ArrivalPtr arrival;
        wire::Batch batch;
    };

    // Decodes what was taken; answers what is damaged, retires what is to be retired.
    [[nodiscard]] std::vector<Task> sort_out(const std::vector<IntakeQueue::ArrivalPtr>& arrivals);
    // Until it is written, or the daemon stops. Data errors are narrowed down by halving.
    void apply(std::span<const Task> tasks);
    // One transaction. Throws.
    void attempt(std::span<const Task> tasks, ApplyMode mode);
    void retire(const IntakeQueue::ArrivalPtr& arrival, const wire::Retire& retire);
    // Runs `step` until it succeeds, fails on data (true is returned: poison) or the daemon stops (nothing).
    template <class Step>
    std::optional<bool> persist(const char* what, std::size_t count, Step step);

    Database database_;
    IntakeQueue& queue_;
    Wakeup& stop_;
    Wakeup& settle_;
    ApplyCounters& counters_;
    Backoff backoff_;
    Heartbeat heartbeat_;
};

}  // namespace runledger
