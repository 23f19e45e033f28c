// Webhooks to the URL that a generation's metadata names: only to hosts that the operator allows, and never inwards.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <stdexcept>
#include <thread>

#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Made once for the program.
WebhookReceiver::Tls certificate() {
    static const TempFolder folder;
    const WebhookReceiver::Tls tls{.certificate = folder.path() / "certificate.pem", .key = folder.path() / "key.pem"};
    static const bool is_made = [&] {
        const Finished made =
            run_to_end({.argv = {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=a.hooks.example",
                                 "-addext", "subjectAltName=DNS:*.hooks.example", "-keyout", tls.key.string(), "-out",
                                 tls.certificate.string()},
                        .drop_privileges = false},
                       folder);
        if (!made.status.clean()) {
            throw std::runtime_error("openssl makes no certificate: " + made.output);
        }
        return true;
    }();
    (void)is_made;
    return tls;
}

class WebhookMetadataUrl : public WebhookFixture {
protected:
    void SetUp() override {
        WebhookFixture::SetUp();
        settings_.host_suffixes = {"hooks.example"};
        sender_tuning_.ca_file = certificate().certificate.string();
        sender_tuning_.port = one_runs_.port();
        for (const char* host : {"a.hooks.example", "b.hooks.example"}) {
            sender_tuning_.resolved.push_back(fmt::format("{}:{}:127.0.0.1", host, one_runs_.port()));
        }
        sender_tuning_.is_allowed_address = [](const sockaddr&, socklen_t) { return true; };
    }

    std::string settle_with_url(const std::string& url) { return settle(fmt::format(R"(, "webhookUrl": "{}")", url)); }
    [[nodiscard]] std::string error_of(const std::string& run) {
        return value(
            fmt::format("SELECT coalesce(max(state || ': ' || last_error), 'none') FROM "
                        "runledger.notifications WHERE channel = 'webhook' AND webhook_host <> '[webhooks] url' "
                        "AND run_id = '{}' AND last_error IS NOT NULL",
                        run));
    }
    // What its row says when it waits for another try; a try may be under way at any other moment.
    [[nodiscard]] std::string error_when_put_off(const std::string& run) {
        std::string error;
        eventually("it is put off", [&] {
            error = error_of(run);
            return !error.starts_with("leased: ") && error != "none";
        });
        return error;
    }

    WebhookReceiver one_runs_{certificate()};
};

TEST_F(WebhookMetadataUrl, GetsItsRunsEventsBesideTheConfiguredOne) {
    start_sender();
    const std::string with = settle_with_url("https://a.hooks.example/of/one?x=1");
    (void)settle();
    all_are_delivered();

    ASSERT_THAT(one_runs_.accepted(), SizeIs(1));
    EXPECT_EQ(one_runs_.accepted()[0].path, "/of/one");
    EXPECT_TRUE(is_signed_with(one_runs_.accepted()[0], secret_text));
    EXPECT_THAT(one_runs_.accepted()[0].body, HasSubstr(with));
    EXPECT_THAT(receiver_.accepted(), SizeIs(2));
    EXPECT_NE(one_runs_.accepted()[0].id, receiver_.accepted()[0].id);
}

TEST_F(WebhookMetadataUrl, GetsThemWithoutAConfiguredOne) {
    settings_.url.clear();
    settings_.url_is_inner = false;
    start_sender();
    (void)settle_with_url("https://a.hooks.example/x");
    (void)settle();
    all_are_delivered();

    EXPECT_THAT(one_runs_.accepted(), SizeIs(1));
    EXPECT_THAT(receiver_.received(), IsEmpty());
}

// It has all the attempts that it may have for as long as it likes. Others are leased and stored together all the same.
TEST_F(WebhookMetadataUrl, ThatIsSlowCostsNoOtherItsGathering) {
    settings_.url.clear();
    settings_.url_is_inner = false;
    settings_.concurrency = 2;
    start_sender();
    eventually("webhooks are on", [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == "1"; });
    stop_sender();
    for (int i = 0; i < 2; ++i) {
        one_runs_.script({.answer = {.delay = seconds{30}},
                          .times = -1,
                          .mention = '"' + settle_with_url("https://a.hooks.example/slow") + '"'});
    }
    (void)settle_with_url("https://b.hooks.example/fast");
    sender_tuning_.poll_interval = std::chrono::hours{1};
    sender_tuning_.gather_interval = std::chrono::hours{1};
    sender_tuning_.stop_bound = std::chrono::milliseconds{400};
    start_sender();
    eventually("the other is accepted", [&] { return sent().delivered == 1; });

    std::this_thread::sleep_for(std::chrono::milliseconds{200});
    EXPECT_EQ(count_webhooks("leased"), 3);
}

TEST_F(WebhookMetadataUrl, IsSkippedWithTheReasonWhereItMayNotLead) {
    start_sender();
    for (const char* url : {"http://a.hooks.example/x",
                            "https://hooks.example.evil/x",
                            "https://nothooks.example/x",
                            "https://evil.example/a.hooks.example",
                            "https://a.hooks.example@evil.example/x",
                            "https://a.hooks.example:8443/x",
                            "https://127.0.0.1/x",
                            "https://127.1/x",
                            "https://2130706433/x",
                            "https://0x7f000001/x",
                            "https://0177.0.0.1/x",
                            "https://[::1]/x",
                            "https://[::ffff:127.0.0.1]/x",
                            "https://169.254.169.254/latest",
                            "https://localhost/x",
                            "https://a.hooks.example./x",
                            "https://a.hooks.example\\u000d\\u000aX-Injected: 1/x",
                            "file:///etc/passwd",
                            "",
                            "nonsense"}) {
        EXPECT_THAT(error_of(settle_with_url(url)), HasSubstr("skipped: metadata.webhookUrl names no https host"))
            << url;
    }
    EXPECT_THAT(error_of(settle_with_url("https://a.hooks.example/" + std::string(3000, 'x'))),
                HasSubstr("2000 bytes"));
    EXPECT_THAT(error_of(settle(R"(, "webhookUrl": {"url": "https://a.hooks.example"})")), HasSubstr("is no string"));
    EXPECT_EQ(error_of(settle(R"(, "webhookUrl": null)")), "none");
    EXPECT_THAT(one_runs_.received(), IsEmpty());
}

// Whoever writes metadata writes the URL: if it is none, that is not its host's fault.
TEST_F(WebhookMetadataUrl, ThatCannotBeCalledCostsItsHostNothing) {
    settings_.breaker_failures = 1;
    start_sender();
    for (const char* url :
         {"https://a.hooks.example/a b", "https://a.hooks.example/x?q=a b", "https://a.hooks.example/#a b",
          "https://a.hooks.example/a\\tb", "https://a.hooks.example/a\\u0001b", "https://a.hooks.example/a\\u007fb",
          "https://a.hooks.example/x ", "https://a.hooks.example/x\\n"}) {
        EXPECT_THAT(error_of(settle_with_url(url)), HasSubstr("skipped: metadata.webhookUrl names no https host"))
            << url;
    }
    // Rows that were written by another rule: the daemon judges the URL again.
    for (const char* url : {"https://a.hooks.example/a b", "https://a.hooks.example/a\x01", "https://[a.hooks.example/",
                            "http://a.hooks.example/x"}) {
        execute(
            fmt::format("INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, "
                        "webhook_id, webhook_host, webhook_url, payload) SELECT generation_id, run_id, "
                        "'settlement', md5('{0}'), 'webhook', md5('{0}'), 'a.hooks.example', '{0}', '{{}}' FROM "
                        "runledger.settlements ORDER BY id LIMIT 1",
                        url));
    }
    eventually("they are given up", [&] { return count_webhooks("dead") == 4; });

    EXPECT_EQ(sent().forbidden, 4U);
    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_hosts"), "0");
    const std::string good = settle_with_url("https://a.hooks.example/x");
    eventually("a good one is told", [&] { return one_runs_.accepted_with(good).size() == 1; });
}

TEST_F(WebhookMetadataUrl, IsNotCalledWhileItsNameLeadsInwards) {
    sender_tuning_.is_allowed_address = {};  // As shipped: the name leads to loopback.
    start_sender();
    const std::string run = settle_with_url("https://a.hooks.example/x");
    eventually("the configured one is told", [&] { return told_of(run).size() == 1; });
    eventually("it is put off, and again", [&] { return sent().retried > 1; });

    EXPECT_THAT(error_of(run), HasSubstr("metadata.webhookUrl leads to an address that is not on the open Internet"));
    EXPECT_EQ(sent().forbidden, 0U);
    EXPECT_THAT(one_runs_.received(), IsEmpty());
    stop_sender();
    // A name server that is right again.
    sender_tuning_.is_allowed_address = [](const sockaddr&, socklen_t) { return true; };
    start_sender();
    all_are_delivered();
    EXPECT_THAT(one_runs_.accepted_with(run), SizeIs(1));
}

TEST_F(WebhookMetadataUrl, WithAnInnerAddressBesideItsPublicOneIsTriedAtThePublicOne) {
    sender_tuning_.resolved = {fmt::format("a.hooks.example:{}:127.0.0.2,127.0.0.1", one_runs_.port())};
    sender_tuning_.is_allowed_address = [](const sockaddr& address, socklen_t) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        return v4.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    };
    one_runs_.goes_away();
    start_sender();
    const std::string run = settle_with_url("https://a.hooks.example/x");

    EXPECT_THAT(error_when_put_off(run), HasSubstr("pending: no answer: "));
    one_runs_.comes_back();
    all_are_delivered();
    EXPECT_THAT(one_runs_.accepted_with(run), SizeIs(1));
}

TEST_F(WebhookMetadataUrl, IsJudgedByTheSuffixesInUseWhenItIsCalled) {
    start_sender();
    (void)settle();
    all_are_delivered();
    stop_sender();
    const std::string run = settle_with_url("https://a.hooks.example/x");
    settings_.host_suffixes = {"other.example"};
    start_sender();

    EXPECT_THAT(error_when_put_off(run),
                HasSubstr("pending: metadata.webhookUrl names no https host of [webhooks] host_suffixes"));
    EXPECT_THAT(one_runs_.received(), IsEmpty());
    settings_.host_suffixes = {"hooks.example"};  // The operator takes the mistake back.
    sender_->use(settings_);
    all_are_delivered();
    EXPECT_THAT(one_runs_.accepted_with(run), SizeIs(1));
}

TEST_F(WebhookMetadataUrl, ThatIsDeadOrSlowCostsNoOtherReceiverAnything) {
    settings_.timeout = seconds{60};
    one_runs_.script({.answer = {.delay = seconds{60}}, .times = -1});
    start_sender();
    for (int i = 0; i < 30; ++i) {
        (void)settle_with_url("https://a.hooks.example/x");
    }
    eventually("the configured one is told all", [&] { return receiver_.accepted().size() == 30; });

    EXPECT_LE(one_runs_.under_way_most(), settings_.concurrency);
}

}  // namespace
}  // namespace runledger::test
