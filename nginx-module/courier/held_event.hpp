// The events whose requests are held, and the exchange by which the event loop and the courier's thread pass them to
// each other.
//
// Invariant: an event that submit() took comes back by take_results() once, unless the loop has abandoned it. The lock
// is held only to splice lists, never across I/O or an allocation.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/event.hpp"
#include "nginx-module/courier/courier_settings.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

// Who decides about a held request: the courier takes it when its event is durable, the loop abandons it at its
// deadline or when the client leaves. Whoever changes `waiting` first has decided.
enum class HoldState : std::uint8_t { waiting, taken, abandoned };

enum class CommitResult : std::uint8_t {
    committed,  // On stable storage: answer 2xx.
    refused,    // A large body that the courier validated and found at fault: answer 400 (see `refusal`).
    failed,     // The body could not be read from its temp file: answer 503.
};

class Waiter;  // nginx-module/worker/worker.hpp

// One event on its way, shared by the loop and the courier. Made and filled by the loop before submit(); after
// that the loop touches only `state` and `waiter`, and reads `trouble`, until the courier has posted it back.
struct HeldEvent {
    Waiter* waiter{nullptr};  // The loop's alone: who waits for the result. The courier carries it untouched.
    Stamp stamp;
    std::uint32_t flags{};     // wire::EventFlag
    std::string body;          // Our own copy, never pool memory. Empty if the body is in `body_fd`.
    int body_fd{-1};           // A duplicate of the temp file's descriptor; the last owner closes it.
    std::size_t body_bytes{};  // Of the body, wherever it is.
    bool validated{false};     // False: the courier runs validate_event before it stores the event.

    std::atomic<HoldState> state{HoldState::waiting};
    std::atomic<CommitTrouble> trouble{CommitTrouble::none};  // Of its last commit; written by the courier.

    // Written by the courier before it posts the event back.
    CommitResult result{};
    Refusal refusal{};
    std::string run_id;  // Filled by whoever validated.
    std::string status_word;
    std::chrono::microseconds commit_time{};  // From submit() to durable.

    HeldEvent() = default;
    HeldEvent(const HeldEvent&) = delete;
    HeldEvent& operator=(const HeldEvent&) = delete;
    ~HeldEvent();  // Closes body_fd.

    // As if newly made, but for the memory of its body, which is kept unless it is large.
    void renew() noexcept;
};

using HeldEventPtr = std::shared_ptr<HeldEvent>;

enum class SubmitResult : std::uint8_t {
    submitted,
    over_bound,  // held_events_max or held_bytes_max reached: answer 503 before accepting.
};

struct SubmittedEvent {
    HeldEventPtr event;
    std::chrono::steady_clock::time_point submitted_at;
};

// Lists, since moving an event between them can't fail: what is durable is posted whatever memory there is.
using SubmittedEvents = std::list<SubmittedEvent>;

// A counter that one side increments to wake the other.
class WakeFd {
public:
    // Throws std::system_error if the eventfd can't be made.
    WakeFd();

    [[nodiscard]] int get() const noexcept { return fd_.get(); }
    void signal() const noexcept;
    void drain() const noexcept;

private:
    Fd fd_;
};

class EventExchange {
public:
    struct Bounds {
        std::size_t events_max{};
        std::size_t bytes_max{};
    };

    // Throws std::system_error if the eventfds can't be made.
    explicit EventExchange(Bounds bounds) : bounds_(bounds) {}
    EventExchange(const EventExchange&) = delete;
    EventExchange& operator=(const EventExchange&) = delete;

    // The loop. On over_bound, and after close(), nothing was taken.
    [[nodiscard]] SubmitResult submit(HeldEventPtr event);
    [[nodiscard]] std::vector<HeldEventPtr> take_results();
    [[nodiscard]] const WakeFd& loop_wake() const noexcept { return loop_wake_; }
    // Takes no more, and wakes the thread.
    void close() noexcept;
    // The process is about to end: the thread keeps nothing that others need. What comes is taken nevertheless.
    void drain() noexcept;

    // The thread.
    [[nodiscard]] const WakeFd& thread_wake() const noexcept { return thread_wake_; }
    // Drains thread_wake() and appends what was submitted to `events`.
    void take_submitted(SubmittedEvents& events) noexcept;
    // Hands decided events back; `events` is empty then.
    void post(SubmittedEvents& events) noexcept;
    // An event that nobody waits for: it is no longer held.
    void release(const SubmittedEvent& event) noexcept;

    // Either.
    [[nodiscard]] bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    [[nodiscard]] bool is_draining() const noexcept { return draining_.load(std::memory_order_acquire); }
    [[nodiscard]] std::size_t held_events() const noexcept { return held_events_.load(); }
    [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_.load(); }

private:
    Bounds bounds_;
    WakeFd thread_wake_;
    WakeFd loop_wake_;

    std::mutex mutex_;
    SubmittedEvents submitted_;
    SubmittedEvents results_;

    SubmittedEvents spare_;  // The loop's: places without an event, no more than were ever held at once.

    std::atomic<std::size_t> held_events_{0};
    std::atomic<std::size_t> held_bytes_{0};
    std::atomic<bool> closed_{false};
    std::atomic<bool> draining_{false};
};

}  // namespace runledger::edge
