#include "tests/integration/edge/http2_client.hpp"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

namespace {

// reinterpret_casts: nghttp2's bytes are unsigned; it copies what it is given here.
[[nodiscard]] std::uint8_t* bytes_of(std::string& text) { return reinterpret_cast<std::uint8_t*>(text.data()); }
[[nodiscard]] std::string_view view(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

struct Http2Client::Callbacks {
    static ssize_t on_send(nghttp2_session*, const std::uint8_t* bytes, std::size_t size, int, void* self) noexcept {
        const ssize_t sent = ::send(static_cast<Http2Client*>(self)->fd_, bytes, size, MSG_NOSIGNAL);
        return sent >= 0 ? sent : ssize_t{NGHTTP2_ERR_CALLBACK_FAILURE};
    }

    static ssize_t on_body_wanted(nghttp2_session*, StreamId id, std::uint8_t* bytes, std::size_t size,
                                  std::uint32_t* flags, nghttp2_data_source*, void* self) noexcept {
        Exchange& exchange = static_cast<Http2Client*>(self)->exchanges_.at(id);
        const std::string_view rest = std::string_view{exchange.request.body}.substr(exchange.sent);
        const std::size_t taken = std::min(size, rest.size());
        if (taken == 0 && !exchange.request.ends) {
            return NGHTTP2_ERR_DEFERRED;
        }
        std::memcpy(bytes, rest.data(), taken);
        exchange.sent += taken;
        if (taken == rest.size() && exchange.request.ends) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        }
        return static_cast<ssize_t>(taken);
    }

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) noexcept {
        const auto found = static_cast<Http2Client*>(self)->exchanges_.find(frame->hd.stream_id);
        if (found == static_cast<Http2Client*>(self)->exchanges_.end()) {
            return 0;  // Of a stream that was cancelled.
        }
        HttpAnswer& answer = found->second.answer;
        if (view(name, name_size) == ":status") {
            answer.status = std::stol(std::string{view(value, value_size)});
            answer.headers = "HTTP/2\r\n";
        } else {
            answer.headers += fmt::format("{}: {}\r\n", view(name, name_size), view(value, value_size));
        }
        return 0;
    }

    static int on_data(nghttp2_session*, std::uint8_t, StreamId id, const std::uint8_t* bytes, std::size_t size,
                       void* self) noexcept {
        const auto found = static_cast<Http2Client*>(self)->exchanges_.find(id);
        if (found != static_cast<Http2Client*>(self)->exchanges_.end()) {
            found->second.answer.body += view(bytes, size);
        }
        return 0;
    }

    static int on_close(nghttp2_session*, StreamId id, std::uint32_t error, void* self) noexcept {
        const auto found = static_cast<Http2Client*>(self)->exchanges_.find(id);
        if (found != static_cast<Http2Client*>(self)->exchanges_.end()) {
            found->second.closed = true;
            if (error != NGHTTP2_NO_ERROR) {
                found->second.answer.error = nghttp2_http2_strerror(error);
            }
        }
        return 0;
    }
};

Http2Client::Http2Client(std::uint16_t port) : fd_{connect_to_loopback(port)} {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, Callbacks::on_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    send_all();
}

Http2Client::~Http2Client() {
    nghttp2_session_del(session_);
    ::close(fd_);
}

void Http2Client::send_all() {
    if (const int rc = nghttp2_session_send(session_); rc != 0) {
        throw std::runtime_error(nghttp2_strerror(rc));
    }
}

Http2Client::StreamId Http2Client::start(const HttpStream& stream) {
    std::vector<std::pair<std::string, std::string>> fields{{":method", stream.method},
                                                            {":scheme", "http"},
                                                            {":authority", "edge"},
                                                            {":path", stream.target},
                                                            {"content-type", "application/json"}};
    const bool has_body = !stream.body.empty() || !stream.ends;
    if (has_body && stream.says_length) {
        fields.emplace_back("content-length", std::to_string(stream.body.size()));
    }
    std::vector<nghttp2_nv> headers;
    for (auto& [name, value] : fields) {
        headers.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    nghttp2_data_provider body{};
    body.read_callback = Callbacks::on_body_wanted;
    const StreamId id =
        nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), has_body ? &body : nullptr, nullptr);
    if (id < 0) {
        throw std::runtime_error(nghttp2_strerror(id));
    }
    exchanges_.emplace(id, Exchange{.request = stream});
    drive();
    return id;
}

void Http2Client::drive() {
    send_all();
    std::array<std::uint8_t, 65536> buffer{};
    for (;;) {
        const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count <= 0) {
            break;  // Nothing there, or the end: a stream that waits for it never finishes, and says so.
        }
        const ssize_t rc = nghttp2_session_mem_recv(session_, buffer.data(), static_cast<std::size_t>(count));
        if (rc < 0) {
            throw std::runtime_error(nghttp2_strerror(static_cast<int>(rc)));
        }
    }
    send_all();
}

void Http2Client::cancel(StreamId id) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    drive();
    exchanges_.erase(id);
}

HttpAnswer Http2Client::finish(StreamId id) {
    eventually(fmt::format("stream {} is answered", id), [&] {
        drive();
        return exchanges_.at(id).closed;
    });
    return std::move(exchanges_.extract(id).mapped().answer);
}

}  // namespace runledger::test
