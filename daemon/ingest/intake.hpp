// Receives the edges' batches: one thread that owns the ROUTER socket, and a bounded queue to the appliers.
//
// The socket is always read: over the queue's bound a batch is answered `busy` rather than left in the socket, so
// that an edge knows to slow down. A copy of a batch that is queued or being applied, the same byte for byte, is not
// queued again.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/identity.hpp"
#include "common/wire.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/ingest/settings.hpp"

namespace runledger {

// A message that PostgreSQL refuses, though it may be the server's state that is at fault, and not the message. It is
// in memory only: a daemon that starts anew counts anew, which delays the message and loses nothing.
struct Setback {
    struct Lower {
        void operator()(std::atomic<std::uint64_t>* gauge) const noexcept { gauge->fetch_sub(1); }
    };

    std::string sqlstate;  // The same each time; another one begins anew.
    std::chrono::steady_clock::time_point since;
    unsigned attempts{0};
    std::uint64_t applied_before{0};  // ApplyCounters::events_applied at the first of them.
    // Where this one is counted, however it ends: answered, forgotten or dropped.
    std::unique_ptr<std::atomic<std::uint64_t>, Lower> counted{};
    // Set while the turn goes on that is to put it back at its end.
    std::optional<std::chrono::steady_clock::time_point> not_before{};
};

// One message of an edge on its way through the daemon.
struct Arrival {
    std::string peer;                  // The edge's routing id: whom to answer.
    std::vector<std::byte> frame;      // As it came.
    BatchName key;                     // From the header; for a retirement, the segment and retire_key.
    std::optional<Setback> setback{};  // The applier's that has it.
    bool is_put_back{false};           // The queue's.
};

// No segment has that many batches: the key of a segment's retirement among its batches'.
inline constexpr BatchNumber retire_key = ~BatchNumber{0};

struct IntakeCounters {
    std::atomic<std::uint64_t> messages{0};
    std::atomic<std::uint64_t> busy{0};
    std::atomic<std::uint64_t> damaged{0};
    std::atomic<std::uint64_t> answers{0};
    std::atomic<std::uint64_t> handshakes_denied{0};
};

// The queue between intake and the appliers, and the way back for answers. Any thread.
//
// Whoever has taken an arrival has it alone, and gives it up with put_back(), answer() or forget().
class IntakeQueue {
public:
    using ArrivalPtr = std::shared_ptr<Arrival>;

    static constexpr std::size_t gathered_max = 16;  // So many are worth a COMMIT of their own.

    // After a take(), new arrivals are handed over once `gather` is over, so that one COMMIT serves all of them, or
    // once there are gathered_max.
    explicit IntakeQueue(std::chrono::milliseconds gather = {});
    IntakeQueue(const IntakeQueue&) = delete;
    IntakeQueue& operator=(const IntakeQueue&) = delete;
    ~IntakeQueue();

    enum class Offer : std::uint8_t {
        queued,
        known,  // Its copy is in the queue or being applied; that one's answer will go to this peer.
        full,
        name_in_use,  // Another batch of its name is: the ledger decides once that one is finished. As busy as full.
    };
    // Throws std::bad_alloc; then nothing has changed.
    [[nodiscard]] Offer offer(Arrival arrival);

    // Up to `bytes_max` of frames, at least one; waits until there is something. Empty: closed and drained. Arrivals
    // that were put back come by themselves, those with the fewest attempts first, and in turn with new ones, so that
    // neither waits for all of the others. Throws std::bad_alloc; then nothing was taken.
    [[nodiscard]] std::vector<ArrivalPtr> take(std::size_t bytes_max);

    // The arrival is not finished, and take() returns it again after this time. If the queue is closed, or there is no
    // memory, it is forgotten.
    void put_back(const ArrivalPtr& arrival, std::chrono::steady_clock::time_point not_before);

    // The arrival is finished; `answer` goes to the peer that sent it last.
    void answer(const ArrivalPtr& arrival, const wire::Answer& answer);
    // The arrival is not finished and is not tried again here: its copy will be a new arrival. Does nothing if it was
    // answered.
    void forget(const ArrivalPtr& arrival);

    // No more offers are accepted; take() drains the queue.
    void close();
    // The appliers have ended: unanswered arrivals stay unanswered, and the edges send them again.
    void abandon();

    // Readable when take_answers() has something; drain it first.
    [[nodiscard]] int answers_fd() const noexcept { return answers_fd_; }
    struct AddressedAnswer {
        std::string peer;
        wire::Answer answer;
    };
    [[nodiscard]] std::vector<AddressedAnswer> take_answers();

    [[nodiscard]] std::size_t queued_bytes();
    // Queued or being applied.
    [[nodiscard]] std::size_t open_arrivals();

private:
    void close_arrival(const ArrivalPtr& arrival);
    [[nodiscard]] std::vector<ArrivalPtr> take_due(std::size_t bytes_max);
    [[nodiscard]] std::vector<ArrivalPtr> take_new(std::size_t bytes_max);
    void drop_put_back();
    [[nodiscard]] bool is_gathered() const;  // Whether what is queued is to be taken now.

    const std::chrono::milliseconds gather_;
    std::chrono::steady_clock::time_point gathers_until_{};
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<ArrivalPtr> queue_;
    std::multimap<std::chrono::steady_clock::time_point, ArrivalPtr> put_back_;  // By when they are due.
    std::map<BatchName, ArrivalPtr> open_;                                       // Queued or being applied.
    std::size_t open_bytes_{0};
    bool closed_{false};
    bool last_were_due_{false};  // What take() returned.
    std::vector<AddressedAnswer> answers_;
    int answers_fd_{-1};
};

// An endpoint can't be bound. what() is a sentence for the operator that names it.
class BindError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Intake {
public:
    // Binds the endpoints; those that are tcp:// speak CURVE if there are keys for it. Throws BindError if one can't be
    // bound; KeyFileError.
    Intake(const IntakeSettings& settings, IntakeQueue& queue, IntakeCounters& counters);
    Intake(const Intake&) = delete;
    Intake& operator=(const Intake&) = delete;
    ~Intake();

    // The thread's body: until stop(). Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }
    // From any thread: stop reading, close the queue, and end when the last answer is sent.
    void stop();

private:
    class Socket;
    std::unique_ptr<Socket> socket_;
    IntakeQueue& queue_;
    IntakeCounters& counters_;
    int stop_fd_{-1};
    Heartbeat heartbeat_;
};

}  // namespace runledger
