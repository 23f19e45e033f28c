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
#include "nginx-module/courier/held_event.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/spool.hpp"

namespace runledger::edge {

class Committer {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // All of them must outlive this.
    struct Parts {
        const CourierSettings& settings;
        EventExchange& exchange;
        Spool& spool;
        Files& files;
        EdgeLog& log;
    };

    Committer(const Parts& parts, const wire::BatchEncoder::Origin& origin);

    // Takes what was submitted since.
    void take_submitted() noexcept { exchange_.take_submitted(waiting_); }

    // Stores one batch of what waits, if anything does and it is time. Returns what was stored; its frame is valid
    // until the next call.
    [[nodiscard]] std::optional<Spool::Stored> commit(SteadyTime now);

    // The next commit() need not wait for the pause after the last failure: there is room again.
    void retry_now() noexcept { retry_at_ = {}; }

    [[nodiscard]] bool has_waiting() const noexcept { return !waiting_.empty(); }
    // When to call commit(); max() if nothing waits.
    [[nodiscard]] SteadyTime due_at() const noexcept { return waiting_.empty() ? SteadyTime::max() : retry_at_; }

    [[nodiscard]] std::uint64_t events_committed() const noexcept { return figures_.events; }
    [[nodiscard]] CommitFigures figures(SteadyTime now) const noexcept;

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

    const CourierSettings& settings_;
    EventExchange& exchange_;
    Spool& spool_;
    Files& files_;
    EdgeLog& log_;
    wire::BatchEncoder encoder_;
    SubmittedEvents waiting_;
    SubmittedEvents batch_;                              // What the encoder holds.
    SubmittedEvents decided_;                            // To be posted without being stored.
    std::size_t batch_bytes_max_{batch_bytes_soft_max};  // Halved by a full spool, doubled by each commit.
    SteadyTime retry_at_{};
    std::chrono::milliseconds retry_pause_{0};
    CommitFigures figures_;
    SteadyTime in_trouble_since_{};
};

}  // namespace runledger::edge
