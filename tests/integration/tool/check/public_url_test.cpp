// `runledger check --public-url` against real nginx: a webhook that is reachable, and each way in which it is not.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <iterator>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/tool/check/report.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view secret = "0123456789abcdef0123";

class PublicUrl : public EdgeFixture {
protected:
    void SetUp() override {
        tool_ = install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
        token_file_ = folder().write_secret("tokens", fmt::format("# a comment\nstudio {}\n", secret));
        // What stands between the sender and nginx, if a test puts something there.
        proxy_port_ = free_port();
        start_daemon();
    }
    // Whatever was probed, and whatever came of it: no probe is an event.
    void TearDown() override {
        if (nginx().running()) {
            const std::string event = fresh_event();
            EXPECT_EQ(post(event, fmt::format("?token={}", secret)).status, 200);
            expect_delivered({event});
        }
        EdgeFixture::TearDown();
    }

    void start(std::string proxy = "", NginxConf conf = {}) {
        if (conf.token == NginxConf{}.token) {
            conf.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;";
        }
        if (!proxy.empty()) {
            conf.http_extra +=
                fmt::format("server {{ listen 127.0.0.1:{}; client_max_body_size 8m; {} }}", proxy_port_, proxy);
        }
        start_nginx(conf);
    }
    // With a certificate for this name.
    void start_with_tls(std::string_view name, const std::string& days = "90") {
        const Finished made = run_to_end(
            {.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", "/CN=edge", "-addext", fmt::format("subjectAltName={}", name), "-days", days, "-keyout",
                      (folder() / "key.pem").string(), "-out", (folder() / "cert.pem").string()}},
            folder());
        ASSERT_TRUE(made.status.clean()) << made.output;
        start("", {.server_extra = fmt::format("listen 127.0.0.1:{} ssl; ssl_certificate @TEST_FOLDER@/cert.pem; "
                                               "ssl_certificate_key @TEST_FOLDER@/key.pem;",
                                               proxy_port_)});
    }

    [[nodiscard]] std::string proxy_url(std::string_view scheme = "http") const {
        return fmt::format("{}://127.0.0.1:{}{}", scheme, proxy_port_, endpoint);
    }
    [[nodiscard]] std::string edge_url() { return nginx().url(); }

    [[nodiscard]] Finished run(const std::string& url, std::vector<std::string> words) const {
        words.insert(words.begin(), {tool_.string(), "check", "--public-url", url});
        return run_to_end({.argv = std::move(words), .env = {{"LC_ALL", "C.UTF-8"}}}, folder());
    }
    [[nodiscard]] CheckReport probe(const std::string& url, std::vector<std::string> more = {}) const {
        more.insert(more.end(), {"--json", "--token-file", token_file_.string()});
        return read_report(run(url, more));
    }
    [[nodiscard]] const fs::path& token_file() const { return token_file_; }

private:
    fs::path tool_;
    fs::path token_file_;
    std::uint16_t proxy_port_{};
};

constexpr std::string_view pass_on = "proxy_pass http://127.0.0.1:@PORT@;";

TEST_F(PublicUrl, PassesIfEverythingArrives) {
    start_with_tls("IP:127.0.0.1");

    const CheckReport report = probe(proxy_url("https"), {"--ca-file", (folder() / "cert.pem").string()});

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    for (const CheckLine& line : report.lines) {
        // No public authority signs a certificate for a test: the next test is about that.
        if (line.found.find("--ca-file") == std::string::npos) {
            EXPECT_EQ(line.result, "passed") << line.check << ": " << line.found;
        }
    }
    EXPECT_EQ(report.url, fmt::format("{}?token={}", proxy_url("https"), secret));
}

TEST_F(PublicUrl, WarnsOfACertificateThatOnlyTheGivenFileMakesTrusted) {
    start_with_tls("IP:127.0.0.1");

    const CheckReport report = probe(proxy_url("https"), {"--ca-file", (folder() / "cert.pem").string()});

    expect_warning(report, "connection", "every event is lost");
    const auto warnings = report.with("warning");
    ASSERT_THAT(warnings, SizeIs(1)) << report.finished.output;
    EXPECT_THAT(warnings.front().found, HasSubstr("ComfyDeploy does not have that file"));
    EXPECT_THAT(warnings.front().to_do, HasSubstr("a certificate of a public authority"));
}

TEST_F(PublicUrl, LeavesNothingAmongTheRefusedBodies) {
    const fs::path refused = folder().make_folder("refused");
    start("", {.http_extra = "runledger_refused @TEST_FOLDER@/refused;"});

    const CheckReport report = probe(edge_url());

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_EQ(post("no event", fmt::format("?token={}", secret)).status, 400);
    // The keeper writes in the order in which bodies come.
    eventually("what is no event is kept", [&] { return !fs::is_empty(refused); });
    EXPECT_EQ(std::distance(fs::directory_iterator(refused), fs::directory_iterator{}), 1);
}

TEST_F(PublicUrl, SaysWhatToRegister) {
    start();

    const Finished finished = run(edge_url(), {"--token-file", token_file().string()});

    EXPECT_EQ(finished.status.code, 0) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr(fmt::format("\"webhook\": \"{}?token={}\"", edge_url(), secret)));
    EXPECT_THAT(finished.output, HasSubstr("\"webhook_intermediate_status\": true"));
    EXPECT_THAT(finished.output, HasSubstr("✓ GET"));
}

TEST_F(PublicUrl, MasksTheTokenWhereAskedTo) {
    start();

    const Finished finished = run(edge_url(), {"--token-file", token_file().string(), "--mask-token"});

    EXPECT_EQ(finished.status.code, 0) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr("?token=********"));
    EXPECT_THAT(finished.output, Not(HasSubstr(std::string(secret))));
}

TEST_F(PublicUrl, PutsTheTokenWhereThePlaceholderStands) {
    start("", {.server_extra = "location ~ ^/hook/(?<hook_token>[^/]+)$ { runledger_webhook; runledger_token "
                               "$hook_token file=@TEST_FOLDER@/tokens; }"});

    const CheckReport report = probe(nginx().url("/hook/{token}"));

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_EQ(report.url, nginx().url(fmt::format("/hook/{}", secret)));
}

TEST_F(PublicUrl, TakesTheUrlAsItIsRegistered) {
    start();

    const CheckReport report =
        read_report(run(fmt::format("{}?studio=1&token={}&target_events=run.output", edge_url(), secret), {"--json"}));

    expect_warning(report, "url", "the token is in the command line");
    expect_warning(report, "url", "target_events");
    EXPECT_EQ(report.url, fmt::format("{}?studio=1&target_events=run.output&token={}", edge_url(), secret));
}

TEST_F(PublicUrl, SaysWhatItCannotTryWithoutAToken) {
    start();

    const CheckReport report = read_report(run(edge_url(), {"--json"}));

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_THAT(report.with("unknown"), Not(IsEmpty()));
    EXPECT_EQ(report.url, "");
}

TEST_F(PublicUrl, NamesAWrongPort) {
    start();

    expect_only_failure(probe(proxy_url()), "connection", "nobody listens at 127.0.0.1:", "correct the port");
}

TEST_F(PublicUrl, NamesEachAddressThatDoesNotLeadThere) {
    start();  // nginx listens at 127.0.0.1 alone.
    const std::string url = fmt::format("http://localhost:{}{}", nginx().port(), endpoint);

    const CheckReport report = probe(url, {"--address", "127.0.0.1", "--address", "127.0.0.2"});

    EXPECT_THAT(report.finished.output, HasSubstr("127.0.0.1: runledger answers"));
    const auto failed = report.with("failed");  // localhost may have ::1, too.
    ASSERT_THAT(failed, Not(IsEmpty())) << report.finished.output;
    EXPECT_EQ(failed.front().check, "addresses");
    EXPECT_THAT(failed.front().found, HasSubstr("127.0.0.2: "));
    EXPECT_THAT(failed.front().to_do, HasSubstr("start nginx there"));
}

TEST_F(PublicUrl, NamesAWrongHost) {
    start();

    expect_only_failure(probe("http://no-such-host.invalid/api/webhook/comfydeploy"), "connection",
                        "the name no-such-host.invalid has no address", "DNS");
}

TEST_F(PublicUrl, NamesAWrongPath) {
    start();

    expect_only_failure(probe(nginx().url("/api/webhook/comfydeply")), "path", "HTTP 404 from nginx",
                        "correct the path");
}

TEST_F(PublicUrl, NamesAWrongToken) {
    start();
    const auto other = folder().write_secret("other", "studio another-token-entirely\n");

    const CheckReport report = read_report(run(edge_url(), {"--json", "--token-file", other.string()}));

    expect_only_failure(report, "token", "runledger refuses the token studio", "reload nginx");
    EXPECT_EQ(report.url, "");
}

TEST_F(PublicUrl, NamesACertificateThatNobodyTrusts) {
    start_with_tls("IP:127.0.0.1");

    const CheckReport report = probe(proxy_url("https"));

    expect_only_failure(report, "connection", "TLS fails", "fullchain.pem");
    expect_only_failure(report, "connection", "TLS fails", "name its certificate with --ca-file");
}

TEST_F(PublicUrl, WarnsOfACertificateThatIsAboutToExpire) {
    start_with_tls("IP:127.0.0.1", "3");

    expect_warning(probe(proxy_url("https"), {"--ca-file", (folder() / "cert.pem").string()}), "connection",
                   "the certificate expires in 2 days");
}

TEST_F(PublicUrl, NamesACertificateOfAnotherHost) {
    start_with_tls("DNS:elsewhere.example");

    expect_only_failure(probe(proxy_url("https"), {"--ca-file", (folder() / "cert.pem").string()}), "connection",
                        "TLS fails", "certificate for this name");
}

TEST_F(PublicUrl, NamesAPortWithoutTls) {
    start();

    const CheckReport report = probe(fmt::format("https{}", edge_url().substr(4)));

    expect_only_failure(report, "connection", "TLS fails", "certificate");
}

struct Between {
    const char* name;
    const char* proxy;
    const char* check;
    const char* found;
    const char* to_do;
};

void PrintTo(const Between& between, std::ostream* out) { *out << between.name; }

class SomethingBetween : public PublicUrl, public testing::WithParamInterface<Between> {};

TEST_P(SomethingBetween, IsNamed) {
    start(GetParam().proxy);

    expect_only_failure(probe(proxy_url()), GetParam().check, GetParam().found, GetParam().to_do);
}

INSTANTIATE_TEST_SUITE_P(
    OneByOne, SomethingBetween,
    testing::Values(
        Between{
            "a_proxy_that_drops_bodies_of_get",
            "location /get { internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; "
            "proxy_pass http://127.0.0.1:@PORT@/api/webhook/comfydeploy; }"
            "location / { if ($request_method = GET) { rewrite ^ /get last; } proxy_pass http://127.0.0.1:@PORT@; }",
            "GET", "the body of a GET is dropped on the way", "second and third tries"},
        Between{"a_proxy_that_drops_bodies_of_post",
                "location /post { internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; "
                "proxy_pass http://127.0.0.1:@PORT@/api/webhook/comfydeploy; }"
                "location / { if ($request_method = POST) { rewrite ^ /post last; } proxy_pass "
                "http://127.0.0.1:@PORT@; }",
                "POST", "the body of a POST is dropped on the way", "pass bodies on"},
        Between{"a_proxy_that_refuses_get",
                "location / { limit_except POST { deny all; } proxy_pass http://127.0.0.1:@PORT@; }", "GET",
                "a GET with a body is answered HTTP 403 from nginx", "go around it"},
        Between{"a_proxy_that_changes_bodies",
                "location /post { internal; proxy_set_body '{\"a\": 1}'; "
                "proxy_pass http://127.0.0.1:@PORT@/api/webhook/comfydeploy; }"
                "location / { if ($request_method = POST) { rewrite ^ /post last; } proxy_pass "
                "http://127.0.0.1:@PORT@; }",
                "POST", "the body of a POST arrives cut or changed: run_id is missing", "as they are"},
        Between{"a_proxy_without_its_upstream", "location / { proxy_pass http://127.0.0.1:1; }", "path",
                "HTTP 502 from nginx", "upstream"},
        Between{"a_denial", "location / { deny all; }", "path", "something before runledger refuses", "deny"},
        Between{"a_redirect", "location / { return 301 https://$host$request_uri; }", "redirect",
                "HTTP 301 to https://127.0.0.1/api/webhook/comfydeploy: every event arrives late", "register the URL"},
        Between{"a_redirect_of_303", "location / { return 303 /elsewhere; }", "redirect", "every event is lost",
                "register the URL"},
        Between{"another_servers_404", "location / { default_type text/html; return 404 '<h1>lost</h1>'; }", "path",
                "HTTP 404 from nginx", "correct the path"},
        Between{"another_servers_200", "location / { default_type application/json; return 200 '{\"ok\": true}'; }",
                "path", "events would count as delivered and be lost", "server_name"},
        Between{"a_small_limit", "location / { client_max_body_size 100k; proxy_pass http://127.0.0.1:@PORT@; }",
                "size", "a POST of 1 MiB is answered HTTP 413 from nginx", "client_max_body_size 8m"}),
    [](const testing::TestParamInfo<Between>& between) { return between.param.name; });

TEST_F(PublicUrl, PassesThroughAProxyThatChangesNothing) {
    start(fmt::format("location / {{ {} }}", pass_on));

    const CheckReport report = probe(proxy_url());

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
}

TEST_F(PublicUrl, WarnsOfNginxsOwnBodySize) {
    start(fmt::format("location / {{ client_max_body_size 1m; {} }}", pass_on));

    expect_warning(probe(proxy_url()), "size", "a POST of 8 MiB is answered HTTP 413 from nginx");
}

TEST_F(PublicUrl, WarnsOfAWebhookThatTakesEventsFromAnybody) {
    start("", {.token = "runledger_token  off;"});

    expect_warning(probe(edge_url()), "token", "takes events without a token");
}

TEST_F(PublicUrl, WarnsOfASlowAnswer) {
    // 150 bytes a second, for those without a token; an answer has some 400.
    start(fmt::format("location / {{ if ($arg_token = '') {{ set $limit_rate 150; }} {} }}", pass_on));

    expect_warning(probe(proxy_url()), "time", "the slowest answer took");
}

TEST_F(PublicUrl, RefusesWhatIsNoUrl) {
    start();

    const Finished finished = run("hooks.example.com", {"--token-file", token_file().string()});

    EXPECT_EQ(finished.status.code, 2);
    EXPECT_THAT(finished.output, HasSubstr("--public-url is no URL"));
}

}  // namespace
}  // namespace runledger::test
