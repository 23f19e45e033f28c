// Brings what the spool holds to the daemon: which batch is sent next, what each answer means, when a segment may go.
//
// Invariant: a batch is in flight if and only if it is in the window. Nothing is unlinked before every batch of its
// segment is acked and the daemon has said that it has let go of the segment's names. Used by the courier's thread
// alone; knows no socket, but a function that takes a message or does not.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "common/wire.hpp"
#include "nginx-module/courier_log.hpp"
#include "nginx-module/link_window.hpp"
#include "nginx-module/spool.hpp"

namespace runledger::edge {

class Delivery {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    // Hands a message to the socket. False: nobody can take it now, and the message is to be offered again.
    using Send = std::function<bool(std::span<const std::byte>)>;

    struct Policy {
        std::chrono::milliseconds resend_after{5000};
        std::chrono::milliseconds refused_retry_every{60'000};
        std::chrono::milliseconds retire_pause_max{60'000};
    };

    struct Counters {
        std::uint64_t batches_sent{};
        std::uint64_t batches_resent{};
        std::uint64_t batches_acked{};
        std::uint64_t busy_answers{};
        std::uint64_t refused_answers{};
        std::uint64_t refused_retirements{};
        std::uint64_t unknown_answers{};  // Late, or none of ours, or not readable.
    };

    enum class Progress : std::uint8_t {
        idle,     // Nothing to send, or the window is full.
        more,     // The turn's share is sent and there is more: call again soon.
        blocked,  // The socket takes nothing now.
    };

    Delivery(const Policy& policy, Spool& spool, CourierLog& log);

    // Sends a batch that was just stored from memory, if it is its turn; otherwise it is read back later.
    void offer(const Spool::Stored& stored, SteadyTime now, const Send& send);

    // Sends what is due, the oldest first, as far as the window allows; at most a turn's share.
    [[nodiscard]] Progress pump(SteadyTime now, const Send& send);

    void take_answer(std::span<const std::byte> message, SteadyTime now);

    // A connection was made or lost: what was under way may be lost with it, and another daemon may take what the
    // last one refused.
    void on_peer_change(SteadyTime now);

    // When pump() next has something to do without an answer coming.
    [[nodiscard]] SteadyTime due_at(SteadyTime now) const;

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t window_bytes() const noexcept { return window_.bytes(); }

private:
    struct Place {
        Segment* segment{};
        std::size_t index{};
    };

    [[nodiscard]] std::optional<Place> next_pending() const;
    [[nodiscard]] std::optional<Place> find(const BatchName& name) const;
    [[nodiscard]] bool send_batch(const Place& place, std::span<const std::byte> frame, SteadyTime now,
                                  const Send& send);
    [[nodiscard]] std::optional<std::vector<std::byte>> read_frame(const Place& place);
    [[nodiscard]] bool retire_finished(SteadyTime now, const Send& send);
    void resend_overdue(SteadyTime now);
    void try_one_refused(SteadyTime now);

    void on_committed(const Place& place, const BatchName& name);
    void on_refused(const Place& place, const wire::Answer& answer);
    void on_retired(const wire::Answer& answer, SteadyTime now);
    // Whether it was the refusal of a retirement.
    [[nodiscard]] bool on_retirement_refused(const wire::Answer& answer);

    Policy policy_;
    Spool& spool_;
    CourierLog& log_;
    Window window_;
    Counters counters_;
    SteadyTime refused_retry_at_{};
    std::uint64_t refused_turn_{};
    std::optional<BatchName> probe_;  // The refused batch that is tried now.
};

}  // namespace runledger::edge
