// What every stage of the daemon has: a thread, and a heartbeat that says whether it still gets on.
//
// The stage's object does the work and beats; a StageThread runs it. Daemon (daemon/daemon.hpp) starts and stops them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace runledger {

// Written by one stage's thread, read by any. Several threads of one stage have one each.
class Heartbeat {
public:
    using Clock = std::chrono::steady_clock;

    // A turn begins: the next beat() or rest() comes within the stage's bound.
    void beat() noexcept { busy_since_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed); }
    // The stage waits until there is work, for as long as that takes.
    void rest() noexcept { busy_since_.store(resting, std::memory_order_relaxed); }

    // A turn of the stage's transactions has failed, and is tried again; or one was committed.
    void fail() noexcept;
    void work() noexcept { failing_since_.store(working, std::memory_order_relaxed); }

    // Since the last beat; zero at rest, and before the first beat.
    [[nodiscard]] Clock::duration silent_for(Clock::time_point now) const noexcept;
    // Since the first turn that failed behind the last one that was committed; zero if there is none.
    [[nodiscard]] Clock::duration failing_for(Clock::time_point now) const noexcept;

private:
    static constexpr Clock::rep resting = -1;
    static constexpr Clock::rep working = -1;
    std::atomic<Clock::rep> busy_since_{resting};
    std::atomic<Clock::rep> failing_since_{working};
};

// A thread of this process could not be started. what() is a sentence for the operator: print it and exit with 1.
class ThreadNotStarted : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Starts a thread with this body. Throws std::system_error if it can't; a test passes one that does.
using StartThread = std::function<std::jthread(std::function<void()> body)>;
[[nodiscard]] std::jthread start_thread(std::function<void()> body);

// Names the calling thread after its stage, as `top -H` and gdb show it: "rl-settle". Cut after 15 bytes.
void name_this_thread(std::string_view stage) noexcept;

// The thread of a stage: runs from the constructor until `body` returns. The destructor waits for that, so whoever owns
// a StageThread asks the stage to stop first.
class StageThread {
public:
    struct Stage {
        std::string name;                  // For the log.
        std::function<void()> body;        // Until the stage is asked to stop. Never throws.
        const Heartbeat& heartbeat;        // Outlives the thread.
        std::chrono::seconds silence_max;  // Between two beats; more means that the stage hangs.
    };

    // Throws ThreadNotStarted; then nothing runs.
    explicit StageThread(Stage stage, const StartThread& start = start_thread);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] bool hangs(Heartbeat::Clock::time_point now) const noexcept {
        return heartbeat_->silent_for(now) > silence_max_;
    }

private:
    std::string name_;
    const Heartbeat* heartbeat_;
    std::chrono::seconds silence_max_;
    std::jthread thread_;
};

// Starts `count` threads at once and ends them, to find a limit on threads while a sentence can still say so: libzmq
// aborts where it can't start its own. Throws ThreadNotStarted.
void check_threads_can_start(std::size_t count, const StartThread& start = start_thread);

}  // namespace runledger
