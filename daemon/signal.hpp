// How one stage wakes another, and how all are told to stop.
//
// Each stage waits on its own Wakeup with a poll interval behind it: a lost wake-up costs an interval, never an event.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace runledger {

class Wakeup {
public:
    // From any thread. Wakes the waiter, or lets its next wait() return at once.
    void notify() {
        {
            const std::lock_guard lock(mutex_);
            notified_ = true;
        }
        condition_.notify_all();
    }

    // From any thread. wait() returns false from now on.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        condition_.notify_all();
    }

    // Until notified, stopped or `bound` has passed. Returns whether to go on.
    [[nodiscard]] bool wait(std::chrono::milliseconds bound) {
        std::unique_lock lock(mutex_);
        condition_.wait_for(lock, bound, [&] { return notified_ || stopped_; });
        notified_ = false;
        return !stopped_;
    }

    // As wait(), but only stop() ends it early: for backing off after a failure.
    [[nodiscard]] bool pause(std::chrono::milliseconds bound) {
        std::unique_lock lock(mutex_);
        condition_.wait_for(lock, bound, [&] { return stopped_; });
        return !stopped_;
    }

    [[nodiscard]] bool is_stopped() {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

private:
    std::mutex mutex_;
    std::condition_variable condition_;
    bool notified_{false};
    bool stopped_{false};
};

}  // namespace runledger
