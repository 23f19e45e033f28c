// Wakes a stage, or tells it to stop.
//
// Each stage waits on its own Wakeup with a poll interval behind it: a lost wake-up costs an interval, never an event.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace runledger {

class Wakeup {
public:
    Wakeup() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~Wakeup() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    // From any thread. Wakes the waiter, or lets its next wait() return at once.
    void notify() {
        {
            const std::lock_guard lock(mutex_);
            notified_ = true;
            mark_readable();
        }
        condition_.notify_all();
    }

    // From any thread. wait() returns false from now on.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
            mark_readable();
        }
        condition_.notify_all();
    }

    // Until notified, stopped or `bound` has passed. Returns whether to go on.
    [[nodiscard]] bool wait(std::chrono::milliseconds bound) {
        std::unique_lock lock(mutex_);
        condition_.wait_for(lock, bound, [&] { return notified_ || stopped_; });
        forget_notice();
        return !stopped_;
    }

    // As wait(), but only stop() ends it early: for backing off after a failure.
    [[nodiscard]] bool pause(std::chrono::milliseconds bound) {
        std::unique_lock lock(mutex_);
        condition_.wait_for(lock, bound, [&] { return stopped_; });
        return !stopped_;
    }

    // Without waiting: whether there was a notification, which is then forgotten.
    [[nodiscard]] bool take_notice() {
        const std::lock_guard lock(mutex_);
        const bool was_notified = notified_;
        forget_notice();
        return was_notified;
    }

    [[nodiscard]] bool is_stopped() {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

    // Readable from a notification until take_notice() or wait(), and once stopped: for who waits in a poll. -1 where
    // the kernel had none to give; then only the poll's own bound ends it.
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

private:
    void mark_readable() const noexcept {
        if (descriptor_ >= 0) {
            (void)::eventfd_write(descriptor_, 1);  // Fails only at 2^64 - 2 notifications: readable then, too.
        }
    }
    void forget_notice() noexcept {
        if (notified_ && !stopped_ && descriptor_ >= 0) {
            eventfd_t count = 0;
            (void)::eventfd_read(descriptor_, &count);  // Not readable: already forgotten.
        }
        notified_ = false;
    }

    std::mutex mutex_;
    std::condition_variable condition_;
    bool notified_{false};
    bool stopped_{false};
    int descriptor_;
};

}  // namespace runledger
