// An nginx with one of its structures changed, and the module that was built with the unchanged headers: versions.sh
// builds the former, and says in RUNLEDGER_TEST_DIFFERENCE which member the module must name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class ChangedNginx : public StatusFixture {
protected:
    ChangedNginx() {
        const char* difference = std::getenv("RUNLEDGER_TEST_DIFFERENCE");
        EXPECT_NE(difference, nullptr) << "run tests/nginx/versions.sh";
        sentence_ = fmt::format("nginx's structures are not those that the module was built with: {}",
                                difference == nullptr ? "?" : difference);
        allow_alarm(sentence_);
        static_cast<void>(folder().write_secret("tokens", "studio the-first-secret-word\n"));
    }

    [[nodiscard]] const std::string& sentence() const { return sentence_; }
    [[nodiscard]] static NginxConf conf() {
        return {.workers = 2,
                .token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;",
                .server_extra = "location = /other { return 200 other; }"};
    }
    // Of all kinds that the module's handlers see.
    void ask_other_sites() {
        EXPECT_EQ(http_get(nginx().url("/other")).body, "other");
        EXPECT_EQ(http_get(nginx().url("/nothing")).status, 404);
        EXPECT_EQ(http_call({.url = nginx().url("/nothing"), .body = std::string(100'000, 'x')}).status, 404);
    }

private:
    std::string sentence_;
};

TEST_F(ChangedNginx, AnswersWebhooks503AndServesOtherSites) {
    start_nginx(conf());
    const auto workers = nginx().worker_pids();

    for (int i = 0; i < 20; ++i) {
        ask_other_sites();
        expect_page_of_nginx(post(fresh_event(), "?token=the-first-secret-word"), 503);
        expect_page_of_nginx(post(fresh_event_of_bytes(2'000'000)), 503);
        EXPECT_EQ(http_call({.url = nginx().url(), .method = "GET", .body = fresh_event()}).status, 503);
    }

    EXPECT_EQ(sample(requests("incompatible")), 60);
    EXPECT_EQ(sample("runledger_edge_incompatible_nginx"), 1);
    EXPECT_EQ(nginx().worker_pids(), workers) << "a worker has died";
    EXPECT_NE(nginx().error_log().find("[emerg]"), std::string::npos);
    EXPECT_NE(nginx().error_log().find(sentence()), std::string::npos) << nginx().error_log();
    nginx().reload();
    ask_other_sites();
    EXPECT_EQ(post(fresh_event()).status, 503);
}

TEST_F(ChangedNginx, RefusesDirectivesAndServesOtherSitesWithoutThem) {
    prepare_nginx(standard_conf(conf()));
    const Finished check = nginx().check_conf();
    EXPECT_FALSE(check.status.clean());
    EXPECT_NE(check.output.find("[emerg]"), std::string::npos) << check.output;
    EXPECT_NE(check.output.find(sentence()), std::string::npos) << check.output;

    nginx().set_conf(R"(load_module @MODULE@; daemon off; pid @FOLDER@/nginx.pid; error_log @FOLDER@/error.log info;
events {}
http {
    client_body_temp_path @FOLDER@/b; proxy_temp_path @FOLDER@/p; fastcgi_temp_path @FOLDER@/f;
    uwsgi_temp_path @FOLDER@/u; scgi_temp_path @FOLDER@/s; access_log @FOLDER@/access.log;
    server { listen 127.0.0.1:@PORT@; location = /other { return 200 other; } }
}
)");
    nginx().start();

    ask_other_sites();
    nginx().reload();
    ask_other_sites();
}

}  // namespace
}  // namespace runledger::test
