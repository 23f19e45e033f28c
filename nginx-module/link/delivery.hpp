// Brings what the spool holds to the daemons: which batch is sent next and to whom, what each answer means, when a
// segment may go.
//
// Invariant: a batch is in flight if and only if it is in one daemon's window. Nothing is unlinked before every batch
// of its segment is acked and a daemon has said that it has let go of the segment's names. A daemon that is reserved
// for one batch alone gets nothing else. Used by the courier's thread alone; knows no socket, but a function that
// takes a message or does not.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/wire.hpp"
#include "nginx-module/link/window.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/spool.hpp"

namespace runledger::edge {

class BatchDelivery {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    using PeerIndex = std::size_t;  // A daemon, by its place among the endpoints.
    // Hands a message to that daemon's socket. False: it takes nothing now, and the message is to be offered again.
    using Send = std::function<bool(PeerIndex, std::span<const std::byte>)>;

    struct Policy {
        std::size_t peers{1};
        std::chrono::milliseconds resend_after{5000};
        std::chrono::milliseconds resend_after_max{60'000};
        std::chrono::milliseconds refused_retry_every{60'000};
        std::chrono::milliseconds retire_pause_max{60'000};
        // A batch that was under way when so many daemons were lost, without an answer to it, may be the cause.
        std::uint8_t suspect_after{3};
        std::chrono::milliseconds suspect_spacing{20};  // Between two of them, so that the others flow.
        std::chrono::milliseconds suspect_pause{5000};  // After one that was lost again, alone.
    };

    struct Counters {
        std::uint64_t batches_sent{};
        std::uint64_t batches_resent{};
        std::uint64_t batches_acked{};
        std::uint64_t batches_suspected{};
        std::uint64_t batches_convicted{};  // Lost alone: each time.
        std::uint64_t busy_answers{};
        std::uint64_t refused_answers{};
        std::uint64_t refused_retirements{};
        std::uint64_t unknown_answers{};  // Late, or none of ours, or not readable.
    };

    enum class Progress : std::uint8_t {
        idle,     // Nothing to send, or the windows are full.
        more,     // The turn's share is sent and there is more: call again soon.
        blocked,  // No socket takes what there is to send.
    };

    BatchDelivery(const Policy& policy, Spool& spool, EdgeLog& log);

    // Sends a batch that was just stored from memory, if it is its turn; otherwise it is read back later.
    void offer(const Spool::Stored& stored, SteadyTime now, const Send& send);

    // Sends what is due, the oldest first, as far as the windows allow; at most a turn's share.
    [[nodiscard]] Progress pump(SteadyTime now, const Send& send);

    void take_answer(PeerIndex from, std::span<const std::byte> message, SteadyTime now);

    // A daemon gets nothing before it is up. A new one may take what the last one refused.
    void on_peer_up(PeerIndex peer, SteadyTime now);
    // What was under way to it is lost with it, and goes to another, or to the same when it comes back.
    void on_peer_lost(PeerIndex peer, SteadyTime now);

    // When pump() next has something to do without an answer coming.
    [[nodiscard]] SteadyTime due_at(SteadyTime now) const;

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t window_bytes() const noexcept;
    // Refused and suspect batches: what does not flow with the others.
    [[nodiscard]] std::size_t batches_apart() const noexcept;

private:
    struct Place {
        Segment* segment{};
        std::size_t index{};
    };
    struct Peer {
        Window window;
        bool is_up{false};
        bool is_full{false};      // Took nothing in this turn.
        bool is_reserved{false};  // For one batch alone.
    };
    // The batch that is tried alone: first its daemon's window empties, then it is sent, then it is answered or not.
    struct PoisonTrial {
        BatchName name;
        std::optional<PeerIndex> peer;
        bool is_sent{false};
    };

    // delivery.cpp
    [[nodiscard]] std::optional<Place> next_pending() const;
    [[nodiscard]] std::optional<Place> find(const BatchName& name) const;
    [[nodiscard]] BatchName name_of(const Place& place) const;
    // The one that has the least under way; nothing if none has room.
    [[nodiscard]] std::optional<PeerIndex> peer_for(std::size_t frame_bytes, SteadyTime now) const;
    [[nodiscard]] bool send_batch(const Place& place, PeerIndex peer, std::span<const std::byte> frame, SteadyTime now,
                                  const Send& send);
    // To whichever daemon has room and takes it.
    [[nodiscard]] bool send_to_any(const Place& place, std::span<const std::byte> frame, SteadyTime now,
                                   const Send& send);
    [[nodiscard]] std::optional<std::vector<std::byte>> read_frame(const Place& place);
    void ask_for_retirements(SteadyTime now, const Send& send);
    [[nodiscard]] bool send_retirement(const Segment& segment, const Send& send);
    void resend_overdue(SteadyTime now);
    void on_busy(PeerIndex from, const wire::Answer& answer, SteadyTime now);
    void on_committed(const Place& place, PeerIndex from, const BatchName& name);
    void on_refused(const Place& place, const wire::Answer& answer);
    void on_retired(const wire::Answer& answer, SteadyTime now);
    // Whether it was the refusal of a retirement.
    [[nodiscard]] bool on_retirement_refused(const wire::Answer& answer);

    // poison.cpp: what is refused or suspect.
    [[nodiscard]] bool is_suspicious(const Place& place) const;
    void choose_refused(SteadyTime now);
    void choose_refused_of(bool suspicious_too);
    void choose_suspect(SteadyTime now);
    void send_poison_trial(SteadyTime now, const Send& send);
    void end_poison_trial() noexcept;
    // After a commit of what was refused: the daemon has come to take it, so offer it the rest, too.
    void release_refused();
    void on_loss(const Place& place, bool was_alone, SteadyTime now);

    Policy policy_;
    Spool& spool_;
    EdgeLog& log_;
    std::vector<Peer> peers_;
    Counters counters_;
    std::size_t turn_{};  // Whose turn it is among equals.
    SteadyTime refused_retry_at_{};
    bool is_refused_retry_early_{false};  // A daemon came: it may take what the last one refused.
    std::uint64_t refused_turn_{};
    std::optional<BatchName> probe_;  // The refused batch that is tried now.
    SteadyTime suspect_due_at_{};
    std::optional<PoisonTrial> poison_trial_;
};

}  // namespace runledger::edge
