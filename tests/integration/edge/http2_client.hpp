// A client of HTTP/2 in cleartext: streams of one connection, each started, watched and cancelled by itself.
//
// Nothing moves but within start(), drive(), cancel() and finish(). Not for sharing between threads.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/support/http_client.hpp"

struct nghttp2_session;

namespace runledger::test {

// A request, in whatever version it is made.
struct HttpStream {
    std::string method{"POST"};
    std::string target{"/api/webhook/comfydeploy"};
    std::string body{};
    bool says_length{true};  // As Content-Length; without it HTTP/2 just ends the stream.
    bool ends{true};         // False: what comes after the body never comes.
};

class Http2Client {
public:
    explicit Http2Client(std::uint16_t port);
    // Closes the connection, whatever is on it.
    ~Http2Client();
    Http2Client(const Http2Client&) = delete;
    Http2Client& operator=(const Http2Client&) = delete;

    using StreamId = std::int32_t;
    StreamId start(const HttpStream& stream);
    // Sends and receives what can be at once.
    void drive();
    // RST_STREAM; the others go on.
    void cancel(StreamId id);
    // Drives until the stream has its answer.
    [[nodiscard]] HttpAnswer finish(StreamId id);
    [[nodiscard]] HttpAnswer call(const HttpStream& stream) { return finish(start(stream)); }

private:
    struct Callbacks;
    struct Exchange {
        HttpStream request;
        std::size_t sent{0};
        HttpAnswer answer{};
        bool closed{false};
    };

    void send_all();

    int fd_;
    nghttp2_session* session_{nullptr};
    std::map<StreamId, Exchange> exchanges_;
};

}  // namespace runledger::test
