// What the event loop and the courier's thread share: the events on their way in and out, the wake-ups, the numbers.
//
// The lock is held only to splice lists and to copy numbers, never across I/O or an allocation. Each function says
// which side calls it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <vector>

#include "nginx-module/courier/courier.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

struct SubmittedEvent {
    HeldEventPtr event;
    std::chrono::steady_clock::time_point submitted_at;
};

// Lists, since moving an event between them can't fail: what is durable is posted whatever memory there is.
using SubmittedEvents = std::list<SubmittedEvent>;

class CourierShared {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Throws std::system_error if the eventfds can't be made.
    explicit CourierShared(CourierConfig config);
    CourierShared(const CourierShared&) = delete;
    CourierShared& operator=(const CourierShared&) = delete;

    [[nodiscard]] const CourierConfig& config() const noexcept { return config_; }
    [[nodiscard]] EdgeLog& log() noexcept { return log_; }

    // The loop.
    [[nodiscard]] SubmitResult submit(HeldEventPtr event);
    [[nodiscard]] std::vector<HeldEventPtr> take_results();
    [[nodiscard]] int wake_fd() const noexcept { return wake_.get(); }
    [[nodiscard]] CourierStats stats() const noexcept;
    // Asks the thread to end; it tries to commit what it has until then.
    void request_stop(SteadyTime give_up_at) noexcept;
    // Whether the thread has ended, within the patience.
    [[nodiscard]] bool wait_finished(std::chrono::milliseconds patience) const;

    // The thread.
    [[nodiscard]] int submitted_fd() const noexcept { return submitted_signal_.get(); }
    // Drains submitted_fd() and appends what was submitted to `events`.
    void take_submitted(SubmittedEvents& events) noexcept;
    // Hands decided events back; `events` is empty then.
    void post(SubmittedEvents& events) noexcept;
    // An event that nobody waits for: it is no longer held.
    void release(const SubmittedEvent& event) noexcept;
    void publish(const CourierStats& stats) noexcept;
    [[nodiscard]] bool is_stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }
    [[nodiscard]] SteadyTime give_up_at() const noexcept;
    void set_finished() noexcept;

private:
    CourierConfig config_;
    Fd submitted_signal_;
    Fd wake_;
    Fd finished_;
    EdgeLog log_;

    mutable std::mutex mutex_;
    SubmittedEvents submitted_;
    SubmittedEvents results_;
    CourierStats stats_;

    SubmittedEvents spare_;  // The loop's: places without an event, no more than were ever held at once.

    std::atomic<std::size_t> held_events_{0};
    std::atomic<std::size_t> held_bytes_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<SteadyTime::rep> give_up_at_{0};
};

}  // namespace runledger::edge
