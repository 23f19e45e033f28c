// A stand-in for runledgerd at the other end of the wire: a ROUTER that gives each request to the test and sends what
// the test answers.
//
// Used by one thread: the test's own, which serves when it likes, or that of a RecordingDaemon.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "common/wire.hpp"

namespace runledger::test {

class StandInDaemon {
public:
    using Answers = std::vector<std::vector<std::byte>>;
    using Take = std::function<Answers(std::span<const std::byte> request)>;

    // Binds nothing yet. An `ipc://` endpoint can be used by every user of this machine.
    StandInDaemon(std::string endpoint, Take take) : endpoint_(std::move(endpoint)), take_(std::move(take)) {}
    StandInDaemon(const StandInDaemon&) = delete;
    StandInDaemon& operator=(const StandInDaemon&) = delete;
    ~StandInDaemon() { stop(); }

    void start();
    // As when the process dies: what it has not read is gone.
    void stop();
    [[nodiscard]] bool is_running() const noexcept { return router_.has_value(); }

    // Whether a request waits, or comes within that time.
    [[nodiscard]] bool wait(std::chrono::milliseconds time_max);
    // Takes all that waits and answers it; does nothing when stopped.
    void serve();

    // Where it says true, the daemon stops without an answer to anything that it has read with this batch.
    std::function<bool(const wire::Batch&)> dies_of;

private:
    std::string endpoint_;
    Take take_;
    zmq::context_t context_;
    std::optional<zmq::socket_t> router_;
};

}  // namespace runledger::test
