// nginx's own directives around a webhook: limits, access, addresses, what filters make of an answer, logs. Each
// behaves as around any other handler.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class NginxFeatures : public HttpFixture {
protected:
    [[nodiscard]] static std::string webhook_at(std::string_view location, std::string_view directives) {
        return fmt::format("location = {} {{ runledger_webhook; runledger_token off; {} }} ", location, directives);
    }

    [[nodiscard]] HttpAnswer post_to(std::string_view target, std::string body, std::vector<std::string> headers = {}) {
        headers.emplace_back("Content-Type: application/json");
        return http_call({.url = nginx().url(target), .body = std::move(body), .headers = std::move(headers)});
    }

    // Posts a fresh event that must be answered 200.
    void post_accepted(std::string_view target, std::vector<std::string> headers = {}) {
        accepted_.push_back(fresh_event());
        const HttpAnswer answer = post_to(target, accepted_.back(), std::move(headers));
        EXPECT_EQ(answer.status, 200) << target << answer.error << answer.body;
    }

    void expect_all_accepted_delivered() { expect_delivered(accepted_); }

    std::vector<std::string> accepted_;
};

TEST_F(NginxFeatures, LimitReqRefusesOrDelaysBeforeAnythingIsStored) {
    start({.http_extra = "limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;"
                         "limit_req_zone $binary_remote_addr zone=steady:1m rate=10r/s;",
           .server_extra = webhook_at("/refuses", "limit_req zone=slow burst=1 nodelay; limit_req_status 429;") +
                           webhook_at("/delays", "limit_req zone=steady burst=10;")});

    post_accepted("/refuses");
    post_accepted("/refuses");
    expect_page_of_nginx(post_to("/refuses?third", fresh_event()), 429);
    const auto before = std::chrono::steady_clock::now();
    for (int i = 0; i < 4; ++i) {
        post_accepted("/delays");
    }

    EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds{250});
    expect_logged("/refuses?third", 429, "refused_by_nginx");
    expect_all_accepted_delivered();
}

TEST_F(NginxFeatures, LimitConnCountsHeldRequests) {
    start({.http_extra = "limit_conn_zone $binary_remote_addr zone=edge:1m;",
           .location_extra = "limit_conn edge 2; runledger_timeout 60s;"});
    hold_events();
    std::vector<std::unique_ptr<RawConnection>> held;
    for (int i = 1; i <= 2; ++i) {
        accepted_.push_back(fresh_event());
        held.push_back(std::make_unique<RawConnection>(nginx().port()));
        held.back()->send(RawRequest{.headers = "Connection: close\r\n", .body = accepted_.back()}.text());
        wait_until_held(i);
    }

    const std::string over = std::string{endpoint} + "?over";
    expect_page_of_nginx(post_to(over, fresh_event()), 503);
    expect_logged(over, 503, "refused_by_nginx");
    release();

    for (const auto& connection : held) {
        EXPECT_EQ(split_answers(connection->read_to_end()).at(0).status, 200);
        connection->close();
    }
    eventually("the limit has room again", [this] { return active_connections() == 1; });
    post_accepted(endpoint);
    expect_all_accepted_delivered();
}

struct Access {
    std::string_view name;
    std::string_view directives;
    int status;
    std::vector<std::string> headers{};
    std::string_view outcome{"refused_by_nginx"};
};

TEST_F(NginxFeatures, AccessIsDecidedBeforeTheWebhook) {
    constexpr std::string_view basic = "auth_basic edge; auth_basic_user_file @TEST_FOLDER@/passwords;";
    const std::string satisfy_any = fmt::format("satisfy any; deny all; {}", basic);
    const std::string satisfy_all = fmt::format("satisfy all; allow 127.0.0.1; deny all; {}", basic);
    const std::vector<std::string> known{"Authorization: Basic dXNlcjpwYXNz"};        // user:pass
    const std::vector<std::string> unknown{"Authorization: Basic dXNlcjp3cm9uZw=="};  // user:wrong
    const std::vector<Access> cases{
        {"allowed", "allow 127.0.0.1; deny all;", 200, {}, "accepted"},
        {"denied", "deny all;", 403},
        {"any_by_password", satisfy_any, 200, known, "accepted"},
        {"any_by_neither", satisfy_any, 401, unknown},
        {"all_by_both", satisfy_all, 200, known, "accepted"},
        {"all_by_address_alone", satisfy_all, 401},
        {"asked_and_allowed", "auth_request /yes;", 200, {}, "accepted"},
        {"asked_and_denied", "auth_request /no;", 403},
        {"asked_and_unknown", "auth_request /who;", 401},
        {"asked_of_a_broken_one", "auth_request /broken;", 500},
        {"internal", "internal;", 404},
    };
    folder().write_file("passwords", "user:{PLAIN}pass\n");
    std::string locations =
        "location = /yes { return 204; } location = /no { return 403; }"
        "location = /who { return 401; } location = /broken { return 502; }";
    for (const Access& access : cases) {
        locations += webhook_at(fmt::format("/{}", access.name), access.directives);
    }
    start({.server_extra = locations});

    for (const Access& access : cases) {
        SCOPED_TRACE(access.name);
        const std::string target = fmt::format("/{}", access.name);
        if (access.status == 200) {
            post_accepted(target, access.headers);
        } else {
            expect_page_of_nginx(post_to(target, fresh_event(), access.headers), access.status);
        }
        expect_logged(target, access.status, access.outcome);
    }
    expect_all_accepted_delivered();
}

TEST_F(NginxFeatures, RealipIsWhomLimitsLogsAndTheErrorLogMean) {
    start({.http_extra = "limit_req_zone $binary_remote_addr zone=each:1m rate=1r/m;",
           .server_extra = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;",
           .location_extra = "limit_req zone=each; allow 203.0.113.0/24; deny all;"});

    post_accepted(endpoint, {"X-Forwarded-For: 203.0.113.7"});
    post_accepted(endpoint, {"X-Forwarded-For: 203.0.113.8"});
    expect_page_of_nginx(post_to(endpoint, fresh_event(), {"X-Forwarded-For: 203.0.113.7"}), 503);
    expect_page_of_nginx(post_to(endpoint, fresh_event(), {"X-Forwarded-For: 198.51.100.1"}), 403);
    EXPECT_EQ(post_to(endpoint, "not an event", {"X-Forwarded-For: 203.0.113.9"}).status, 400);

    wait_for_access_log("203.0.113.8 POST");
    wait_for_access_log("198.51.100.1 POST");
    wait_for_error_log("is not JSON, at byte 1, client: 203.0.113.9");
    expect_all_accepted_delivered();
}

TEST_F(NginxFeatures, ProxyProtocolGivesTheAddress) {
    const std::uint16_t port = free_port();
    start({.server_extra = fmt::format("listen 127.0.0.1:{} proxy_protocol; set_real_ip_from 127.0.0.1; "
                                       "real_ip_header proxy_protocol;",
                                       port)});
    accepted_.push_back(fresh_event());
    RawConnection connection{port};

    connection.send("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n" +
                    RawRequest{.headers = "Connection: close\r\n", .body = accepted_.back()}.text());

    EXPECT_EQ(split_answers(connection.read_to_end()).at(0).status, 200);
    connection.close();
    wait_for_access_log("203.0.113.9 POST");
    expect_all_accepted_delivered();
}

struct Decoration {
    std::string_view name;
    std::string_view directives;
    std::string_view request_header;
    std::string_view header;
    std::string_view text_of_accepted{R"({"status":"accepted"})"};
    bool on_refusals{true};  // nginx compresses 200, 403 and 404 only.
};

TEST_F(NginxFeatures, FiltersWorkOnAnswersOfBothKinds) {
    const std::vector<Decoration> cases{
        {"add_header", "add_header X-Outcome $runledger_outcome always; add_header X-Kind edge always;", "X: y",
         "X-Kind: edge"},
        {"gzip", "gzip on; gzip_min_length 1; gzip_types application/json application/problem+json;",
         "Accept-Encoding: gzip", "Content-Encoding: gzip", "", false},
        {"sub_filter", "sub_filter_types *; sub_filter accepted taken; add_header X-Kind edge always;", "X: y",
         "X-Kind: edge", R"({"status":"taken"})"},
        {"charset", "charset utf-8; charset_types *;", "X: y", "; charset=utf-8"},
        {"expires", "add_header Cache-Control no-store always;", "X: y", "Cache-Control: no-store"},
        {"server_tokens", "server_tokens off;", "X: y", "Server: "},
        {"etag_and_ranges", "etag on; max_ranges 1;", "Range: bytes=0-1", "Content-Length: "},
    };
    std::string locations;
    for (const Decoration& decoration : cases) {
        locations += webhook_at(fmt::format("/{}", decoration.name), decoration.directives);
    }
    start({.server_extra = locations});

    for (const Decoration& decoration : cases) {
        SCOPED_TRACE(decoration.name);
        const std::string target = fmt::format("/{}", decoration.name);
        const std::vector<std::string> headers{std::string{decoration.request_header}};
        accepted_.push_back(fresh_event());

        const HttpAnswer accepted = post_to(target, accepted_.back(), headers);
        const HttpAnswer refused = post_to(target, "not an event", headers);

        EXPECT_EQ(accepted.status, 200);
        EXPECT_EQ(refused.status, 400);
        EXPECT_NE(accepted.headers.find(decoration.header), std::string::npos) << accepted.headers;
        EXPECT_EQ(refused.headers.find(decoration.header) != std::string::npos, decoration.on_refusals)
            << refused.headers;
        EXPECT_NE(accepted.body.find(decoration.text_of_accepted), std::string::npos) << accepted.body;
        if (decoration.name == "server_tokens") {
            for (const HttpAnswer& answer : {accepted, refused}) {
                const std::size_t at = answer.headers.find("Server: ");
                EXPECT_EQ(answer.headers.substr(at, answer.headers.find('\r', at) - at).find('/'), std::string::npos)
                    << "a version in " << answer.headers;
            }
        }
        if (decoration.name == "add_header") {
            EXPECT_TRUE(has_header(accepted, "X-Outcome: accepted")) << accepted.headers;
            EXPECT_TRUE(has_header(refused, "X-Outcome: refused_json")) << refused.headers;
        }
    }
    expect_all_accepted_delivered();
}

TEST_F(NginxFeatures, VariablesChooseWhatIsLoggedAndWhere) {
    start({.http_extra = "map $runledger_outcome $is_news { default 1; accepted 0; }"
                         "open_log_file_cache max=8; log_format short '$runledger_outcome $runledger_run_status';",
           // nginx writes a log whose path has variables only where the request's root is a folder.
           .location_extra = "root @TEST_FOLDER@; access_log @FOLDER@/news.log short if=$is_news;"
                             "access_log @FOLDER@/by_$runledger_outcome.log short;"});

    for (int i = 0; i < 3; ++i) {
        post_accepted(endpoint);
        EXPECT_EQ(post_to(endpoint, "not an event").status, 400);
    }

    const auto lines_of = [this](std::string_view file) { return read_text(nginx().folder() / file); };
    eventually("each log has its lines", [&] {
        return lines_of("news.log") == "refused_json -\nrefused_json -\nrefused_json -\n" &&
               lines_of("by_accepted.log") == "accepted running\naccepted running\naccepted running\n" &&
               lines_of("by_refused_json.log") == "refused_json -\nrefused_json -\nrefused_json -\n";
    });
    expect_all_accepted_delivered();
}

TEST_F(NginxFeatures, StubStatusCountsAHeldRequestAsWriting) {
    start({.location_extra = "runledger_timeout 60s;"});
    hold_events();
    RawConnection held{nginx().port()};
    accepted_.push_back(fresh_event());
    held.send(RawRequest{.body = accepted_.back()}.text());
    wait_until_held(1);

    const std::string while_held = http_get(nginx().url("/connections")).body;
    release();
    static_cast<void>(held.read_until("accepted"));
    const std::string afterwards = http_get(nginx().url("/connections")).body;

    EXPECT_NE(while_held.find("Writing: 2 Waiting: 0"), std::string::npos) << while_held;
    EXPECT_NE(afterwards.find("Writing: 1 Waiting: 1"), std::string::npos) << afterwards;
    expect_all_accepted_delivered();
}

}  // namespace
}  // namespace runledger::test
