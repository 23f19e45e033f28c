// A TCP connection that says exactly what a test wants said, when it wants: half a request, a pause, a hang-up; and a
// server that says nothing at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/eventually.hpp"

namespace runledger::test {

// The descriptor of a TCP connection to 127.0.0.1, which the caller closes. Throws std::system_error.
[[nodiscard]] int connect_to_loopback(std::uint16_t port);

class RawConnection {
public:
    explicit RawConnection(std::uint16_t port);
    ~RawConnection();
    RawConnection(const RawConnection&) = delete;
    RawConnection& operator=(const RawConnection&) = delete;

    void send(std::string_view bytes);
    // Returns all that has come once it contains `text`; throws when it does not in time.
    std::string read_until(std::string_view text, std::chrono::milliseconds patience = default_patience);
    // Returns all that has come once the other side has closed.
    std::string read_to_end(std::chrono::milliseconds patience = default_patience);
    void close();
    // Closes by a reset, as a client that crashes does.
    void reset();
    // Says that nothing more will come, and goes on listening.
    void finish_sending();

private:
    // False at the end of what comes.
    bool read_some(std::chrono::steady_clock::time_point deadline, std::string_view awaited);

    int fd_{-1};
    std::string received_;
};

// An upstream that takes a connection and keeps its client waiting.
class SilentServer {
public:
    SilentServer();
    ~SilentServer();
    SilentServer(const SilentServer&) = delete;
    SilentServer& operator=(const SilentServer&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    void wait_for_client();
    // On the client that came.
    void hang_up();

private:
    int fd_{-1};
    int client_fd_{-1};
    std::uint16_t port_{};
};

}  // namespace runledger::test
