#include "nginx-module/courier/shared.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace runledger::edge {
namespace {

Fd make_eventfd() {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    return Fd(fd);
}

void signal(const Fd& eventfd) noexcept {
    const std::uint64_t one = 1;
    // It can fail only where the counter is full, and then the other side is awake anyway.
    static_cast<void>(!::write(eventfd.get(), &one, sizeof one));
}

void drain(const Fd& eventfd) noexcept {
    std::uint64_t count = 0;
    // It fails where nothing was signalled, which is as good.
    static_cast<void>(!::read(eventfd.get(), &count, sizeof count));
}

}  // namespace

CourierShared::CourierShared(CourierConfig config)
    : config_(std::move(config)),
      submitted_signal_(make_eventfd()),
      wake_(make_eventfd()),
      finished_(make_eventfd()),
      log_([this] { signal(wake_); }) {}

SubmitResult CourierShared::submit(HeldEventPtr event) {
    const std::size_t body_bytes = event->body_bytes;
    // Only this side adds, so what is checked here can only have become less.
    if (is_stopping() || held_events_.load() + 1 > config_.held_events_max ||
        held_bytes_.load() + body_bytes > config_.held_bytes_max) {
        return SubmitResult::over_bound;
    }
    SubmittedEvents one;
    if (spare_.empty()) {
        one.emplace_back();
    } else {
        one.splice(one.begin(), spare_, spare_.begin());
    }
    one.front() = {.event = std::move(event), .submitted_at = std::chrono::steady_clock::now()};
    held_events_ += 1;
    held_bytes_ += body_bytes;
    bool was_empty = false;
    {
        const std::scoped_lock lock(mutex_);
        was_empty = submitted_.empty();
        submitted_.splice(submitted_.end(), one);
    }
    if (was_empty) {
        signal(submitted_signal_);  // Otherwise one is on its way already.
    }
    return SubmitResult::submitted;
}

std::vector<HeldEventPtr> CourierShared::take_results() {
    SubmittedEvents taken;
    {
        const std::scoped_lock lock(mutex_);
        taken.swap(results_);
    }
    std::vector<HeldEventPtr> events;
    try {
        events.reserve(taken.size());
    } catch (const std::bad_alloc&) {
        const std::scoped_lock lock(mutex_);
        results_.splice(results_.begin(), taken);  // Not forgotten: the next call may have the memory.
        throw;
    }
    for (SubmittedEvent& result : taken) {
        events.push_back(std::move(result.event));
    }
    spare_.splice(spare_.end(), taken);
    return events;
}

CourierStats CourierShared::stats() const noexcept {
    CourierStats stats;
    {
        const std::scoped_lock lock(mutex_);
        stats = stats_;
    }
    stats.held_events = held_events_.load();
    stats.held_bytes = held_bytes_.load();
    return stats;
}

void CourierShared::request_stop(SteadyTime give_up_at) noexcept {
    give_up_at_.store(give_up_at.time_since_epoch().count());
    stopping_.store(true, std::memory_order_release);
    signal(submitted_signal_);
}

bool CourierShared::wait_finished(std::chrono::milliseconds patience) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waited{.fd = finished_.get(), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waited, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

void CourierShared::take_submitted(SubmittedEvents& events) noexcept {
    drain(submitted_signal_);  // Before taking: an event that comes in between signals again.
    const std::scoped_lock lock(mutex_);
    events.splice(events.end(), submitted_);
}

void CourierShared::post(SubmittedEvents& events) noexcept {
    if (events.empty()) {
        return;
    }
    for (const SubmittedEvent& event : events) {
        release(event);
    }
    {
        const std::scoped_lock lock(mutex_);
        results_.splice(results_.end(), events);
    }
    signal(wake_);
}

void CourierShared::release(const SubmittedEvent& event) noexcept {
    held_events_ -= 1;
    held_bytes_ -= event.event->body_bytes;
}

void CourierShared::publish(const CourierStats& stats) noexcept {
    const std::scoped_lock lock(mutex_);
    stats_ = stats;
}

CourierShared::SteadyTime CourierShared::give_up_at() const noexcept {
    return SteadyTime{SteadyTime::duration{give_up_at_.load()}};
}

void CourierShared::set_finished() noexcept { signal(finished_); }

}  // namespace runledger::edge
