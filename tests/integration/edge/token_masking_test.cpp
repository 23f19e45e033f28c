// No log shows a token, however it came and whatever became of its request: the access log with every variable that
// could show it, and the error log at info, where nginx quotes the request line in what it says.
#include <curl/curl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

constexpr std::string_view token = "Nobody.Guesses-This-Word";
constexpr std::string_view wrong = "Stranger.Has-Another-One";

// Some characters escaped that need not be.
std::string escaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        result += i % 3 == 1 ? fmt::format("%{:02x}", static_cast<unsigned char>(text[i])) : std::string{text[i]};
    }
    return result;
}

// A way of carrying the token.
struct Carrier {
    std::string_view name;
    std::function<std::string(std::string_view)> target;
    std::function<std::string(std::string_view)> header;  // One line, or none.
};

std::vector<Carrier> carriers() {
    const auto no_header = [](std::string_view) { return std::string{}; };
    const auto at = [](std::string target) { return [target](std::string_view) { return target; }; };
    return {
        {"argument", [](std::string_view t) { return fmt::format("/by-argument?x=1&token={}&y=2", t); }, no_header},
        {"argument_escaped", [](std::string_view t) { return "/by-argument?token=" + escaped(t); }, no_header},
        {"argument_of_a_long_line",
         [](std::string_view t) { return fmt::format("/by-argument?x={}&token={}", std::string(3000, 'x'), t); },
         no_header},
        {"argument_and_referer", [](std::string_view t) { return fmt::format("/by-argument?token={}", t); },
         [](std::string_view t) { return fmt::format("Referer: http://edge/by-argument?a=b&token={}", t); }},
        {"header", at("/by-header"), [](std::string_view t) { return fmt::format("X-Token: {}", t); }},
        {"cookie", at("/by-cookie"), [](std::string_view t) { return fmt::format("Cookie: a=b; token={}; c=d", t); }},
        {"map", at("/by-map"), [](std::string_view t) { return fmt::format("Authorization: Bearer {}", t); }},
        {"path", [](std::string_view t) { return fmt::format("/by-path/{}/news", t); }, no_header},
        {"path_escaped", [](std::string_view t) { return "/by-path/" + escaped(t) + "/news"; }, no_header},
        {"path_rewritten", [](std::string_view t) { return fmt::format("/by-rewrite/{}", t); }, no_header},
    };
}

// Every location with these directives as well.
NginxConf masking_conf(std::string_view directives) {
    NginxConf conf;
    conf.http_extra = R"(
        map $http_authorization $bearer { "~^Bearer (.+)$" $1; }
        limit_req_zone everybody zone=one:64k rate=1r/m;
        log_format wide '$request|$request_uri|$args|$arg_token|$query_string|$uri|$document_uri|$request_filename|'
                        '$http_x_token|$http_authorization|$bearer|$http_cookie|$cookie_token|$http_referer|'
                        '$path_token|$rewrite_token|$http_x_other';
        access_log @FOLDER@/wide.log wide;)";
    const auto location = [&](std::string_view pattern, std::string_view variable) {
        return fmt::format("location {} {{ runledger_webhook; runledger_token {} file=@TEST_FOLDER@/tokens; {} }}\n",
                           pattern, variable, directives);
    };
    conf.server_extra = "listen unix:@TEST_FOLDER@/h2.sock http2;\n" + location("= /by-argument", "$arg_token") +
                        location("= /by-header", "$http_x_token") + location("= /by-cookie", "$cookie_token") +
                        location("= /by-map", "$bearer") +
                        location("~ \"^/by-path/(?<path_token>[^/]+)/news$\"", "$path_token") +
                        location("= /rewritten", "$rewrite_token") +
                        "location /by-rewrite/ { rewrite ^/by-rewrite/(?<rewrite_token>.+)$ /rewritten last; }\n"
                        "location = /oops { return 200 ours; }\n"
                        "location = /no { return 403; }\n";
    return conf;
}

class MaskingFixture : public HttpFixture {
protected:
    void start_masking(std::string_view directives, std::string_view more_locations = {}) {
        static_cast<void>(folder().write_secret("tokens", fmt::format("studio {}\n", token)));
        NginxConf conf = masking_conf(directives);
        conf.server_extra += more_locations;
        start(conf);
    }

    struct Call {
        std::string target;
        std::string method{"POST"};
        std::string header{};
        std::string body{};
        std::string type{"application/json"};
        bool by_http2{false};
    };

    [[nodiscard]] long status_of(const Call& call) {
        prepare_libcurl();
        const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), curl_easy_cleanup};
        curl_slist* list = curl_slist_append(nullptr, ("Content-Type: " + call.type).c_str());
        if (!call.header.empty()) {
            list = curl_slist_append(list, call.header.c_str());
        }
        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers{list, curl_slist_free_all};
        const std::string url = nginx().url(call.target);
        const std::string socket = folder() / "h2.sock";
        curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
        curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, call.method.c_str());
        curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, call.body.data());
        curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 20'000L);
        curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
        curl_easy_setopt(
            easy.get(), CURLOPT_WRITEFUNCTION,
            +[](char*, std::size_t size, std::size_t count, void*) { return size * count; });
        if (call.by_http2) {
            curl_easy_setopt(easy.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
            curl_easy_setopt(easy.get(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
        }
        EXPECT_EQ(curl_easy_perform(easy.get()), CURLE_OK) << call.target;
        long status = 0;
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
        return status;
    }

    [[nodiscard]] std::string wide_log() { return read_text(nginx().folder() / "wide.log"); }

    // Waits until so many requests are logged; their lines hold no secret.
    void expect_no_secret_in_access_logs(std::ptrdiff_t requests) {
        eventually(
            "all requests are logged", [&] { return std::ranges::count(wide_log(), '\n') >= requests; },
            default_patience, [this] { return wide_log() + nginx().error_log(); });
        expect_no_secret_in(wide_log());
        expect_no_secret_in(nginx().access_log());
    }

    static void expect_no_secret_in(const std::string& log) {
        for (const std::string_view secret : {token, wrong}) {
            EXPECT_EQ(log.find(secret), std::string::npos) << log;
            EXPECT_EQ(log.find(escaped(secret)), std::string::npos) << log;
        }
    }
};

struct Case {
    std::string name;
    std::string directives;
    long status;
    std::string_view presented{token};
    std::string method{"POST"};
    std::string type{"application/json"};
    std::size_t body_bytes{0};          // 0: an event of the usual size; 1: no event.
    bool nginx_quotes_the_line{false};  // In an error of its own, before our handler.

    friend void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }
};

class Masking : public MaskingFixture, public ::testing::WithParamInterface<Case> {
protected:
    // nginx answers an HTTP/2 request that it refuses without its body and then resets the stream, and libcurl forgets
    // the answer: so there is no body where it does not matter.
    [[nodiscard]] std::string body_for(const Case& given, bool by_http2) {
        if (by_http2 && given.status != 200) {
            return {};
        }
        switch (given.body_bytes) {
            case 0:
                return fresh_event();
            case 1:
                return "not an event";
            default:
                return fresh_event_of_bytes(given.body_bytes);
        }
    }
};

TEST_P(Masking, LeavesNoSecretInAnyLog) {
    const Case& given = GetParam();
    start_masking(given.directives);
    std::ptrdiff_t requests = 0;
    if (given.directives.find("limit_req") != std::string::npos) {  // The first is let through.
        ASSERT_EQ(status_of({.target = "/by-argument?token=" + std::string{token}, .body = fresh_event()}), 200);
        ++requests;
    }

    for (const Carrier& carrier : carriers()) {
        for (const bool by_http2 : {false, true}) {
            SCOPED_TRACE(fmt::format("{} by {}", carrier.name, by_http2 ? "HTTP/2" : "HTTP/1.1"));
            if (by_http2 && given.status == 413) {
                continue;  // Refused for a body that must not come over HTTP/2: see body_for().
            }
            const std::string body = body_for(given, by_http2);
            EXPECT_EQ(status_of({.target = carrier.target(given.presented),
                                 .method = given.method,
                                 .header = carrier.header(given.presented),
                                 .body = body,
                                 .type = given.type,
                                 .by_http2 = by_http2}),
                      given.status);
            ++requests;
        }
    }

    expect_no_secret_in_access_logs(requests);
    EXPECT_NE(wide_log().find("?token=****"), std::string::npos) << wide_log();
    if (!given.nginx_quotes_the_line) {
        expect_no_secret_in(nginx().error_log());
    }
}

INSTANTIATE_TEST_SUITE_P(
    Outcomes, Masking,
    ::testing::Values(
        Case{.name = "accepted", .directives = "", .status = 200},
        Case{.name = "accepted_by_a_file",
             .directives = "client_body_buffer_size 1k;",
             .status = 200,
             .body_bytes = 9'000},
        Case{.name = "refused_json", .directives = "", .status = 400, .body_bytes = 1},
        Case{.name = "refused_token", .directives = "", .status = 401, .presented = wrong},
        Case{.name = "refused_method", .directives = "", .status = 405, .method = "DELETE"},
        Case{.name = "refused_method_and_token", .directives = "", .status = 405, .presented = wrong, .method = "PUT"},
        Case{.name = "refused_type", .directives = "", .status = 415, .type = "text/plain"},
        Case{.name = "error_page", .directives = "error_page 400 /oops;", .status = 400, .body_bytes = 1},
        Case{.name = "error_page_and_wrong_token",
             .directives = "error_page 401 /oops;",
             .status = 401,
             .presented = wrong},
        Case{.name = "post_action", .directives = "post_action /oops;", .status = 200},
        Case{.name = "nginx_size",
             .directives = "client_max_body_size 1k;",
             .status = 413,
             .body_bytes = 4'000,
             .nginx_quotes_the_line = true},
        Case{.name = "nginx_limit_req",
             .directives = "limit_req zone=one;",
             .status = 503,
             .nginx_quotes_the_line = true},
        Case{.name = "nginx_limit_req_and_error_page",
             .directives = "limit_req zone=one; error_page 503 /oops;",
             .status = 503,
             .nginx_quotes_the_line = true},
        Case{.name = "nginx_deny", .directives = "deny all;", .status = 403, .nginx_quotes_the_line = true},
        Case{.name = "nginx_deny_wrong_token",
             .directives = "deny all;",
             .status = 403,
             .presented = wrong,
             .nginx_quotes_the_line = true},
        Case{.name = "nginx_auth_request",
             .directives = "auth_request /no;",
             .status = 403,
             .nginx_quotes_the_line = true},
        Case{.name = "nginx_return", .directives = "return 410;", .status = 410},
        Case{.name = "nginx_limit_except",
             .directives = "limit_except POST { deny all; }",
             .status = 403,
             .method = "PATCH",
             .nginx_quotes_the_line = true}),
    [](const auto& given) { return given.param.name; });

class TokenMasking : public MaskingFixture {
protected:
    [[nodiscard]] static std::string by_argument() { return fmt::format("/by-argument?token={}", token); }
};

TEST_F(TokenMasking, HoldsForARequestThatIsGivenUp) {
    start_masking("runledger_timeout 200ms;");
    hold_events();

    EXPECT_EQ(status_of({.target = by_argument(), .body = fresh_event()}), 503);
    EXPECT_EQ(status_of({.target = by_argument(), .body = fresh_event(), .by_http2 = true}), 503);

    expect_no_secret_in_access_logs(2);
    expect_no_secret_in(nginx().error_log());
}

TEST_F(TokenMasking, HoldsForAClientThatLeavesWithinItsBody) {
    start_masking("");
    RawConnection connection{nginx().port()};
    connection.send(fmt::format("POST {} HTTP/1.1\r\nHost: edge\r\nContent-Length: 100\r\n\r\n{{", by_argument()));
    eventually("nginx reads the body", [this] { return active_connections() == 2; });

    connection.close();

    expect_no_secret_in_access_logs(1);
    wait_for_error_log("client prematurely closed connection");
    expect_no_secret_in(nginx().error_log());
}

TEST_F(TokenMasking, HoldsForALengthOverTheModulesBound) {
    start_masking("client_max_body_size 64m;");
    RawConnection connection{nginx().port()};

    connection.send(fmt::format("POST {} HTTP/1.1\r\nHost: edge\r\nContent-Length: 9000000\r\n\r\n", by_argument()));

    EXPECT_EQ(connection.read_until("body_too_large").find("HTTP/1.1 413"), 0U);
    connection.close();
    expect_no_secret_in_access_logs(1);
    expect_no_secret_in(nginx().error_log());
}

TEST_F(TokenMasking, HoldsForOddRequestLines) {
    start_masking("");
    const std::string body = fresh_event();
    const std::string rest =
        fmt::format("HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
    const std::vector<std::pair<std::string, std::string>> rows{
        {fmt::format("POST http://edge{} {}", by_argument(), rest), "HTTP/1.1 200"},
        {fmt::format("POST   {}   {}", by_argument(), rest), "HTTP/1.1 200"},
        {fmt::format("POST /by-path//x/../{}/./news {}", token, rest), "HTTP/1.1 200"},
        {fmt::format("POST /by-argument?to%6ben={} {}", token, rest), "HTTP/1.1 401"},
        {fmt::format("POST /by-argument?token={}&token={} {}", wrong, token, rest), "HTTP/1.1 401"},
        {fmt::format("POST /by-argument?token={}#{} {}", token, token, rest), "HTTP/1.1 200"},
        {fmt::format("POST /by-argument?token={}&again={} {}", token, token, rest), "HTTP/1.1 200"},
        {fmt::format("GET {}\r\n", by_argument()), "{\"type\":\"urn:runledger:problem:method_not_allowed\""},
        {fmt::format("GET /by-path/{}/news\r\n", token), "{\"type\":\"urn:runledger:problem:method_not_allowed\""},
    };
    for (const auto& [request, answer] : rows) {
        SCOPED_TRACE(request);
        RawConnection connection{nginx().port()};

        connection.send(request);

        EXPECT_EQ(connection.read_to_end().find(answer), 0U);
    }

    expect_no_secret_in_access_logs(static_cast<std::ptrdiff_t>(rows.size()));
    expect_no_secret_in(nginx().error_log());
}

TEST_F(TokenMasking, HoldsForTokensOfOtherHeadersAndOfSeveralLines) {
    start_masking("");
    const std::string body = fresh_event();
    RawConnection connection{nginx().port()};

    connection.send(
        fmt::format("POST /by-cookie HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: {}\r\n"
                    "Cookie: a=b\r\nX-Pad: {}\r\nCookie: token={}\r\nX-Other: /x?y={}\r\n"
                    "Referer: http://edge/by-path/{}/news\r\n\r\n{}",
                    body.size(), std::string(6000, 'x'), token, token, token, body));

    EXPECT_EQ(connection.read_to_end().find("HTTP/1.1 200"), 0U);
    expect_no_secret_in_access_logs(1);
    EXPECT_NE(wide_log().find("|/x?y=***"), std::string::npos) << wide_log();
}

// The requests share a buffer: what is masked of one must not be another's.
TEST_F(TokenMasking, TouchesNoOtherRequestOfTheConnection) {
    start_masking("");
    std::string requests;
    for (int i = 0; i < 5; ++i) {
        const std::string body = fresh_event();
        requests += fmt::format("POST {} HTTP/1.1\r\nHost: edge\r\nContent-Length: {}\r\n{}\r\n{}", by_argument(),
                                body.size(), i == 4 ? "Connection: close\r\n" : "", body);
    }
    RawConnection connection{nginx().port()};

    connection.send(requests);

    const auto answers = split_answers(connection.read_to_end());
    ASSERT_EQ(answers.size(), 5U);
    for (const HttpAnswer& answer : answers) {
        EXPECT_EQ(answer.status, 200) << answer.body;
    }
    expect_no_secret_in_access_logs(5);
}

TEST_F(TokenMasking, TouchesNothingThatOnlyResemblesAShortToken) {
    static_cast<void>(folder().write_secret("short", "weak POST\n"));
    start_masking("", "location = /short { runledger_webhook; runledger_token $arg_token file=@TEST_FOLDER@/short; }");

    EXPECT_EQ(status_of({.target = "/short?token=POST&x=POST", .header = "X-Other: POST", .body = fresh_event()}), 200);

    expect_no_secret_in_access_logs(1);
    EXPECT_EQ(wide_log().find("POST /short?token=****&x=POST HTTP/1.1|/short?token=****&x=POST|"), 0U) << wide_log();
    EXPECT_NE(wide_log().find("|POST\n"), std::string::npos) << wide_log();
}

// nginx keeps common headers in its own program, where nothing may be written.
TEST_F(TokenMasking, TouchesNoMemoryOfNginxItself) {
    start_masking("", R"(location ~ "^/(?<page_token>index[^/]*)$" {
                             runledger_webhook; runledger_token $page_token file=@TEST_FOLDER@/tokens; }
                         location = /encoding {
                             runledger_webhook; runledger_token $http_accept_encoding file=@TEST_FOLDER@/tokens; })");
    const auto workers = nginx().worker_pids();

    EXPECT_EQ(status_of({.target = "/index.html", .by_http2 = true}), 401);
    EXPECT_EQ(status_of({.target = "/encoding", .header = "Accept-Encoding: gzip, deflate", .by_http2 = true}), 401);

    EXPECT_EQ(nginx().worker_pids(), workers);
}

// The target of an error_page is a string of the configuration's, the same for every request.
TEST_F(TokenMasking, TouchesNoMemoryOfTheConfiguration) {
    start_masking("", fmt::format("location = /elsewhere {{ error_page 404 = /by-path/{}/news; return 404; }}", token));

    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(status_of({.target = "/elsewhere", .body = fresh_event()}), 200) << i;
    }
}

TEST_F(TokenMasking, LeavesTheVerdictWithTheRequest) {
    static_cast<void>(folder().write_secret("others", "studio another-token-of-decent-length\n"));
    start_masking("error_page 415 = @again;",
                  "location @again { runledger_webhook; runledger_token $arg_token file=@TEST_FOLDER@/tokens; }"
                  "location = /other { runledger_webhook; error_page 415 = @other; "
                  "                    runledger_token $arg_token file=@TEST_FOLDER@/tokens; }"
                  "location @other { runledger_webhook; runledger_token $arg_token file=@TEST_FOLDER@/others; }");

    for (const bool by_http2 : {false, true}) {
        const std::string body = by_http2 ? "" : "{}";
        // Let in by the second location too, which then finds the type as wrong as the first did.
        EXPECT_EQ(status_of({.target = by_argument(), .body = body, .type = "text/plain", .by_http2 = by_http2}), 415);
        // The second location asks for another token.
        EXPECT_EQ(status_of({.target = fmt::format("/other?token={}", token),
                             .body = body,
                             .type = "text/plain",
                             .by_http2 = by_http2}),
                  401);
    }
    // As many asterisks as the token has characters are no token.
    EXPECT_EQ(status_of({.target = "/by-argument?token=" + std::string(token.size(), '*'), .body = fresh_event()}),
              401);
    expect_no_secret_in_access_logs(5);
}

TEST_F(TokenMasking, LetsAMirroredCopyInWhoeverIsFirst) {
    start_masking("", R"(location = /mirrored { mirror /copy; runledger_webhook;
                                                runledger_token $arg_token file=@TEST_FOLDER@/tokens; }
                         location = /copy { internal; log_subrequest on; runledger_webhook;
                                            runledger_token $arg_token file=@TEST_FOLDER@/tokens; })");

    EXPECT_EQ(status_of({.target = fmt::format("/mirrored?token={}", token), .body = fresh_event()}), 200);

    eventually(
        "the event came twice", [this] { return daemon().delivered_bodies().size() == 2; }, default_patience,
        [this] { return wide_log() + nginx().error_log(); });
    expect_no_secret_in_access_logs(2);
    expect_no_secret_in(nginx().error_log());
}

}  // namespace
}  // namespace runledger::test
