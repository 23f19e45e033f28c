// Looks up the name of a daemon's host, apart from the courier's thread and from ZeroMQ's.
//
// ZeroMQ would resolve a name in the one I/O thread that all connections share: while DNS is silent, none of them would
// go on. Here each look-up has a short-lived thread of its own, which nobody waits for; ZeroMQ gets numeric addresses.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

struct TcpName {
    std::string host;
    std::string port;
};

// The host and port of tcp://HOST:PORT; nothing if the host is a numeric address, or if it is another endpoint.
[[nodiscard]] std::optional<TcpName> find_tcp_name(std::string_view endpoint);

struct NameAnswer {
    std::vector<std::string> endpoints;  // tcp:// with a numeric address, in the order of getaddrinfo(3).
    std::string fault;                   // Why there are none.
};

// Readable when a look-up has ended. Shared with the look-ups' threads, which may outlive the link.
class NameWake {
public:
    // Throws std::system_error if the eventfd can't be made.
    NameWake();

    [[nodiscard]] int get() const noexcept { return fd_.get(); }
    void signal() const noexcept;
    void drain() const noexcept;

private:
    Fd fd_;
};

// The answer comes after as long as the system's resolver takes, minutes perhaps. To drop the future waits for nothing.
// Throws std::system_error if there is no thread.
[[nodiscard]] std::future<NameAnswer> look_up(const TcpName& name, std::shared_ptr<const NameWake> wake);

}  // namespace runledger::edge
