// The batches that have been sent to one daemon and not answered, and how much more may be sent to it.
//
// Bounded in bytes and in batches. A busy or silent daemon halves the bound and pauses the sending; after a loss it
// starts at the least; commits let it grow again. Each silence in a row doubles the time until unanswered batches are
// sent again; any answer ends that.
// Arithmetic only: no socket, no file, no clock of its own. Used by the courier's thread alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "common/identity.hpp"
#include "common/limits.hpp"

namespace runledger::edge {

inline constexpr std::size_t window_batches_max = 4096;

class Window {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    struct Policy {
        std::chrono::milliseconds resend_after{5000};
        std::chrono::milliseconds resend_after_max{60'000};
        std::chrono::milliseconds busy_pause_min{50};
        std::chrono::milliseconds busy_pause_max{2000};
    };

    explicit Window(const Policy& policy) : policy_(policy), resend_after_(policy.resend_after) {}

    // Whether a frame of that size may be sent now. If nothing else is in flight, any size may.
    [[nodiscard]] bool has_room(std::size_t frame_bytes, SteadyTime now) const noexcept;

    // Precondition: not in the window.
    void add(const BatchName& name, std::size_t frame_bytes, SteadyTime now);
    // Takes the batch out, whatever its answer. False if it is not here: it was sent again, or is unknown.
    bool drop(const BatchName& name);
    // Takes out the batches that have had no answer for too long.
    [[nodiscard]] std::vector<BatchName> take_overdue(SteadyTime now);
    // The connection is lost, and with it everything in flight: takes it all out, the oldest first.
    [[nodiscard]] std::vector<BatchName> take_lost();

    void on_committed() noexcept;
    void on_busy(SteadyTime now) noexcept;
    // Something was overdue.
    void on_silence(SteadyTime now) noexcept;
    // Any answer: the daemon is alive.
    void on_answer() noexcept;

    // When take_overdue() or the end of a pause next has something to do; max() if nothing is in flight.
    [[nodiscard]] SteadyTime due_at(SteadyTime now) const noexcept;

    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t batches() const noexcept { return by_name_.size(); }
    [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }
    // Something was overdue, and there has been no answer since.
    [[nodiscard]] bool is_silent() const noexcept { return is_silent_; }

private:
    struct Flight {
        BatchName name;
        std::size_t frame_bytes{};
        SteadyTime sent_at;
    };
    using Flights = std::list<Flight>;  // In the order of sending.

    void slow_down(SteadyTime now) noexcept;
    void erase(std::map<BatchName, Flights::iterator>::iterator found);

    Policy policy_;
    Flights flights_;
    std::map<BatchName, Flights::iterator> by_name_;
    std::size_t bytes_{};
    std::size_t bytes_max_{window_bytes_max};
    std::chrono::milliseconds resend_after_;
    bool is_silent_{false};
    std::chrono::milliseconds pause_{0};
    SteadyTime paused_until_{};
};

}  // namespace runledger::edge
