// bench_answerer: the least that can be answered, to find the load generator's own limit. Takes whatever a read brings
// for a whole request, looks at none of it, and answers 200. Runs until it is killed.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace {

constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

int listen_on(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // Where it fails, so does bind().
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    // reinterpret_cast: the sockets API's own way of passing addresses.
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 4096) != 0) {
        return -1;
    }
    return fd;
}

void watch(int epoll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);  // Where it fails, the client waits, and says so.
}

}  // namespace

int main(int argc, char** argv) {
    const int listener = argc == 2 ? listen_on(static_cast<std::uint16_t>(std::atoi(argv[1]))) : -1;
    if (listener < 0) {
        fmt::print(stderr, "usage: bench_answerer PORT, a free one\n");
        return 1;
    }
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener);
    std::array<char, 256 * 1024> request{};
    while (true) {
        std::array<epoll_event, 256> events{};
        const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
            if (fd == listener) {
                watch(epoll, ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
            } else if (::recv(fd, request.data(), request.size(), 0) <= 0 ||
                       ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) {
                ::close(fd);
            }
        }
    }
}
