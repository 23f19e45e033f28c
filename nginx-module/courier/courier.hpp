// The courier: one thread per nginx worker that owns the worker's segments and its ZeroMQ socket.
//
// The event loop hands events over with submit() and learns their results through an eventfd; it never waits for the
// courier, and the courier never calls nginx. Everything here is plain C++: no nginx header is included.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "nginx-module/courier/courier_settings.hpp"
#include "nginx-module/courier/held_event.hpp"
#include "nginx-module/log/edge_log.hpp"

namespace runledger::edge {

// Construct, use and destroy in one worker process, after the fork. submit(), take_*(), figures() and stop() are for
// the loop's thread.
class Courier {
public:
    // Opens nothing yet. Throws std::system_error if the eventfds can't be made.
    explicit Courier(CourierSettings settings);
    Courier(const Courier&) = delete;
    Courier& operator=(const Courier&) = delete;
    ~Courier();  // stop() with no patience.

    // Starts the thread, all signals blocked in it. Throws std::system_error if there is none to be had: events can be
    // submitted nevertheless and wait for it; call it again. A spool that can't be opened is no failure here: the
    // courier logs it, keeps trying, and requests are held.
    void start();

    // Hands an event over; never blocks on I/O. On over_bound nothing was taken.
    [[nodiscard]] SubmitResult submit(HeldEventPtr event);

    // Readable when take_results() or take_log_lines() has something. Drain it before taking, never after.
    [[nodiscard]] int wake_fd() const noexcept;
    [[nodiscard]] std::vector<HeldEventPtr> take_results();
    [[nodiscard]] std::vector<LogLine> take_log_lines();

    // As of the thread's last turn; the held events as of now.
    [[nodiscard]] CourierFigures figures() const noexcept;

    // The worker lives on only for requests that it has, perhaps for days, beside others that serve in its place.
    // Events are taken, stored and answered as before, but sent by the others: the link is closed, and each segment is
    // released when no event waits to be stored. May be called again.
    void drain() noexcept;

    // Commits what was submitted, leaves sending as it is (the spool has it), lets go of the segments and joins the
    // thread; gives up after `patience` (an fdatasync that hangs), leaving the thread to the process's end.
    // Returns whether it joined.
    bool stop(std::chrono::milliseconds patience);

private:
    struct Shared;  // By the loop and the thread.
    class Thread;   // What lives and dies in the thread.

    std::shared_ptr<Shared> shared_;  // The thread has it, too, and may outlive a stop() that gave up.
};

}  // namespace runledger::edge
