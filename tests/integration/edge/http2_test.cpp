// HTTP/2, in cleartext and over TLS: each case is answered as in HTTP/1.1, and a stream's end is not its connection's.
#include <curl/curl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <stdexcept>

#include "tests/integration/edge/http2_client.hpp"
#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

enum class Dialect : std::uint8_t { http2_cleartext, http2_over_tls, http1_over_tls };

[[nodiscard]] std::string to_name(Dialect dialect) {
    switch (dialect) {
        case Dialect::http2_cleartext:
            return "Http2Cleartext";
        case Dialect::http2_over_tls:
            return "Http2OverTls";
        case Dialect::http1_over_tls:
            return "Http1OverTls";
    }
    throw std::logic_error("no such dialect");
}

void PrintTo(Dialect dialect, std::ostream* out) { *out << to_name(dialect); }

class Http2Base : public HttpFixture {
protected:
    // A second port for the dialect, TLS with a certificate of the test's own.
    void start_speaking(Dialect dialect, std::string_view location = {}) {
        port_ = free_port();
        const bool tls = dialect != Dialect::http2_cleartext;
        std::string server = fmt::format("listen 127.0.0.1:{} http2{};", port_, tls ? " ssl" : "");
        if (tls) {
            make_certificate();
            server += "ssl_certificate @TEST_FOLDER@/cert.pem; ssl_certificate_key @TEST_FOLDER@/key.pem;";
        }
        start({.server_extra = server, .location_extra = std::string{location}});
    }

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] static std::string target(std::string_view name) { return fmt::format("{}?case={}", endpoint, name); }

    void wait_until_held_by(Http2Client& client, int requests) {
        eventually(fmt::format("{} streams are held", requests), [&] {
            client.drive();
            return held_requests() == requests;
        });
    }

private:
    std::uint16_t port_{};
};

// libcurl over TLS, where ALPN settles the version. One connection for all calls.
class TlsClient {
public:
    TlsClient(std::uint16_t port, Dialect dialect)
        : origin_{fmt::format("https://127.0.0.1:{}", port)},
          version_{dialect == Dialect::http1_over_tls ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2_0} {
        prepare_libcurl();
        easy_.reset(curl_easy_init());
    }

    [[nodiscard]] HttpAnswer call(const HttpStream& stream) {
        HttpAnswer answer;
        CURL* easy = easy_.get();
        curl_easy_reset(easy);  // Keeps the connection.
        std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers{
            curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all};
        curl_slist_append(headers.get(), "Expect:");
        curl_easy_setopt(easy, CURLOPT_URL, (origin_ + stream.target).c_str());
        curl_easy_setopt(easy, CURLOPT_PROXY, "");  // 127.0.0.1, whatever proxy the environment names.
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 20'000L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(version_));
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);  // The certificate is the test's own.
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer.body);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, append);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer.headers);
        std::string_view rest = stream.body;
        if (!rest.empty()) {
            curl_easy_setopt(easy, CURLOPT_POST, 1L);
            curl_easy_setopt(easy, CURLOPT_READFUNCTION, take);
            curl_easy_setopt(easy, CURLOPT_READDATA, &rest);
            if (stream.says_length) {
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(rest.size()));
            } else if (version_ == CURL_HTTP_VERSION_1_1) {
                curl_slist_append(headers.get(), "Transfer-Encoding: chunked");
            }
        }
        if (stream.method == "HEAD") {
            curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        } else {
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, stream.method.c_str());
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
        if (const CURLcode result = curl_easy_perform(easy); result != CURLE_OK) {
            answer.error = curl_easy_strerror(result);
        }
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
        long version = 0;
        curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
        EXPECT_EQ(version, version_) << "what ALPN has settled";
        return answer;
    }

private:
    static std::size_t append(char* bytes, std::size_t size, std::size_t count, void* text) {
        static_cast<std::string*>(text)->append(bytes, size * count);
        return size * count;
    }
    static std::size_t take(char* buffer, std::size_t size, std::size_t count, void* rest) {
        auto& text = *static_cast<std::string_view*>(rest);
        const std::size_t bytes = text.copy(buffer, size * count);
        text.remove_prefix(bytes);
        return bytes;
    }

    std::string origin_;
    long version_;
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_{nullptr, curl_easy_cleanup};
};

class HttpDialects : public Http2Base, public ::testing::WithParamInterface<Dialect> {};

struct Case {
    std::string name;
    HttpStream stream;
    int status;
    std::string_view outcome;
    std::string_view problem{};  // Empty: accepted, or nginx's own page.
};

TEST_P(HttpDialects, AnswerEachCaseAlike) {
    const std::string blanks(200'000, ' ');
    const std::vector<Case> cases{
        {"post", {.body = fresh_event()}, 200, "accepted"},
        {"post_without_length", {.body = fresh_event(), .says_length = false}, 200, "accepted"},
        {"post_large", {.body = fresh_event_of_bytes(300'000)}, 200, "accepted"},
        {"post_large_without_length", {.body = fresh_event_of_bytes(300'000), .says_length = false}, 200, "accepted"},
        {"get_with_body", {.method = "GET", .body = fresh_event()}, 200, "redelivered"},
        {"get_with_body_without_length",
         {.method = "GET", .body = fresh_event(), .says_length = false},
         200,
         "redelivered"},
        {"get", {.method = "GET"}, 405, "refused_method", "method_not_allowed"},
        {"head", {.method = "HEAD"}, 405, "refused_method"},
        {"options", {.method = "OPTIONS"}, 405, "refused_method", "method_not_allowed"},
        {"put_with_body_unread", {.method = "PUT", .body = blanks}, 405, "refused_method", "method_not_allowed"},
        {"post_without_body", {.method = "POST"}, 400, "refused_json", "body_empty"},
        {"not_an_event", {.body = "[]"}, 400, "refused_json", "body_not_object"},
        {"not_an_event_large", {.body = "{" + blanks}, 400, "refused_json", "body_not_json"},
        {"over_the_operators_size", {.body = fresh_event_of_bytes(600'000)}, 413, "refused_size"},
        {"over_the_operators_size_without_length",
         {.body = fresh_event_of_bytes(600'000), .says_length = false},
         413,
         "refused_size"},
        {"after_all_that", {.body = fresh_event()}, 200, "accepted"},
    };
    start_speaking(GetParam(), "client_max_body_size 500k; client_body_buffer_size 64k;");
    std::optional<Http2Client> cleartext;
    std::optional<TlsClient> tls;
    if (GetParam() == Dialect::http2_cleartext) {
        cleartext.emplace(port());
    } else {
        tls.emplace(port(), GetParam());
    }
    std::vector<std::string> events;

    for (const Case& test : cases) {
        SCOPED_TRACE(test.name);
        HttpStream stream = test.stream;
        stream.target = target(test.name);
        if (test.status == 200) {
            events.push_back(stream.body);
        }

        const HttpAnswer answer = cleartext ? cleartext->call(stream) : tls->call(stream);

        EXPECT_EQ(answer.status, test.status) << answer.error << answer.body;
        if (!test.problem.empty()) {
            expect_problem(answer, test.status, test.problem);
        }
        if (test.status == 405) {
            std::string headers = answer.headers;
            std::ranges::transform(headers, headers.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
            EXPECT_NE(headers.find("\nallow: post, get\r\n"), std::string::npos) << headers;
        }
        expect_logged(stream.target, test.status, test.outcome);
    }
    expect_delivered(events);
}

INSTANTIATE_TEST_SUITE_P(Spoken, HttpDialects,
                         ::testing::Values(Dialect::http2_cleartext, Dialect::http2_over_tls, Dialect::http1_over_tls),
                         [](const auto& dialect) { return to_name(dialect.param); });

class Http2 : public Http2Base {};

TEST_F(Http2, ForgetsAHeldStreamThatIsCancelledAndAnswersTheOthers) {
    start_speaking(Dialect::http2_cleartext, "runledger_timeout 60s;");
    hold_events();
    Http2Client client{port()};
    std::vector<std::string> events;
    std::vector<Http2Client::StreamId> streams;
    for (const std::string name : {"first", "cancelled", "third"}) {
        events.push_back(fresh_event());
        streams.push_back(client.start({.target = target(name), .body = events.back()}));
        wait_until_held_by(client, static_cast<int>(events.size()));
    }
    EXPECT_EQ(active_connections(), 2) << "one connection for all streams, and the one that asks";

    client.cancel(streams[1]);
    expect_logged(target("cancelled"), 499, "client_gone");
    release();

    EXPECT_EQ(client.finish(streams[0]).status, 200);
    EXPECT_EQ(client.finish(streams[2]).status, 200);
    const std::string last = fresh_event();
    EXPECT_EQ(client.call({.body = last}).status, 200);
    // A cancelled event may be stored all the same, until its fate is decided.
    eventually("what was answered is delivered once", [&] {
        auto bodies = daemon().delivered_bodies();
        std::erase(bodies, events[1]);
        std::ranges::sort(bodies);
        return bodies == std::vector<std::string>{events[0], events[2], last};
    });
}

TEST_F(Http2, ForgetsEveryHeldStreamOfAConnectionThatCloses) {
    start_speaking(Dialect::http2_cleartext, "runledger_timeout 60s;");
    hold_events();
    {
        Http2Client client{port()};
        static_cast<void>(client.start({.target = target("first"), .body = fresh_event()}));
        static_cast<void>(client.start({.target = target("second"), .body = fresh_event_of_bytes(200'000)}));
        wait_until_held_by(client, 2);
    }

    expect_logged(target("first"), 499, "client_gone");
    expect_logged(target("second"), 499, "client_gone");
    release();
    const std::string event = fresh_event();
    Http2Client next{port()};
    EXPECT_EQ(next.call({.body = event}).status, 200);
}

TEST_F(Http2, StoresNothingOfAStreamThatIsCancelledInMidBody) {
    start_speaking(Dialect::http2_cleartext, "client_body_buffer_size 1k;");
    Http2Client client{port()};
    const std::string event = fresh_event();
    EXPECT_EQ(client.call({.body = event}).status, 200);
    const std::string part = fresh_event_of_bytes(5'000);  // An event already, but its stream has not ended.

    const auto stream =
        client.start({.target = target("cancelled"), .body = part, .says_length = false, .ends = false});
    eventually("nginx has the part", [&] {
        client.drive();
        return nginx().error_log().find("a client request body is buffered to a temporary file") != std::string::npos;
    });
    client.cancel(stream);

    expect_logged(target("cancelled"), 499, "client_gone");
    const std::string last = fresh_event();
    EXPECT_EQ(client.call({.body = last}).status, 200);
    expect_delivered({event, last});
}

}  // namespace
}  // namespace runledger::test
