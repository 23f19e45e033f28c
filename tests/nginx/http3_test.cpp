// HTTP/3, where nginx can speak it: the same answers as over HTTP/1.1 and HTTP/2, and no token in a log. Debian 12's
// nginx has no HTTP/3, so this is no part of ./test: versions.sh runs it with the servers that it builds, and with the
// client that it builds of http3_client.go.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <regex>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

constexpr std::string_view token = "Nobody.Guesses-This-Word";
constexpr std::string_view wrong = "Stranger.Has-Another-One";

struct Call {
    std::string target{};
    std::string method{"POST"};
    std::optional<std::string> body{};
    bool says_length{true};
    std::vector<std::string> headers{};
    std::string leave_after{"20s"};
    std::string type{"application/json"};
};

class Http3 : public HttpFixture {
protected:
    void start_speaking(std::string_view directives = {}, const NginxConf& more = {}) {
        port_ = free_port();
        make_certificate();
        static_cast<void>(folder().write_secret("tokens", fmt::format("studio {}\n", token)));
        NginxConf conf = more;
        conf.server_extra = fmt::format(
            "listen 127.0.0.1:{} quic; ssl_certificate @TEST_FOLDER@/cert.pem; "
            "ssl_certificate_key @TEST_FOLDER@/key.pem; {}",
            port_, more.server_extra);
        conf.location_extra = std::string{directives};
        start(conf);
    }

    // A program for each: the client's process, and with it its connection, ends with the request.
    [[nodiscard]] HttpAnswer call(const Call& given) {
        const char* client = std::getenv("RUNLEDGER_TEST_HTTP3_CLIENT");
        if (client == nullptr) {
            ADD_FAILURE() << "RUNLEDGER_TEST_HTTP3_CLIENT names no client: run tests/nginx/versions.sh";
            return {};
        }
        std::vector<std::string> argv{client, "-method", given.method, "-leave-after", given.leave_after};
        if (given.body) {
            argv.insert(argv.end(), {"-body", folder().write_file("body", *given.body).string()});
        }
        if (!given.says_length) {
            argv.emplace_back("-no-length");
        }
        argv.push_back(fmt::format("https://127.0.0.1:{}{}", port_, given.target));
        argv.push_back("Content-Type: " + given.type);
        argv.insert(argv.end(), given.headers.begin(), given.headers.end());
        const Finished finished = run_to_end({.argv = argv, .cwd = folder().path()}, folder());
        return finished.status.clean() ? to_answer(finished.output) : HttpAnswer{.error = finished.output};
    }

    [[nodiscard]] static std::string target(std::string_view name) { return fmt::format("{}?case={}", endpoint, name); }

private:
    [[nodiscard]] static HttpAnswer to_answer(const std::string& output) {
        HttpAnswer answer;
        const std::size_t line = output.find('\n');
        const std::size_t blank = output.find("\n\n", line);
        std::from_chars(output.data(), output.data() + line, answer.status);
        answer.headers = output.substr(line, blank + 1 - line);
        answer.body = output.substr(blank + 2);
        return answer;
    }

    std::uint16_t port_{};
};

struct Case {
    std::string name;
    Call call;
    int status;
    std::string_view outcome;
    std::string_view word{};  // Of the module's problem document; empty: accepted, or nginx's own page.
};

TEST_F(Http3, AnswersEachCaseAsTheOtherVersionsDo) {
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
        {"put", {.method = "PUT", .body = "x"}, 405, "refused_method", "method_not_allowed"},
        {"post_without_body", {}, 400, "refused_json", "body_empty"},
        {"not_an_event", {.body = "[]"}, 400, "refused_json", "body_not_object"},
        {"text", {.body = fresh_event(), .type = "text/plain"}, 415, "refused_type", "content_type_not_json"},
        {"over_the_operators_size", {.body = fresh_event_of_bytes(600'000)}, 413, "refused_size"},
        {"after_all_that", {.body = fresh_event()}, 200, "accepted"},
    };
    start_speaking("client_max_body_size 500k; client_body_buffer_size 64k;");
    std::vector<std::string> events;

    for (const Case& test : cases) {
        SCOPED_TRACE(test.name);
        Call given = test.call;
        given.target = target(test.name);
        if (test.status == 200) {
            events.push_back(*given.body);
        }

        const HttpAnswer answer = call(given);

        EXPECT_EQ(answer.status, test.status) << answer.error << answer.body;
        if (!test.word.empty()) {
            EXPECT_NE(answer.body.find(fmt::format("urn:runledger:problem:{}\"", test.word)), std::string::npos)
                << answer.body;
        }
        expect_logged(given.target, test.status, test.outcome);
    }
    expect_delivered(events);
}

TEST_F(Http3, ForgetsAHeldRequestWhoseClientLeavesAndAnswersTheNext) {
    start_speaking("runledger_timeout 60s;");
    hold_events();

    const HttpAnswer none = call({.target = target("left"), .body = fresh_event(), .leave_after = "1s"});

    EXPECT_EQ(none.status, 0) << none.body;
    // 499, or 000 where nginx has read of the connection's end before it has read of the stream's.
    eventually(
        "the access log says that the client has left",
        [&] {
            const std::string log = nginx().access_log();
            return std::regex_search(log, std::regex{"case=left (499|000) .* outcome=client_gone\n"});
        },
        default_patience, [this] { return nginx().access_log(); });
    wait_until_held(0);
    release();
    EXPECT_EQ(call({.target = target("next"), .body = fresh_event()}).status, 200);
}

struct Carrier {
    std::string_view name;
    std::string target{};
    std::string header;  // One line, or none. SECRET stands for the token in both.
};

// nginx keeps the fields of HTTP/3 in the stream's own pool, apart from the request's.
TEST_F(Http3, LeavesNoSecretInAnyLog) {
    const std::vector<Carrier> carriers{
        {"argument", "/by-argument?x=1&token=SECRET&y=2", ""},
        {"argument_and_referer", "/by-argument?token=SECRET", "Referer: http://edge/by-argument?a=b&token=SECRET"},
        {"header", "/by-header", "X-Token: SECRET"},
        {"cookie", "/by-cookie", "Cookie: a=b; token=SECRET; c=d"},
        {"map", "/by-map", "Authorization: Bearer SECRET"},
        {"path", "/by-path/SECRET/news", ""},
    };
    const auto location = [](std::string_view pattern, std::string_view variable) {
        return fmt::format("location {} {{ runledger_webhook; runledger_token {} file=@TEST_FOLDER@/tokens; }}\n",
                           pattern, variable);
    };
    start_speaking(
        "", {.http_extra = R"(
        map $http_authorization $bearer { "~^Bearer (.+)$" $1; }
        log_format wide '$server_protocol|$request|$request_uri|$args|$arg_token|$query_string|$uri|$document_uri|'
                        '$http_x_token|$http_authorization|$bearer|$http_cookie|$cookie_token|$http_referer|'
                        '$path_token';
        access_log @FOLDER@/wide.log wide;)",
             .server_extra = location("= /by-argument", "$arg_token") + location("= /by-header", "$http_x_token") +
                             location("= /by-cookie", "$cookie_token") + location("= /by-map", "$bearer") +
                             location("~ \"^/by-path/(?<path_token>[^/]+)/news$\"", "$path_token")});
    std::ptrdiff_t calls = 0;

    for (const Carrier& carrier : carriers) {
        for (const std::string_view secret : {token, wrong}) {
            SCOPED_TRACE(fmt::format("{} {}", carrier.name, secret));
            const auto with_secret = [&](std::string text) {
                constexpr std::string_view mark = "SECRET";
                for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
                    text.replace(at, mark.size(), secret);
                }
                return text;
            };
            Call given{.target = with_secret(carrier.target), .body = fresh_event()};
            if (!carrier.header.empty()) {
                given.headers.push_back(with_secret(carrier.header));
            }

            const HttpAnswer answer = call(given);

            EXPECT_EQ(answer.status, secret == token ? 200 : 401) << answer.error << answer.body;
            ++calls;
        }
    }

    const auto wide_log = [this] { return read_text(nginx().folder() / "wide.log"); };
    eventually(
        "all requests are logged", [&] { return std::ranges::count(wide_log(), '\n') >= calls; }, default_patience,
        wide_log);
    EXPECT_NE(wide_log().find("HTTP/3.0|"), std::string::npos) << wide_log();
    EXPECT_NE(wide_log().find("token=****"), std::string::npos) << wide_log();
    for (const std::string& log : {wide_log(), nginx().access_log(), nginx().error_log()}) {
        EXPECT_EQ(log.find(token), std::string::npos) << log;
        EXPECT_EQ(log.find(wrong), std::string::npos) << log;
    }
}

}  // namespace
}  // namespace runledger::test
