#include "tests/bench/load/connection.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace runledger::bench {
namespace {

// The value of a header's field, or nothing. `header` ends before the blank line.
std::string_view field(std::string_view header, std::string_view name) {
    for (std::size_t at = header.find("\r\n"); at != std::string_view::npos; at = header.find("\r\n", at + 2)) {
        const std::string_view line = header.substr(at + 2);
        if (line.size() > name.size() && line[name.size()] == ':' &&
            ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
            std::string_view value = line.substr(name.size() + 1);
            value = value.substr(0, value.find("\r\n"));
            while (value.starts_with(' ')) {
                value.remove_prefix(1);
            }
            return value;
        }
    }
    return {};
}

bool is_word(std::string_view value, std::string_view word) {
    return value.size() == word.size() && ::strncasecmp(value.data(), word.data(), word.size()) == 0;
}

}  // namespace

TlsContext make_tls_context() {
    TlsContext context(SSL_CTX_new(TLS_client_method()));
    if (!context) {
        throw std::runtime_error("no TLS context");
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    return context;
}

void Connection::open(const Target& target, unsigned source) {
    close();
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        throw std::system_error(errno, std::generic_category(), "socket");
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);             // Failing costs time, no more.
    ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);  // The same.
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
    // reinterpret_cast: the sockets API's own way of passing addresses.
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
        throw std::system_error(errno, std::generic_category(), "bind");
    }
    const auto* to = reinterpret_cast<const sockaddr*>(&target.address);
    if (::connect(fd_, to, sizeof target.address) != 0 && errno != EINPROGRESS) {
        fail();
        return;
    }
    if (target.tls != nullptr) {
        ssl_.reset(SSL_new(target.tls));
        if (!ssl_ || SSL_set_fd(ssl_.get(), fd_) != 1) {
            throw std::runtime_error("no TLS connection");
        }
        SSL_set_connect_state(ssl_.get());
    }
    state_ = State::connecting;
}

void Connection::close() noexcept {
    ssl_.reset();  // Without a close_notify: the sender's library does not wait for one either.
    if (fd_ != -1) {
        ::close(fd_);
        fd_ = -1;
    }
    state_ = State::closed;
}

void Connection::send() {
    sent_bytes_ = 0;
    answer_.clear();
    header_bytes_ = 0;
    body_bytes_ = 0;
    chunked_ = false;
    status_ = 0;
    state_ = State::sending;
    go_on();
}

void Connection::go_on() {
    State before{};
    do {
        before = state_;
        step();
        // An answer can't be there as soon as its question is sent: that waits for the next edge.
    } while (state_ != before && (state_ == State::handshaking || state_ == State::sending));
}

void Connection::step() {
    switch (state_) {
        case State::connecting:
            finish_connecting();
            return;
        case State::handshaking:
            handshake();
            return;
        case State::sending:
            send_rest();
            return;
        case State::receiving:
            receive();
            return;
        case State::idle:
        case State::answered:
            notice_close();
            return;
        case State::closed:
        case State::failed:
            return;
    }
}

void Connection::finish_connecting() {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0 || error != 0) {
        fail();
    } else if (ssl_) {
        state_ = State::handshaking;
    } else {
        send();
    }
}

void Connection::handshake() {
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
        send();
    } else if (blocked_or_ended(result) == Moved::ended) {
        fail();
    }
}

template <class Move, class Then>
void Connection::move_on(Move move, Then then) {
    const State before = state_;
    while (state_ == before) {
        switch (move()) {
            case Moved::some:
                then();
                break;
            case Moved::blocked:
                return;
            case Moved::ended:
                fail();
                return;
        }
    }
}

void Connection::send_rest() {
    move_on([this] { return write_some(); },
            [this] {
                if (sent_bytes_ == request_.size()) {
                    state_ = State::receiving;
                }
            });
}

void Connection::receive() {
    move_on([this] { return read_some(); },
            [this] {
                if (parse()) {
                    state_ = State::answered;
                }
            });
}

void Connection::notice_close() noexcept {
    char byte{};
    if (const auto got = ::recv(fd_, &byte, 1, MSG_PEEK); got == 0 || (got < 0 && errno != EAGAIN)) {
        fail();
    }
}

Connection::Moved Connection::blocked_or_ended(int result) const noexcept {
    if (ssl_) {
        const int error = SSL_get_error(ssl_.get(), result);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Moved::blocked : Moved::ended;
    }
    return result < 0 && errno == EAGAIN ? Moved::blocked : Moved::ended;
}

Connection::Moved Connection::write_some() {
    const std::string_view rest = std::string_view{request_}.substr(sent_bytes_);
    const auto wrote = ssl_ ? SSL_write(ssl_.get(), rest.data(), static_cast<int>(rest.size()))
                            : static_cast<int>(::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL));
    if (wrote <= 0) {
        return blocked_or_ended(wrote);
    }
    sent_bytes_ += static_cast<std::size_t>(wrote);
    return Moved::some;
}

Connection::Moved Connection::read_some() {
    std::array<char, 4096> buffer{};
    const auto got = ssl_ ? SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()))
                          : static_cast<int>(::recv(fd_, buffer.data(), buffer.size(), 0));
    if (got <= 0) {
        return blocked_or_ended(got);
    }
    answer_.append(buffer.data(), static_cast<std::size_t>(got));
    return Moved::some;
}

bool Connection::parse() {
    if (header_bytes_ == 0) {
        const std::size_t end = answer_.find("\r\n\r\n");
        if (end == std::string::npos) {
            return false;
        }
        header_bytes_ = end + 4;
        const std::string_view header = std::string_view{answer_}.substr(0, end);
        constexpr std::string_view version = "HTTP/1.1 ";
        if (header.size() < version.size() + 3) {
            fail();
            return false;
        }
        std::from_chars(header.data() + version.size(), header.data() + version.size() + 3, status_);
        keeps_alive_ = !is_word(field(header, "Connection"), "close");
        chunked_ = is_word(field(header, "Transfer-Encoding"), "chunked");
        const std::string_view length = field(header, "Content-Length");
        std::from_chars(length.data(), length.data() + length.size(), body_bytes_);
    }
    return chunked_ ? answer_.ends_with("0\r\n\r\n") : answer_.size() >= header_bytes_ + body_bytes_;
}

void Connection::fail() noexcept {
    close();
    status_ = 0;
    state_ = State::failed;
}

}  // namespace runledger::bench
