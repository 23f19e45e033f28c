#include "nginx-module/link/window.hpp"

#include <algorithm>
#include <new>

namespace runledger::edge {
namespace {

constexpr std::size_t bytes_max_min = 64UL * 1024;  // However busy the daemon is, and after it was lost.
constexpr std::size_t growth_bytes = 64UL * 1024;   // With each committed batch: back from 8 MiB to 16 in 128 of them.

}  // namespace

bool Window::has_room(std::size_t frame_bytes, SteadyTime now) const noexcept {
    if (now < paused_until_) {
        return false;
    }
    return by_name_.empty() || (bytes_ + frame_bytes <= bytes_max_ && by_name_.size() < window_batches_max);
}

void Window::add(const BatchName& name, std::size_t frame_bytes, SteadyTime now) {
    const auto flight = flights_.insert(flights_.end(), {.name = name, .frame_bytes = frame_bytes, .sent_at = now});
    try {
        by_name_.emplace(name, flight);
    } catch (const std::bad_alloc&) {
        flights_.erase(flight);  // In both or in neither.
        throw;
    }
    bytes_ += frame_bytes;
}

void Window::erase(std::map<BatchName, Flights::iterator>::iterator found) {
    bytes_ -= found->second->frame_bytes;
    flights_.erase(found->second);
    by_name_.erase(found);
}

bool Window::drop(const BatchName& name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        return false;
    }
    erase(found);
    return true;
}

std::vector<BatchName> Window::take_overdue(SteadyTime now) {
    std::vector<BatchName> names;
    while (!flights_.empty() && now - flights_.front().sent_at >= resend_after_) {
        names.push_back(flights_.front().name);
        erase(by_name_.find(names.back()));
    }
    return names;
}

std::vector<BatchName> Window::take_lost() {
    std::vector<BatchName> names;
    names.reserve(flights_.size());
    for (const Flight& flight : flights_) {
        names.push_back(flight.name);
    }
    flights_.clear();
    by_name_.clear();
    bytes_ = 0;
    // If one of them was the cause, fewer shall be under way with it the next time.
    bytes_max_ = bytes_max_min;
    pause_ = std::chrono::milliseconds{0};
    paused_until_ = {};
    on_answer();
    return names;
}

void Window::on_committed() noexcept {
    pause_ = std::chrono::milliseconds{0};
    bytes_max_ = std::min(bytes_max_ + growth_bytes, window_bytes_max);
}

void Window::on_busy(SteadyTime now) noexcept { slow_down(now); }

void Window::on_silence(SteadyTime now) noexcept {
    slow_down(now);
    resend_after_ = std::min(resend_after_ * 2, std::max(settings_.resend_after, settings_.resend_after_max));
    is_silent_ = true;
}

void Window::on_answer() noexcept {
    resend_after_ = settings_.resend_after;
    is_silent_ = false;
}

void Window::slow_down(SteadyTime now) noexcept {
    if (now < paused_until_) {
        return;  // The same burst met the same bound: one lesson is enough.
    }
    bytes_max_ = std::max(bytes_max_ / 2, bytes_max_min);
    pause_ = std::clamp(pause_ * 2, settings_.busy_pause_min, settings_.busy_pause_max);
    paused_until_ = now + pause_;
}

Window::SteadyTime Window::due_at(SteadyTime now) const noexcept {
    SteadyTime due = SteadyTime::max();
    if (!flights_.empty()) {
        due = flights_.front().sent_at + resend_after_;
    }
    if (paused_until_ > now) {
        due = std::min(due, paused_until_);
    }
    return due;
}

}  // namespace runledger::edge
