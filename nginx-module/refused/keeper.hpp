// The keeper: one thread per nginx worker that writes refused bodies to their folder, for a second try.
//
// The event loop asks for a ticket before it reads such a body, hands the body over with the ticket, and answers at
// once: it never waits for the keeper, and the keeper never calls nginx. What is kept is no promise: bodies over a
// bound, or that the disk refuses, are counted and dropped. Nothing here touches the courier or its disk: only a free
// tenth of the file system may be filled.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/refused_format.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/refused/refused_settings.hpp"

namespace runledger::edge {

// The right to have one refused body of a certain size read and kept. Gives its part of the bounds back when it goes.
class RefusedTicket {
public:
    struct Pending;  // What all tickets of a keeper take.

    RefusedTicket(std::shared_ptr<Pending> pending, std::size_t body_bytes) noexcept;
    RefusedTicket(RefusedTicket&& other) noexcept = default;
    RefusedTicket& operator=(RefusedTicket&& other) noexcept;
    RefusedTicket(const RefusedTicket&) = delete;
    RefusedTicket& operator=(const RefusedTicket&) = delete;
    ~RefusedTicket();

private:
    void give_back() noexcept;

    std::shared_ptr<Pending> pending_;  // Nothing once moved from.
    std::size_t body_bytes_;
};

// What the loop knows of a refused request; the keeper adds the boot and the edge's name.
struct RefusedRequest {
    RefusedBody refused;
    std::uint32_t sender{};  // A digest of the network that the client is in.
};

// Construct, use and destroy in one worker process, after the fork. Everything is for the loop's thread.
class Keeper {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Opens nothing yet. Precondition: a folder is configured.
    explicit Keeper(RefusedSettings settings);
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper();  // stop() with no patience.

    // Starts the thread, all signals blocked in it. Throws std::system_error if there is none to be had: nothing is
    // kept meanwhile; call it again.
    void start();

    // Nothing, and counted, if a body of this size would not be kept: answer as if there were no keeper.
    [[nodiscard]] std::optional<RefusedTicket> admit(std::size_t body_bytes, SteadyTime now);
    // Hands the body over. Throws std::bad_alloc: it is not kept.
    void keep(RefusedTicket ticket, RefusedRequest request);
    // A body that could not be put through later, whatever is mended: it is only counted.
    void count_unfit() noexcept;
    // A body that the loop would have to wait for, and can't: it is only counted.
    void count_over_rate() noexcept;

    [[nodiscard]] RefusedFigures figures() const;
    [[nodiscard]] std::vector<LogLine> take_log_lines();

    // Writes what was handed over and joins the thread; gives up after `patience` (a disk that hangs), leaving the
    // thread to the process's end. Returns whether it joined.
    bool stop(std::chrono::milliseconds patience);

private:
    struct Shared;  // By the loop and the thread.
    class Thread;   // What lives and dies in the thread.

    std::shared_ptr<Shared> shared_;  // The thread has it, too, and may outlive a stop() that gave up.
};

}  // namespace runledger::edge
