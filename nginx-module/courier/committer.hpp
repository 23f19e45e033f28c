// Takes the events that wait, makes a batch of them, stores it, and decides each event's result.
//
// Invariant: an event is posted back as committed only after its batch is durable and its state has gone from waiting
// to taken here. A batch that can't be stored stays at the head of the queue. Used by the courier's thread alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/limits.hpp"
#include "common/wire.hpp"
#include "nginx-module/courier/shared.hpp"
#include "nginx-module/spool/spool.hpp"

namespace runledger::edge {

class Committer {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    Committer(CourierShared& shared, Spool& spool, Files& files, const wire::BatchEncoder::Origin& origin);

    // Takes what was submitted since.
    void take_submitted() noexcept { shared_.take_submitted(waiting_); }

    // Stores one batch of what waits, if anything does and it is time. Returns what was stored; its frame is valid
    // until the next call.
    [[nodiscard]] std::optional<Spool::Stored> commit(SteadyTime now);

    // The next commit() need not wait for the pause after the last failure: there is room again.
    void retry_now() noexcept { retry_at_ = {}; }

    [[nodiscard]] bool has_waiting() const noexcept { return !waiting_.empty(); }
    // When to call commit(); max() if nothing waits.
    [[nodiscard]] SteadyTime due_at() const noexcept { return waiting_.empty() ? SteadyTime::max() : retry_at_; }

    [[nodiscard]] std::uint64_t events_committed() const noexcept { return events_committed_; }
    [[nodiscard]] std::uint64_t batches_committed() const noexcept { return batches_committed_; }
    [[nodiscard]] std::uint64_t commit_failures() const noexcept { return commit_failures_; }
    // What the last commit met, and since when; none while there has not been any.
    [[nodiscard]] CommitTrouble trouble() const noexcept { return trouble_; }
    [[nodiscard]] SteadyTime in_trouble_since() const noexcept { return in_trouble_since_; }

private:
    // What may go into a batch now; less than usual after a larger one has met a full spool.
    struct Share {
        std::size_t batch_bytes_max{};
        std::size_t body_bytes_below{};
    };
    void fill_batch(const Share& share);
    // Fills and appends, and if there is no room tries less and less. Nothing if nothing waits that may be tried.
    [[nodiscard]] std::optional<Spool::Stored> store_what_fits(SteadyTime now);
    // Whether the event may be stored; if not, its result is set.
    [[nodiscard]] bool prepare(HeldEvent& event) noexcept;
    void read_body(HeldEvent& event);
    void drop_abandoned() noexcept;
    // Says to those who wait why they do.
    void note_trouble(CommitTrouble trouble, SteadyTime now, const SubmittedEvents& held_up) noexcept;
    void on_failure(CommitTrouble trouble, const std::exception& e, SteadyTime now) noexcept;
    void answer_batch() noexcept;

    CourierShared& shared_;
    Spool& spool_;
    Files& files_;
    wire::BatchEncoder encoder_;
    SubmittedEvents waiting_;
    SubmittedEvents batch_;                              // What the encoder holds.
    SubmittedEvents decided_;                            // To be posted without being stored.
    std::size_t batch_bytes_max_{batch_bytes_soft_max};  // Halved by a full spool, doubled by each commit.
    SteadyTime retry_at_{};
    std::chrono::milliseconds retry_pause_{0};
    std::uint64_t events_committed_{};
    std::uint64_t batches_committed_{};
    std::uint64_t commit_failures_{};
    CommitTrouble trouble_{CommitTrouble::none};
    SteadyTime in_trouble_since_{};
};

}  // namespace runledger::edge
