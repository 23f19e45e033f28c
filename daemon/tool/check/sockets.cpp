#include "daemon/tool/check/sockets.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>
#include <vector>

#include "daemon/net/bind_host.hpp"
#include "daemon/net/http_client.hpp"

namespace runledger::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view edges = "socket";
constexpr std::string_view metrics = "metrics";
constexpr int patience_ms = 2000;
constexpr std::string_view start_it = "start the daemon: systemctl start runledgerd; its log says why it has ended";

std::string system_words() { return std::generic_category().message(errno); }

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

std::string text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
}

// The process at the other end of a connected socket, in words: runledgerd's own, or another's.
struct Listener {
    bool is_ours{true};
    std::string words;
};

Listener listener_of(int connected, const fs::path& config_file) {
    ucred peer{};
    socklen_t bytes = sizeof peer;
    if (getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0 || peer.pid <= 0) {
        return {.is_ours = true, .words = "a process listens"};
    }
    const fs::path process = fs::path("/proc") / std::to_string(peer.pid);
    std::string name = text_of(process / "comm");
    while (name.ends_with('\n')) {
        name.pop_back();
    }
    if (name.empty()) {
        return {.is_ours = true, .words = fmt::format("process {} listens", peer.pid)};
    }
    if (name != "runledgerd") {
        return {.is_ours = false, .words = fmt::format("the program {} listens here (process {})", name, peer.pid)};
    }
    // Its arguments, each with a zero byte behind it.
    std::istringstream arguments(text_of(process / "cmdline"));
    std::string before;
    std::error_code error;
    for (std::string argument; std::getline(arguments, argument, '\0'); before = argument) {
        constexpr std::string_view option = "--config=";
        const std::string file = before == "--config"           ? argument
                                 : argument.starts_with(option) ? argument.substr(option.size())
                                                                : "";
        if (fs::path(file).is_absolute() && !fs::equivalent(file, config_file, error)) {
            return {.is_ours = false,
                    .words = fmt::format("another daemon listens here: process {} with {}", peer.pid, file)};
        }
    }
    return {.is_ours = true, .words = fmt::format("runledgerd listens (process {})", peer.pid)};
}

void check_rights_of_edge(const std::string& endpoint, const struct stat& folder, const SocketsContext& context,
                          Findings& findings) {
    if (!context.edge || !context.edge->workers) {
        return;
    }
    const Account& workers = *context.edge->workers;
    // A file inherits the group of a folder with the set-group-ID bit, else it gets its maker's.
    const gid_t group = (folder.st_mode & S_ISGID) != 0 ? folder.st_gid : context.daemon.gid;
    const bool may =
        workers.uid == 0 || workers.uid == context.daemon.uid || (workers.is_in(group) && workers.may_enter(folder));
    if (!may) {
        findings.fail(edges,
                      fmt::format("{}: nginx's workers ({}) can't connect: the socket's group is {}", endpoint,
                                  workers.name, group_name_of(group)),
                      fmt::format("chgrp {} its folder and chmod 2750 it", group_name_of(workers.gid)));
    }
}

void check_ipc(const std::string& endpoint, const std::string& path, const SocketsContext& context,
               Findings& findings) {
    sockaddr_un address{};
    constexpr std::size_t path_bytes_max = sizeof address.sun_path - 1;
    if (path.starts_with('@') || path == "*") {
        findings.passed(edges, fmt::format("{}: needs no file", endpoint));
        return;
    }
    if (path.size() > path_bytes_max) {
        findings.fail(
            edges,
            fmt::format("{}: the path has {} bytes, at most {} are possible", endpoint, path.size(), path_bytes_max),
            "choose a shorter path in [intake] bind and in runledger_daemon");
        return;
    }
    const fs::path folder_path = fs::absolute(path).parent_path();
    struct stat folder {};
    if (::stat(folder_path.c_str(), &folder) != 0) {
        if (errno == EACCES) {
            findings.unknown(edges, fmt::format("{}: {}", folder_path.string(), system_words()),
                             "run the check as root");
        } else {
            findings.fail(edges, fmt::format("{}: the folder {}: {}", endpoint, folder_path.string(), system_words()),
                          fmt::format("systemd-tmpfiles --create, or install -d -o {} -g www-data -m 2750 {}",
                                      context.daemon.name, folder_path.string()));
        }
        return;
    }
    if (!context.daemon.may_write(folder) || !context.daemon.may_enter(folder)) {
        findings.fail(edges,
                      fmt::format("{}: the user {} can't make a socket in {}, which {} owns", endpoint,
                                  context.daemon.name, folder_path.string(), name_of(folder.st_uid)),
                      fmt::format("chown {} {}", context.daemon.name, folder_path.string()));
        return;
    }
    check_rights_of_edge(endpoint, folder, context, findings);
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0) {
        if (errno == ENOENT) {
            findings.warn(edges, fmt::format("{}: no daemon listens", endpoint), std::string(start_it));
        } else {
            findings.unknown(edges, fmt::format("{}: {}", endpoint, system_words()), "run the check as root");
        }
        return;
    }
    if (!S_ISSOCK(file.st_mode)) {
        findings.fail(edges, fmt::format("{}: the file there is no socket", endpoint),
                      "remove the file, or choose another path");
        return;
    }
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), path_bytes_max);
    const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The C interface of sockets: an address of a family is passed as one of any.
    if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        const Listener listener = listener_of(probe.get(), context.config_file);
        if (listener.is_ours) {
            findings.passed(edges, fmt::format("{}: {}", endpoint, listener.words));
        } else {
            findings.fail(edges, fmt::format("{}: {}", endpoint, listener.words),
                          "stop it, or choose another path in [intake] bind and in runledger_daemon");
        }
    } else if (errno == ECONNREFUSED) {
        findings.warn(
            edges,
            fmt::format("{}: no daemon listens; the next one replaces the socket that an earlier one left", endpoint),
            std::string(start_it));
    } else {
        findings.unknown(edges, fmt::format("{}: {}", endpoint, system_words()),
                         "run the check as the daemon's user, or as root");
    }
}

struct HostAndPort {
    std::string host;
    std::string port;
};

HostAndPort split(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::string host(text.substr(0, colon == std::string_view::npos ? 0 : colon));
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    return {host, std::string(colon == std::string_view::npos ? text : text.substr(colon + 1))};
}

using Address = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Null: it is no numeric address.
Address address_of(const HostAndPort& place) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(place.host.empty() || place.host == "*" ? nullptr : place.host.c_str(), place.port.c_str(), &hints,
                    &found) != 0) {
        found = nullptr;
    }
    return {found, &freeaddrinfo};
}

// 0: nobody has the port. The socket is closed without having listened.
int bind_error(const addrinfo& address) {
    const Descriptor probe(socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol));
    const int yes = 1;
    (void)setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // Else bind() says why.
    return bind(probe.get(), address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
}

// Whether the listener greets as ZeroMQ does (rfc.zeromq.org/spec/23, "Greeting"): 0xFF, eight bytes, 0x7F.
bool greets_as_zeromq(const addrinfo& address) {
    const Descriptor probe(
        socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
    if (connect(probe.get(), address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
        return false;
    }
    constexpr std::size_t signature_bytes = 10;
    std::array<unsigned char, signature_bytes> greeting{};
    std::size_t got = 0;
    while (got < greeting.size()) {
        pollfd wait{.fd = probe.get(), .events = POLLIN, .revents = 0};
        if (::poll(&wait, 1, patience_ms) <= 0) {
            return false;
        }
        const ssize_t bytes = recv(probe.get(), greeting.data() + got, greeting.size() - got, 0);
        if (bytes <= 0) {
            return false;
        }
        got += static_cast<std::size_t>(bytes);
    }
    return greeting.front() == 0xFF && greeting.back() == 0x7F;
}

std::string why_not_bound(int error) {
    return error == EADDRNOTAVAIL ? "this machine has no such address" : std::generic_category().message(error);
}

void check_tcp(const std::string& endpoint, std::string_view place, Findings& findings) {
    HostAndPort parts = split(place);
    switch (bind_host(place)) {
        case BindHost::unusable:
            findings.fail(edges, fmt::format("{}: {}", endpoint, no_host_to_bind),
                          "write the address in [intake] bind");
            return;
        case BindHost::interface:
            findings.passed(edges, fmt::format("{}: an interface of this machine", endpoint));
            return;
        case BindHost::every_address:
        case BindHost::address:
            break;
    }
    const bool is_any_port = parts.port == "*" || parts.port == "0";
    parts.port = is_any_port ? "0" : parts.port;
    const Address address = address_of(parts);
    if (!address) {
        findings.fail(edges, fmt::format("{}: the port is neither a number nor *", endpoint), "correct [intake] bind");
        return;
    }
    const int error = bind_error(*address);
    if (error == 0 && is_any_port) {
        findings.passed(edges, fmt::format("{}: any free port", endpoint));
    } else if (error == 0) {
        findings.warn(edges, fmt::format("{}: no daemon listens", endpoint), std::string(start_it));
    } else if (error == EADDRINUSE && greets_as_zeromq(*address)) {
        findings.passed(edges, fmt::format("{}: a ZeroMQ listener has the port, as a running daemon would", endpoint));
    } else if (error == EADDRINUSE) {
        findings.fail(edges, fmt::format("{}: another program has the port", endpoint),
                      fmt::format("ss -ltnp 'sport = :{}' names it; stop it, or choose another port", parts.port));
    } else {
        findings.fail(edges, fmt::format("{}: {}", endpoint, why_not_bound(error)), "correct [intake] bind");
    }
}

bool answers_as_runledgerd(HostAndPort place) {
    if (place.host.empty() || place.host == "0.0.0.0" || place.host == "*") {
        place.host = "127.0.0.1";
    } else if (place.host == "::") {
        place.host = "::1";
    }
    const bool is_v6 = place.host.find(':') != std::string::npos;
    HttpClient client({.timeout = std::chrono::milliseconds{patience_ms}});
    client.begin(
        {.url = fmt::format("http://{}{}{}:{}/metrics", is_v6 ? "[" : "", place.host, is_v6 ? "]" : "", place.port),
         .response_bytes_max = 4UL * 1024 * 1024});
    std::vector<HttpClient::Ended> ended;
    while (ended.empty()) {
        ended = client.drive(std::chrono::milliseconds{patience_ms});  // The call's time-out bounds it.
    }
    return ended.front().response.body.find("runledger_") != std::string::npos;
}

}  // namespace

void check_sockets(const IntakeSettings& intake, const SocketsContext& context, Findings& findings) {
    constexpr std::string_view ipc = "ipc://";
    constexpr std::string_view tcp = "tcp://";
    for (const std::string& endpoint : intake.bind) {
        if (endpoint.starts_with(ipc)) {
            check_ipc(endpoint, endpoint.substr(ipc.size()), context, findings);
        } else {
            check_tcp(endpoint, std::string_view(endpoint).substr(tcp.size()), findings);
        }
    }
}

void check_metrics_port(const std::string& listen, Findings& findings) {
    if (listen.empty()) {
        findings.warn(metrics, "[metrics] listen is empty: nobody can watch the daemon", "set [metrics] listen");
        return;
    }
    const HostAndPort parts = split(listen);
    const Address address = address_of(parts);
    if (!address) {
        findings.unknown(metrics, fmt::format("[metrics] listen: \"{}\" is not ADDRESS:PORT", listen),
                         "write the address, not a name, such as 127.0.0.1:9464");
        return;
    }
    const int error = bind_error(*address);
    if (error == 0) {
        findings.passed(metrics, fmt::format("{}: free for the daemon", listen));
    } else if (error == EADDRINUSE && answers_as_runledgerd(parts)) {
        findings.passed(metrics, fmt::format("{}: runledgerd answers", listen));
    } else if (error == EADDRINUSE) {
        findings.fail(metrics, fmt::format("{}: another program has the port", listen),
                      fmt::format("ss -ltnp 'sport = :{}' names it; stop it, or change [metrics] listen", parts.port));
    } else {
        findings.fail(metrics, fmt::format("{}: {}", listen, why_not_bound(error)), "correct [metrics] listen");
    }
}

}  // namespace runledger::tool
