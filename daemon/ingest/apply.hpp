// The apply stage: takes batches from the intake, writes them in one transaction, and only then has them answered.
//
// An applier is one thread with one connection; several may run. Nothing is answered before its COMMIT came back
// without a warning: that answer lets the edge forget the events.
//
// What is refused waits apart, so that nothing waits behind it. A data error is the content's fault. Any other refusal
// may be the server's: it is the content's if it repeats while other events are stored.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/lag_histogram.hpp"
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
    std::atomic<std::uint64_t> set_back{0};  // Batches and retirements that wait apart now.
    // From receipt to commit, by the edge's clock and then this host's: of the events of applied batches.
    LagHistogram lag;
    std::atomic<std::uint64_t> events_ahead_of_clock{0};  // By more than clock_ahead_max.
};

struct ApplyTuning {
    TransactionBounds turn{
        .statement_timeout = std::chrono::seconds{30}, .lock_timeout = std::chrono::seconds{5}, .plans_once = true};
    // For what was refused once: shorter, since it may be a lock that is held or a trigger that hangs, and others wait.
    TransactionBounds narrowed{
        .statement_timeout = std::chrono::seconds{5}, .lock_timeout = std::chrono::seconds{1}, .plans_once = true};
    // A refusal that could be the server's is decided after so many attempts over so long a time: 7.75 s by these
    // delays, which double.
    unsigned refusals_min{4};
    std::chrono::milliseconds refused_for_min{5'000};
    std::chrono::milliseconds set_back_min{250};
    std::chrono::milliseconds set_back_max{10'000};
};

class Applier {
public:
    // `stop` ends the waiting between failed attempts; `settle` is notified after each commit.
    Applier(const std::string& postgres_uri, IntakeQueue& queue, Wakeup& stop, Wakeup& settle, ApplyCounters& counters,
            const ApplyTuning& tuning = {});

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
    // How a step ended.
    struct Result {
        enum class Kind : std::uint8_t { done, poison, refused, stopped };
        Kind kind{};
        std::string sqlstate{};  // Of `refused`.
    };
    // What the halving of a turn has seen so far.
    struct Narrowing {
        std::uint64_t applied_before{};
        unsigned refused{0};  // Batches that were tried alone.
    };

    // Until it is written, refused or set back, or the daemon stops.
    void apply(std::span<const Task> tasks);
    // The same, of a turn that is not accepted as a whole: finds by halving what is at fault.
    void narrow(std::span<const Task> tasks, const Result& why, Narrowing& seen);
    // Of a single batch, whose content is at fault.
    void write_one_by_one(const Task& task);
    // Of a single batch, which was refused: it is set back, or, if it is proven to be at fault, written one by one.
    void refused(const Task& task, const std::string& sqlstate);
    // One transaction. False, for ApplyMode::set_aside: no event is stored as it came, neither here nor otherwise, so
    // the server may be at fault, and nothing was written. Throws.
    bool attempt(std::span<const Task> tasks, ApplyMode mode);
    void refuse(const Task& task);
    void retire(const IntakeQueue::ArrivalPtr& arrival, const wire::Retire& retire);
    // Runs `step` until it succeeds or is refused, or the daemon stops.
    template <class Step>
    Result persist(const char* what, std::size_t count, Step step);

    // Counts a refusal. True: it has repeated for long enough to be decided now.
    bool note_refusal(const IntakeQueue::ArrivalPtr& arrival, const std::string& sqlstate);
    // Whether other events were stored since the first refusal.
    [[nodiscard]] bool others_are_stored(const IntakeQueue::ArrivalPtr& arrival) const;
    // At the end of the turn, with the delay that its attempts have earned: until then this applier has it.
    void put_back(const IntakeQueue::ArrivalPtr& arrival) const;
    // The turn has ended: hands the arrival over, or forgets it if it is neither answered nor to be put back.
    void release(const IntakeQueue::ArrivalPtr& arrival);
    // The arrival is answered, and no longer set back.
    void answer(const IntakeQueue::ArrivalPtr& arrival, const wire::Answer& answer);
    // Of a batch that is committed now.
    void observe_lag(const wire::Batch& batch, WallTime now);
    [[nodiscard]] const TransactionBounds& bounds() const noexcept;

    ApplyTuning tuning_;
    Database database_;
    IntakeQueue& queue_;
    Wakeup& stop_;
    Wakeup& settle_;
    ApplyCounters& counters_;
    Backoff backoff_;
    Heartbeat heartbeat_;
    bool is_narrowing_{false};
};

}  // namespace runledger
