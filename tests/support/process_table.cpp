// What the machine knows of processes and ports: /proc and bind().
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

struct Stat {
    char state{};
    pid_t parent{};
    std::uint64_t started_ticks{};
};

// proc(5), /proc/pid/stat: the name in parentheses may hold anything, so fields are counted from the last one.
std::optional<Stat> stat_of(pid_t pid) {
    const std::string text = read_text(fmt::format("/proc/{}/stat", pid));
    const std::size_t end_of_name = text.rfind(')');
    if (end_of_name == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields(text.substr(end_of_name + 1));
    Stat stat;
    fields >> stat.state >> stat.parent;
    std::string skipped;
    for (int field = 5; field < 22; ++field) {
        fields >> skipped;
    }
    fields >> stat.started_ticks;
    return fields ? std::optional{stat} : std::nullopt;
}

// Names the port for this machine's tests: an abstract socket is gone with the process that holds it. The claim's
// descriptor, for as long as it lasts; -1 if another test has the port.
int claim(std::uint16_t port) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = fmt::format("runledger-test-port-{}", port);
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    // reinterpret_cast: the sockets API's own way of passing addresses.
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

// Without SO_REUSEADDR, as the strictest of servers: a port is not free while a connection of an ended server waits its
// minute (TIME_WAIT).
bool can_bind(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    // A child that another thread starts now has this socket until it executes its program: it is in no server's way.
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    ::close(fd);
    return bound;
}

int first_outgoing_port() {
    std::istringstream text(read_text("/proc/sys/net/ipv4/ip_local_port_range"));
    int first = 0;
    return text >> first ? first : 32768;
}

}  // namespace

std::optional<ProcessId> find_process(pid_t pid) {
    const auto stat = stat_of(pid);
    if (!stat || stat->state == 'Z' || stat->state == 'X') {
        return std::nullopt;
    }
    return ProcessId{.pid = pid, .started_ticks = stat->started_ticks};
}

std::vector<ProcessId> children_of(pid_t parent) {
    std::vector<ProcessId> children;
    std::error_code ignored;  // A process may end while the folder is read; what is listed then is still right.
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename().string();
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc{} || end != name.data() + name.size()) {
            continue;
        }
        const auto stat = stat_of(pid);
        if (stat && stat->parent == parent && stat->state != 'Z') {
            children.push_back({.pid = pid, .started_ticks = stat->started_ticks});
        }
    }
    return children;
}

bool is_alive(const ProcessId& process) {
    const auto stat = stat_of(process.pid);
    return stat && stat->started_ticks == process.started_ticks && stat->state != 'Z' && stat->state != 'X';
}

std::uint16_t free_port() {
    static std::mutex mutex;
    static std::mt19937 random{std::random_device{}()};  // Only to keep tests that start together apart.
    const std::lock_guard lock(mutex);
    const int last = std::min(first_outgoing_port(), 60'000) - 1;
    std::uniform_int_distribution<int> any(std::min(20'000, last - 1'000), last);
    for (int attempt = 0; attempt < 1'000; ++attempt) {
        const auto port = static_cast<std::uint16_t>(any(random));
        // Claimed first: a port of another test, who may be about to listen on it, is not even tried.
        const int claimed = claim(port);
        if (claimed >= 0 && can_bind(port)) {
            return port;  // The claim is left open on purpose: it lasts until this process ends.
        }
        if (claimed >= 0) {
            ::close(claimed);
        }
    }
    throw std::runtime_error("no free port on 127.0.0.1");
}

}  // namespace runledger::test
