#include "nginx-module/link/names.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>

namespace runledger::edge {
namespace {

bool is_numeric(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    // An IPv6 address may have its interface behind it: fe80::1%eth0.
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), address.data()) == 1;
}

NameAnswer resolve(const TcpName& name) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &found);
    if (error != 0) {
        return {.endpoints = {},
                .fault = error == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(error)};
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(found, &::freeaddrinfo);
    NameAnswer answer;
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
            continue;  // Of a family without numeric form, which ZeroMQ could not use.
        }
        const std::string host{text.data()};
        std::string endpoint =
            each->ai_family == AF_INET6 ? "tcp://[" + host + "]:" + name.port : "tcp://" + host + ":" + name.port;
        if (std::find(answer.endpoints.begin(), answer.endpoints.end(), endpoint) == answer.endpoints.end()) {
            answer.endpoints.push_back(std::move(endpoint));
        }
    }
    if (answer.endpoints.empty()) {
        answer.fault = "it has no address";
    }
    return answer;
}

}  // namespace

std::optional<TcpName> find_tcp_name(std::string_view endpoint) {
    constexpr std::string_view tcp = "tcp://";
    if (!endpoint.starts_with(tcp)) {
        return std::nullopt;
    }
    const std::string_view address = endpoint.substr(tcp.size());
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    TcpName name{.host = std::string{address.substr(0, colon)}, .port = std::string{address.substr(colon + 1)}};
    if (name.host.starts_with('[') || is_numeric(name.host)) {
        return std::nullopt;
    }
    return name;
}

NameWake::NameWake() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!fd_) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
}

void NameWake::signal() const noexcept {
    const std::uint64_t one = 1;
    // It can fail only where the counter is full, and then it is readable anyway.
    static_cast<void>(!::write(fd_.get(), &one, sizeof one));
}

void NameWake::drain() const noexcept {
    std::uint64_t count = 0;
    // It fails where nothing was signalled, which is as good.
    static_cast<void>(!::read(fd_.get(), &count, sizeof count));
}

std::future<NameAnswer> look_up(const TcpName& name, std::shared_ptr<const NameWake> wake) {
    std::packaged_task<NameAnswer()> task([name] { return resolve(name); });
    auto answer = task.get_future();
    // Detached: getaddrinfo() can't be broken off. All that it uses is its own, or shared.
    std::thread([task = std::move(task), wake = std::move(wake)]() mutable {
        task();
        wake->signal();
    }).detach();
    return answer;
}

}  // namespace runledger::edge
