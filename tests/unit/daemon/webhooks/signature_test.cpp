#include "daemon/webhooks/signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger::webhooks {
namespace {

using testing::HasSubstr;
using testing::Not;

// The vector that the libraries of Standard Webhooks are tested with.
constexpr std::string_view published_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr SignedContent published{
    .id = "msg_p5jXN8AQM9LWM0D4loKWxJek", .timestamp = 1614265330, .body = R"({"test": 2432232314})"};
constexpr std::string_view published_signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

std::vector<Secret> secrets(std::string_view text) {
    auto parsed = parse_secrets(text);
    if (const auto* fault = std::get_if<SecretFault>(&parsed)) {
        throw std::runtime_error(fault->what);
    }
    return std::get<std::vector<Secret>>(std::move(parsed));
}

std::string fault_of(std::string_view text) {
    const auto parsed = parse_secrets(text);
    const auto* fault = std::get_if<SecretFault>(&parsed);
    return fault == nullptr ? "accepted" : fault->what;
}

TEST(WebhookSignature, IsThePublishedOneOfThePublishedContent) {
    EXPECT_EQ(signature_of(published, secrets(published_secret)), published_signature);
}

TEST(WebhookSignature, DiffersIfAnythingThatIsSignedDoes) {
    const auto keys = secrets(published_secret);
    SignedContent id = published;
    id.id = "msg_other";
    SignedContent time = published;
    ++time.timestamp;
    SignedContent body = published;
    body.body = R"({"test": 2432232315})";

    for (const SignedContent& tampered : {id, time, body}) {
        EXPECT_NE(signature_of(tampered, keys), published_signature);
    }
}

TEST(WebhookSignature, IsMadeByEachSecretInTheirOrder) {
    const std::string other_secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";

    const std::string header = signature_of(published, secrets(other_secret + "\n" + std::string(published_secret)));

    EXPECT_EQ(header, signature_of(published, secrets(other_secret)) + " " + std::string(published_signature));
}

TEST(WebhookSecrets, AreOneOnEachLine) {
    const auto keys = secrets(
        "# The new one.\r\n  whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw \r\n\n"
        "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0");

    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0].reveal().size(), 24U);
    EXPECT_EQ(keys[1].reveal(), "secret-secret-secret-secret");
}

TEST(WebhookSecrets, NeedNoPadding) {
    EXPECT_EQ(secrets("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0eA").front().reveal(), "secret-secret-secret-secretx");
    EXPECT_EQ(secrets("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0eA==").front().reveal(),
              "secret-secret-secret-secretx");
}

TEST(WebhookSecrets, AreRefusedWithTheLineAndWithoutTheSecret) {
    const std::string good(published_secret);
    struct Case {
        std::string text;
        const char* fault;
    };
    for (const Case& row :
         {Case{"", "holds 0 secrets"}, Case{"# none\n", "holds 0 secrets"},
          Case{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "line 1 does not begin with whsec_"},
          Case{good + "\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa", "line 2 is not whsec_ and the base64 of 24 to 64"},
          Case{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La-aSw", "line 1 is not"},
          Case{"whsec_" + std::string(88, 'A'), "line 1 is not"}, Case{good + "\n" + good, "line 2 repeats"}}) {
        const std::string fault = fault_of(row.text);
        EXPECT_THAT(fault, HasSubstr(row.fault)) << row.text;
        EXPECT_THAT(fault, Not(HasSubstr("MfKQ"))) << row.text;
    }
}

}  // namespace
}  // namespace runledger::webhooks
