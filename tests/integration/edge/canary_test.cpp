// An nginx whose structures are not those that the module was built with: no crash, 503 to webhooks, and nothing at all
// to other sites. Here nginx only says so (layout_shim.c); tests/nginx/versions.sh builds one where it is true.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view said = "[emerg]";
constexpr std::string_view sentence =
    "nginx's structures are not those that the module was built with: ngx_http_headers_in_t::keep_alive is at byte";

class Canary : public StatusFixture {
protected:
    Canary() { allow_alarm(std::string{sentence}); }

    // Where nginx keeps a header that no request of these tests has is said to be elsewhere.
    [[nodiscard]] NginxOptions of_another_nginx(std::string name = "nginx") {
        const fs::path shim =
            install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "tests" / "support" / "layout_shim.so");
        return {.name = std::move(name),
                .spool = folder().make_folder("spool"),
                .env = {{"LD_PRELOAD", shim.string()}, {"RUNLEDGER_LAYOUT_SHIM", "Keep-Alive"}}};
    }
    [[nodiscard]] static NginxConf with_another_site() {
        return {.workers = 2,
                .token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;",
                .server_extra = "location = /other { return 200 other; }"};
    }
    void SetUp() override { static_cast<void>(folder().write_secret("tokens", "studio the-first-secret-word\n")); }
};

TEST_F(Canary, AnswersWebhooks503AndLeavesOtherSitesAlone) {
    start_nginx(with_another_site(), of_another_nginx());
    const auto workers = nginx().worker_pids();

    for (int i = 0; i < 10; ++i) {
        const HttpAnswer refused = post(fresh_event(), "?token=the-first-secret-word");
        expect_page_of_nginx(refused, 503);
        EXPECT_EQ(http_call({.url = nginx().url(), .method = "GET", .body = fresh_event()}).status, 503);
        EXPECT_EQ(http_get(nginx().url("/other")).body, "other");
    }

    EXPECT_EQ(nginx().worker_pids(), workers);
    const std::string log = nginx().error_log();
    EXPECT_NE(log.find(said), std::string::npos);
    EXPECT_NE(log.find(sentence), std::string::npos) << log;
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Canary, ShowsInTheStatusWhatItRefused) {
    start_nginx(with_another_site(), of_another_nginx());
    EXPECT_EQ(sample("runledger_edge_incompatible_nginx"), 1);

    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(post(fresh_event()).status, 503);
    }

    EXPECT_EQ(sample(requests("incompatible")), 3);
    EXPECT_EQ(sample("runledger_edge_refused_total{cause=\"incompatible\"}"), 3);
    const HttpAnswer json = http_get(nginx().url("/runledger_status?format=json"));
    EXPECT_NE(json.body.find("\"incompatible_nginx\":1"), std::string::npos) << json.body;
    EXPECT_EQ(http_get(nginx().url("/runledger_status?format=xml")).status, 400);
    nginx().reload();
    EXPECT_EQ(post(fresh_event()).status, 503);
    EXPECT_EQ(sample(requests("incompatible")), 4);
}

TEST_F(Canary, SaysItInACheckOfTheConfigurationWhichIsNotRefused) {
    prepare_nginx(standard_conf(with_another_site()), of_another_nginx());

    const Finished check = nginx().check_conf();

    EXPECT_TRUE(check.status.clean()) << check.output;
    EXPECT_NE(check.output.find(sentence), std::string::npos) << check.output;
}

TEST_F(Canary, StillDeliversWhatIsStored) {
    NginxOptions known = of_another_nginx("known");
    known.env.clear();
    start_nginx(with_another_site(), known);
    const std::string event = fresh_event();
    EXPECT_EQ(post(event, "?token=the-first-secret-word").status, 200);
    EXPECT_EQ(sample("runledger_edge_incompatible_nginx"), 0);
    nginx().quit();
    nginx().check_logs();

    start_daemon();
    start_nginx(with_another_site(), of_another_nginx());

    expect_delivered({event});
}

}  // namespace
}  // namespace runledger::test
