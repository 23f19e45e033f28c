// What each answer of a receiver means: a table of them all.
#include "daemon/webhooks/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger::webhooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr Policy policy{.retry_delay_min = seconds{1}, .retry_delay_max = seconds{100}, .retry_after_max = seconds{60}};

HttpResponse answered(long status, std::optional<seconds> retry_after = {}, HttpEnd end = HttpEnd::complete) {
    return {.end = end, .status = status, .body = "a\xff\n body", .retry_after = retry_after, .why = "why"};
}

struct Case {
    const char* name;
    HttpResponse response;
    Verdict verdict;
    milliseconds delay{0};  // At the first attempt, with a chance of 1.
    bool host_fails{false};
    const char* error{""};
};

class WebhookAnswers : public testing::TestWithParam<Case> {};

TEST_P(WebhookAnswers, Mean) {
    const Decision decision = decide(GetParam().response, {.attempts = 1}, policy, 1.0);

    EXPECT_EQ(decision.verdict, GetParam().verdict);
    EXPECT_EQ(decision.delay, GetParam().delay);
    EXPECT_EQ(decision.host_fails, GetParam().host_fails);
    EXPECT_THAT(decision.error, HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, WebhookAnswers,
    testing::Values(
        Case{"ok", answered(200), Verdict::delivered}, Case{"no_content", answered(204), Verdict::delivered},
        Case{"ok_with_more_than_is_read", answered(200, {}, HttpEnd::too_large), Verdict::delivered},
        Case{"ok_and_then_silence", answered(202, {}, HttpEnd::failed), Verdict::delivered},
        Case{"redirect", answered(302), Verdict::later, seconds{1}, true, "HTTP 302, and redirects are not followed"},
        Case{"bad_request", answered(400), Verdict::later, seconds{1}, false, "HTTP 400: a body"},
        Case{"unauthorized", answered(401), Verdict::later, seconds{1}, false, "HTTP 401"},
        Case{"not_found", answered(404), Verdict::later, seconds{1}, false, "HTTP 404"},
        Case{"gone", answered(410), Verdict::gone, {}, false, "HTTP 410"},
        Case{"too_many", answered(429), Verdict::later, seconds{1}, true, "HTTP 429"},
        Case{"too_many_for_a_while", answered(429, seconds{7}), Verdict::held, seconds{8}, false, "HTTP 429"},
        Case{"too_many_for_ages", answered(429, seconds{9999}), Verdict::held, seconds{61}, false, "HTTP 429"},
        Case{"server_error", answered(500, seconds{7}), Verdict::later, seconds{1}, true, "HTTP 500"},
        Case{"unavailable_for_a_while", answered(503, seconds{7}), Verdict::held, seconds{8}, false, "HTTP 503"},
        Case{"unreached", answered(0, {}, HttpEnd::failed), Verdict::later, seconds{1}, true, "no answer: why"},
        Case{"not_begun", answered(0, {}, HttpEnd::not_begun), Verdict::later, seconds{1}, false, "not sent: why"},
        Case{"our_url_is_none", answered(0, {}, HttpEnd::bad_url), Verdict::later, seconds{1}, false, "not sent: why"},
        Case{"stopped", answered(0, {}, HttpEnd::aborted), Verdict::aborted},
        Case{"our_url_is_inner", answered(0, {}, HttpEnd::forbidden_address), Verdict::later, seconds{1}, true,
             "url_is_inner = true allows it"}),
    [](const auto& row) { return row.param.name; });

// A name server's answer passes; a URL that is none stays none.
TEST(WebhookPolicy, TriesAUrlOfMetadataAgainThatLeadsInwards) {
    const Decision decision = decide(answered(0, {}, HttpEnd::forbidden_address), {.url_is_ours = false}, policy, 1.0);

    EXPECT_EQ(decision.verdict, Verdict::later);
    EXPECT_TRUE(decision.host_fails);
    EXPECT_THAT(decision.error, HasSubstr("metadata.webhookUrl leads to an address that is not on the open Internet"));
}

TEST(WebhookPolicy, GivesUpAUrlOfMetadataThatIsNone) {
    const Decision decision = decide(answered(0, {}, HttpEnd::bad_url), {.url_is_ours = false}, policy, 1.0);

    EXPECT_EQ(decision.verdict, Verdict::forbidden);
    EXPECT_FALSE(decision.host_fails);
}

// Later progress comes instead. Only what the receiver asks to have later is sent later.
TEST(WebhookPolicy, DropsProgressThatFails) {
    const auto decision_on = [](const HttpResponse& response) {
        return decide(response, {.attempts = 1, .is_progress = true}, policy, 1.0);
    };

    const Decision failed = decision_on(answered(500));
    EXPECT_EQ(failed.verdict, Verdict::dropped);
    EXPECT_EQ(failed.delay, milliseconds{0});
    EXPECT_TRUE(failed.host_fails);
    EXPECT_THAT(failed.error, HasSubstr("HTTP 500"));
    const Decision stopped = decision_on(answered(0, {}, HttpEnd::aborted));
    EXPECT_EQ(stopped.verdict, Verdict::dropped);
    EXPECT_EQ(stopped.error, "the daemon was stopped while it was sent");
    EXPECT_EQ(decision_on(answered(200)).verdict, Verdict::delivered);
    EXPECT_EQ(decision_on(answered(503, seconds{7})).verdict, Verdict::held);
}

TEST(WebhookPolicy, DoublesTheDelayUpToItsBoundWithJitter) {
    const auto delay = [](unsigned attempts, double chance) {
        return decide(answered(500), {.attempts = attempts}, policy, chance).delay;
    };

    EXPECT_EQ(delay(1, 1.0), seconds{1});
    EXPECT_EQ(delay(3, 1.0), seconds{4});
    EXPECT_EQ(delay(7, 1.0), seconds{64});
    EXPECT_EQ(delay(8, 1.0), seconds{100});
    EXPECT_EQ(delay(1'000'000, 1.0), seconds{100});
    EXPECT_EQ(delay(3, 0.0), seconds{2});
}

TEST(WebhookPolicy, KeepsOneLineOfVisibleAsciiOfAnAnswer) {
    HttpResponse response = answered(500);
    response.body = "<p>\x01\x02 caf\xc3\xa9</p>\r\n" + std::string(5000, 'x');

    const std::string error = decide(response, {}, policy, 1.0).error;

    EXPECT_TRUE(error.starts_with("HTTP 500: <p> caf </p> xxx")) << error;
    EXPECT_LE(error.size(), answer_bytes_max + 10);
}

}  // namespace
}  // namespace runledger::webhooks
