#include "daemon/base/stage.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <array>
#include <latch>
#include <system_error>
#include <utility>
#include <vector>

namespace runledger {
namespace {

constexpr std::string_view advice =
    "raise the limit on this service's tasks (systemd: TasksMax=) or on its user's processes (ulimit -u)";

}  // namespace

Heartbeat::Clock::duration Heartbeat::silent_for(Clock::time_point now) const noexcept {
    const Clock::rep busy_since = busy_since_.load(std::memory_order_relaxed);
    if (busy_since == resting) {
        return Clock::duration::zero();
    }
    return now - Clock::time_point{Clock::duration{busy_since}};
}

void Heartbeat::fail() noexcept {
    Clock::rep expected = working;
    // If it has failed before, the first time stays.
    (void)failing_since_.compare_exchange_strong(expected, Clock::now().time_since_epoch().count());
}

Heartbeat::Clock::duration Heartbeat::failing_for(Clock::time_point now) const noexcept {
    const Clock::rep failing_since = failing_since_.load(std::memory_order_relaxed);
    if (failing_since == working) {
        return Clock::duration::zero();
    }
    return now - Clock::time_point{Clock::duration{failing_since}};
}

std::jthread start_thread(std::function<void()> body) { return std::jthread(std::move(body)); }

void name_this_thread(std::string_view stage) noexcept {
    constexpr std::size_t name_bytes_max = 15;  // pthread_setname_np(3): 16 with the zero.
    std::array<char, name_bytes_max + 1> name{"rl-"};
    constexpr std::size_t prefix_bytes = 3;
    stage.copy(name.data() + prefix_bytes, name_bytes_max - prefix_bytes);
    (void)::pthread_setname_np(::pthread_self(), name.data());  // For whoever looks at threads; failing is no harm.
}

StageThread::StageThread(Stage stage, const StartThread& start)
    : name_(std::move(stage.name)), heartbeat_(&stage.heartbeat), silence_max_(stage.silence_max) {
    try {
        thread_ = start([name = name_, body = std::move(stage.body)] {
            name_this_thread(name);
            body();
        });
    } catch (const std::system_error& error) {
        throw ThreadNotStarted(
            fmt::format("the thread of stage {} can't be started: {}; {}", name_, error.code().message(), advice));
    }
}

void check_threads_can_start(std::size_t count, const StartThread& start) {
    std::latch all_tried(1);  // Declared before the threads that wait for it, which their destructors join.
    std::vector<std::jthread> threads;
    threads.reserve(count);
    try {
        while (threads.size() < count) {
            threads.push_back(start([&all_tried] { all_tried.wait(); }));
        }
    } catch (const std::system_error& error) {
        all_tried.count_down();
        throw ThreadNotStarted(fmt::format("{} threads are needed, and only {} can be started: {}; {}", count,
                                           threads.size(), error.code().message(), advice));
    }
    all_tried.count_down();
}

}  // namespace runledger
