// Brings what the spool holds to the daemons: which batch is sent next and to whom, what each answer means, when a
// segment may go.
//
// Invariant: a batch is in flight if and only if it is in one daemon's window. Nothing is unlinked before every batch
// of its segment is acked and a daemon has said that it has let go of the segment's names. A daemon that is reserved
// for one batch alone gets nothing else. Used by the courier's thread alone; knows no socket, but a function that
// takes a message or does not.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/wire.hpp"
#include "nginx-module/link/link_settings.hpp"
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

    enum class Progress : std::uint8_t {
        idle,     // Nothing to send, or the windows are full.
        more,     // The turn's share is sent and there is more: call again soon.
        blocked,  // No socket takes what there is to send.
    };

    BatchDelivery(std::size_t peers, const DeliverySettings& settings, Spool& spool, EdgeLog& log);

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

    [[nodiscard]] DeliveryFigures figures() const noexcept;

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

    DeliverySettings settings_;
    Spool& spool_;
    EdgeLog& log_;
    std::vector<Peer> peers_;
    DeliveryFigures figures_;  // Without what figures() looks up.
    std::size_t turn_{};       // Whose turn it is among equals.
    SteadyTime refused_retry_at_{};
    bool is_refused_retry_early_{false};  // A daemon came: it may take what the last one refused.
    std::uint64_t refused_turn_{};
    std::optional<BatchName> probe_;  // The refused batch that is tried now.
    SteadyTime suspect_due_at_{};
    std::optional<PoisonTrial> poison_trial_;
};

}  // namespace runledger::edge
