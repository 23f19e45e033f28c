// Decides which edges a CURVE handshake lets in: ZeroMQ's authentication protocol (rfc.zeromq.org/spec/27).
//
// ZeroMQ asks over an inproc socket of the ROUTER's context; the intake's thread answers between batches. A denial is
// counted each time, and logged with the address and the beginning of the key once, then once a minute with a count.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <zmq.hpp>

#include "daemon/net/curve_keys.hpp"

namespace runledger {

class Gatekeeper {
public:
    // Before the ROUTER binds. Throws KeyFileError, zmq::error_t. `denied` outlives this.
    Gatekeeper(zmq::context_t& context, const std::filesystem::path& authorized_keys_file,
               std::atomic<std::uint64_t>& denied);

    // For zmq::poll.
    [[nodiscard]] void* socket() noexcept { return static_cast<void*>(replier_); }
    // Answers all that wait.
    void answer();

private:
    struct Denial {
        std::chrono::steady_clock::time_point said_at{};
        std::uint64_t unsaid{};
    };

    void log_denial(const std::string& address, const std::string& key);

    zmq::socket_t replier_;
    AuthorizedKeys keys_;
    std::atomic<std::uint64_t>& denied_;
    std::map<std::string, Denial> denials_;  // By the beginning of the key.
};

}  // namespace runledger
