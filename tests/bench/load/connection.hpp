// One HTTP/1.1 connection to the server under load, in plain text or TLS, that never blocks: sends a request, reads the
// answer, and again. Whoever owns it calls go_on() at each edge of its descriptor's readiness.
//
// Reads what the servers of this benchmark answer: a Content-Length, a chunked body, or neither for 204.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace runledger::bench {

struct SslDeleter {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, SslDeleter>;

// For clients that verify nothing and resume no session: the sender makes each connection anew, with a full handshake.
[[nodiscard]] TlsContext make_tls_context();

class Connection {
public:
    enum class State : std::uint8_t { closed, connecting, handshaking, idle, sending, receiving, answered, failed };

    struct Target {
        sockaddr_in address{};
        SSL_CTX* tls{};  // nullptr: plain text.
    };

    Connection() = default;
    ~Connection() { close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Begins to connect, from 127.0.0.<source>: more addresses have more ports. request() is sent once it is there.
    void open(const Target& target, unsigned source);
    void close() noexcept;

    // What is sent next; to be filled before open() or, when idle or answered, before send().
    [[nodiscard]] std::string& request() noexcept { return request_; }
    // Precondition: idle or answered.
    void send();
    // The descriptor is ready: goes as far as it can.
    void go_on();

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] int fd() const noexcept { return fd_; }
    // Of the answer: its status, 0 where the connection failed; and whether the server keeps the connection.
    [[nodiscard]] int status() const noexcept { return status_; }
    [[nodiscard]] bool keeps_alive() const noexcept { return keeps_alive_; }

private:
    enum class Moved : std::uint8_t { some, blocked, ended };

    void step();
    void finish_connecting();
    void handshake();
    // Moves bytes until the connection takes or has no more of them, ends, or `then` has changed the state.
    template <class Move, class Then>
    void move_on(Move move, Then then);
    void send_rest();
    void receive();
    void notice_close() noexcept;
    Moved write_some();
    Moved read_some();
    [[nodiscard]] Moved blocked_or_ended(int result) const noexcept;
    // Whether the answer is whole.
    bool parse();
    void fail() noexcept;

    int fd_{-1};
    std::unique_ptr<SSL, SslDeleter> ssl_;
    State state_{State::closed};
    std::string request_;
    std::size_t sent_bytes_{};
    std::string answer_;
    std::size_t header_bytes_{};  // 0 until the header is whole.
    std::size_t body_bytes_{};
    bool chunked_{};
    int status_{};
    bool keeps_alive_{};
};

}  // namespace runledger::bench
