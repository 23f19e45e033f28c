#include "nginx-module/link/endpoint.hpp"

#include <sys/un.h>

#include <charconv>

namespace runledger::edge {

namespace {

[[nodiscard]] std::optional<std::string> find_ipc_fault(std::string_view path) {
    if (path.size() < 2 || (path.front() != '/' && path.front() != '@')) {
        return "ipc:// needs an absolute path, or a name after @";
    }
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return "the path of a Unix socket has at most " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes";
    }
    return std::nullopt;
}

[[nodiscard]] std::optional<std::string> find_tcp_fault(std::string_view address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
        return "tcp:// needs a host and a port";
    }
    const std::string_view host = address.substr(0, colon);
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (!is_bracketed && host.find(':') != std::string_view::npos) {
        return "an IPv6 address stands in brackets";
    }
    if (host.find_first_of("*/;@ ") != std::string_view::npos) {
        return "the host is not one that can be connected to";
    }
    const std::string_view digits = address.substr(colon + 1);
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65535) {
        return "the port is not between 1 and 65535";
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> find_endpoint_fault(std::string_view endpoint) {
    // Neither is wrong in the path of a socket; but who writes them means something else.
    if (endpoint.find(',') != std::string_view::npos) {
        return "it holds a comma; endpoints are separated by spaces";
    }
    if (endpoint.find('$') != std::string_view::npos) {
        return "it holds a variable, which is not expanded here";
    }
    constexpr std::string_view ipc = "ipc://";
    constexpr std::string_view tcp = "tcp://";
    if (endpoint.starts_with(ipc)) {
        return find_ipc_fault(endpoint.substr(ipc.size()));
    }
    if (endpoint.starts_with(tcp)) {
        return find_tcp_fault(endpoint.substr(tcp.size()));
    }
    return "an endpoint begins with ipc:// or tcp://";
}

}  // namespace runledger::edge
