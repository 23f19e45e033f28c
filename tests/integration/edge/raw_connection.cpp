#include "tests/integration/edge/raw_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace runledger::test {

int connect_to_loopback(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // reinterpret_cast: the sockets API's own way of passing addresses.
    if (fd == -1 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int fault = errno;
        ::close(fd);
        throw std::system_error(fault, std::generic_category(), "connect");
    }
    return fd;
}

RawConnection::RawConnection(std::uint16_t port) : fd_{connect_to_loopback(port)} {}

RawConnection::~RawConnection() { close(); }

void RawConnection::close() {
    if (fd_ != -1) {
        ::close(std::exchange(fd_, -1));
    }
}

void RawConnection::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    if (::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) {
        throw std::system_error(errno, std::generic_category(), "setsockopt SO_LINGER");
    }
    close();
}

void RawConnection::finish_sending() {
    if (::shutdown(fd_, SHUT_WR) != 0) {
        throw std::system_error(errno, std::generic_category(), "shutdown");
    }
}

void RawConnection::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent == -1) {
            throw std::system_error(errno, std::generic_category(), "send");
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

bool RawConnection::read_some(std::chrono::steady_clock::time_point deadline, std::string_view awaited) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{fd_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) != 1) {
        throw NeverHappened("the connection did not bring: " + std::string{awaited} + "\nbut: " + received_);
    }
    std::array<char, 65536> buffer{};
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
        return false;  // The end, or a reset, which is one.
    }
    received_.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
}

std::string RawConnection::read_until(std::string_view text, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience * patience_factor;
    while (received_.find(text) == std::string::npos) {
        if (!read_some(deadline, text)) {
            throw NeverHappened("the connection ended before: " + std::string{text} + "\nbut with: " + received_);
        }
    }
    return received_;
}

std::string RawConnection::read_to_end(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience * patience_factor;
    while (read_some(deadline, "its end")) {
    }
    return received_;
}

SilentServer::SilentServer() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);  // Any free port: it is taken from here on.
    socklen_t size = sizeof address;
    // reinterpret_cast: the sockets API's own way of passing addresses.
    auto* any_address = reinterpret_cast<sockaddr*>(&address);
    if (fd_ == -1 || ::bind(fd_, any_address, size) != 0 || ::listen(fd_, 16) != 0 ||
        ::getsockname(fd_, any_address, &size) != 0) {
        throw std::system_error(errno, std::generic_category(), "listen");
    }
    port_ = ntohs(address.sin_port);
}

SilentServer::~SilentServer() {
    hang_up();
    ::close(fd_);
}

void SilentServer::wait_for_client() {
    pollfd readable{fd_, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>((default_patience * patience_factor).count())) != 1) {
        throw NeverHappened("nobody connected to the silent server");
    }
    client_fd_ = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client_fd_ == -1) {
        throw std::system_error(errno, std::generic_category(), "accept");
    }
}

void SilentServer::hang_up() {
    if (client_fd_ != -1) {
        ::close(std::exchange(client_fd_, -1));
    }
}

}  // namespace runledger::test
