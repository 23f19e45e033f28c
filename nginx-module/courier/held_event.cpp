#include "nginx-module/courier/held_event.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace runledger::edge {

HeldEvent::~HeldEvent() { const Fd closed(body_fd); }

void HeldEvent::renew() noexcept {
    constexpr std::size_t kept_bytes_max = 4096;  // Nearly every body; so many are kept that it matters.
    std::string memory;
    if (body.capacity() <= kept_bytes_max) {
        memory = std::move(body);
        memory.clear();
    }
    // Made anew as a whole, so that no member can be forgotten here.
    std::destroy_at(this);
    std::construct_at(this);
    body = std::move(memory);
}

WakeFd::WakeFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!fd_) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
}

void WakeFd::signal() const noexcept {
    const std::uint64_t one = 1;
    // It can fail only where the counter is full, and then the other side is awake anyway.
    static_cast<void>(!::write(fd_.get(), &one, sizeof one));
}

void WakeFd::drain() const noexcept {
    std::uint64_t count = 0;
    // It fails where nothing was signalled, which is as good.
    static_cast<void>(!::read(fd_.get(), &count, sizeof count));
}

SubmitResult EventExchange::submit(HeldEventPtr event) {
    const std::size_t body_bytes = event->body_bytes;
    // Only this side adds, so what is checked here can only have become less.
    if (is_closed() || held_events_.load() + 1 > bounds_.events_max ||
        held_bytes_.load() + body_bytes > bounds_.bytes_max) {
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
        thread_wake_.signal();  // Otherwise one is on its way already.
    }
    return SubmitResult::submitted;
}

std::vector<HeldEventPtr> EventExchange::take_results() {
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

void EventExchange::close() noexcept {
    closed_.store(true, std::memory_order_release);
    thread_wake_.signal();
}

void EventExchange::drain() noexcept {
    if (!draining_.exchange(true, std::memory_order_acq_rel)) {
        thread_wake_.signal();
    }
}

void EventExchange::take_submitted(SubmittedEvents& events) noexcept {
    thread_wake_.drain();  // Before taking: an event that comes in between signals again.
    const std::scoped_lock lock(mutex_);
    events.splice(events.end(), submitted_);
}

void EventExchange::post(SubmittedEvents& events) noexcept {
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
    loop_wake_.signal();
}

void EventExchange::release(const SubmittedEvent& event) noexcept {
    held_events_ -= 1;
    held_bytes_ -= event.event->body_bytes;
}

}  // namespace runledger::edge
