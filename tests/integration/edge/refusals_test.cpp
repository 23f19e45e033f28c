// What was not answered 2xx is counted by its cause, nginx's own refusals included.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>

#include "tests/integration/edge/raw_connection.hpp"
#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class Refusals : public StatusFixture {
protected:
    static constexpr std::string_view family = "runledger_edge_refused_total{";

    [[nodiscard]] static std::string refused(std::string_view cause) {
        return fmt::format(R"({}cause="{}"}})", family, cause);
    }

    // This cause has been counted so often, no other at all, and the outcomes add up.
    void expect_only(std::string_view cause, double count) {
        wait_for_sample(refused(cause), count);
        double all_refused = 0;
        double all_requests = 0;
        const auto all = samples();
        for (const auto& [name, value] : all) {
            all_refused += name.starts_with(family) ? value : 0;
            all_requests += name.starts_with("runledger_edge_requests_total{") ? value : 0;
        }
        EXPECT_EQ(all_refused, count) << text();
        EXPECT_EQ(all_requests, all.at(requests("accepted")) + all.at(requests("redelivered")) + all_refused);
    }
};

struct RefusalCase {
    const char* name;
    const char* cause;
    long status;  // 0: the connection is closed without an answer.
    const char* location;
    const char* http = "";
    const char* server = "";
    int let_through = 0;  // So many requests are answered 200 before.

    friend std::ostream& operator<<(std::ostream& out, const RefusalCase& row) { return out << row.location; }
};

class RefusedByNginx : public Refusals, public ::testing::WithParamInterface<RefusalCase> {};

TEST_P(RefusedByNginx, IsCountedByItsCause) {
    const RefusalCase& row = GetParam();
    start_daemon();
    start_nginx({.http_extra = row.http, .server_extra = row.server, .location_extra = row.location});
    static_cast<void>(post_until_answered(row.let_through));

    EXPECT_EQ(post(fresh_event()).status, row.status);

    expect_only(row.cause, 1);
    const bool is_ours = std::string_view{row.cause} == "refused_size";
    wait_for_access_log(is_ours ? "outcome=refused_size" : "outcome=refused_by_nginx");
}

constexpr const char* slow_zone = "limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;";
constexpr const char* sorry = "location = /sorry { return 503 sorry; }";

INSTANTIATE_TEST_SUITE_P(
    Nginx, RefusedByNginx,
    ::testing::Values(RefusalCase{"LimitReq", "limit_req", 503, "limit_req zone=slow;", slow_zone, "", 1},
                      RefusalCase{"LimitReqOfAnotherStatus", "limit_req", 429,
                                  "limit_req zone=slow; limit_req_status 429;", slow_zone, "", 1},
                      RefusalCase{"LimitReqBehindAnErrorPage", "limit_req", 503,
                                  "limit_req zone=slow; error_page 503 /sorry;", slow_zone, sorry, 1},
                      RefusalCase{"Deny", "nginx_403", 403, "deny all;"},
                      RefusalCase{"DenyBehindAnErrorPage", "nginx_403", 403, "deny all; error_page 403 /sorry;", "",
                                  "location = /sorry { return 200 sorry; }"},
                      RefusalCase{"DenyBehindANamedErrorPage", "nginx_403", 403, "deny all; error_page 403 @sorry;", "",
                                  "location @sorry { return 200 sorry; }"},
                      RefusalCase{"DenyBehindAnErrorPageOfAnotherStatus", "nginx_404", 404,
                                  "deny all; error_page 403 =404 /sorry;", "",
                                  "location = /sorry { return 200 sorry; }"},
                      RefusalCase{"AuthBasic", "nginx_401", 401, "auth_basic x; auth_basic_user_file none;"},
                      RefusalCase{"AuthRequestRefuses", "nginx_403", 403, "auth_request /auth;", "",
                                  "location = /auth { return 403; }"},
                      RefusalCase{"AuthRequestFails", "nginx_500", 500, "auth_request /auth;", "",
                                  "location = /auth { return 502; }"},
                      RefusalCase{"Internal", "nginx_404", 404, "internal;"},
                      RefusalCase{"Unavailable", "nginx_503", 503, "return 503;"},
                      RefusalCase{"TooMany", "nginx_429", 429, "return 429;"},
                      RefusalCase{"Redirection", "nginx_other", 302, "return 302 /elsewhere;"},
                      RefusalCase{"ClosedWithoutAnAnswer", "nginx_other", 0, "return 444;"},
                      RefusalCase{"BodySize", "refused_size", 413, "client_max_body_size 10;"}),
    [](const auto& parameter) { return std::string{parameter.param.name}; });

TEST_F(Refusals, CountConnectionsOverTheirLimit) {
    start_daemon();
    start_nginx(
        {.http_extra = "limit_conn_zone $binary_remote_addr zone=one:1m;", .location_extra = "limit_conn one 1;"});
    RawConnection first{nginx().port()};
    first.send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", endpoint));
    eventually("the second is refused", [this] { return post(fresh_event()).status == 503; });

    wait_for_access_log("outcome=refused_by_nginx");
    EXPECT_GE(sample(refused("limit_conn")), 1);
    EXPECT_EQ(sample(refused("nginx_503")), 0);
}

TEST_F(Refusals, CountWhatTheModuleRefusesByItsOutcome) {
    start_daemon();
    start_nginx();
    EXPECT_EQ(post("not an event").status, 400);
    EXPECT_EQ(post("not an event either").status, 400);

    expect_only("refused_json", 2);
}

TEST_F(Refusals, DoNotCountOtherLocations) {
    start_daemon();
    start_nginx({.server_extra = "location = /closed { deny all; error_page 403 /sorry; } "
                                 "location = /sorry { return 200 sorry; }"});
    EXPECT_EQ(http_get(nginx().url("/closed")).status, 403);
    EXPECT_EQ(http_get(nginx().url("/nowhere")).status, 404);
    EXPECT_EQ(post("not an event").status, 400);

    expect_only("refused_json", 1);
}

}  // namespace
}  // namespace runledger::test
