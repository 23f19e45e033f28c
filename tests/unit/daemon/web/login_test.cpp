#include "daemon/web/login.hpp"

#include <gmock/gmock.h>

#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::web {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;
using testing::HasSubstr;
using testing::Not;

class PageLogin : public testing::Test {
protected:
    [[nodiscard]] static Request with(std::string name, std::string value) {
        Request request{.method = "GET", .path = "/"};
        request.headers.emplace(std::move(name), std::move(value));
        return request;
    }
    // The cookie as a browser sends it back.
    [[nodiscard]] std::string cookie(const Request& request = {}) {
        const std::string set = login_.cookie(request);
        return set.substr(0, set.find(';'));
    }
    void write_token(const std::string& token) { (void)folder_.write_secret("token", token); }

    test::TempFolder folder_;
    system_clock::time_point now_{hours{24 * 365 * 50}};
    std::atomic<std::uint64_t> refused_{0};
    std::string file_{folder_.write_secret("token", "a-token-of-some-length").string()};
    Login login_{{.token_file = file_, .token = Secret("a-token-of-some-length"), .now = [this] { return now_; }},
                 refused_};
};

TEST_F(PageLogin, LetsInByHeader) {
    EXPECT_TRUE(login_.lets_in(with("authorization", "Bearer a-token-of-some-length")));
    EXPECT_EQ(refused_, 0);
}

TEST_F(PageLogin, RefusesAndCountsEveryOtherToken) {
    for (const std::string token : {"", "a", "a-token-of-some-lengtH", "a-token-of-some-length "}) {
        EXPECT_FALSE(login_.lets_in(with("authorization", "Bearer " + token))) << token;
    }
    EXPECT_FALSE(login_.is_the_token(std::string("a-token-of-some-length\0", 23)));
    EXPECT_EQ(refused_, 5);
    EXPECT_FALSE(login_.lets_in(with("authorization", "Basic a-token-of-some-length")));
    EXPECT_FALSE(login_.lets_in({}));
}

TEST_F(PageLogin, LetsInByItsCookieWhichIsNotTheToken) {
    const std::string given = cookie();

    EXPECT_THAT(given, Not(HasSubstr("a-token")));
    EXPECT_TRUE(login_.lets_in(with("cookie", given)));
    EXPECT_TRUE(login_.lets_in(with("cookie", "other=1; " + given + "; more=2")));
}

TEST_F(PageLogin, RefusesForgedCookies) {
    const std::string given = cookie();
    const std::string name = std::string(Login::cookie_name) + "=";
    std::string later = given;
    later.insert(name.size(), "9");  // Another expiry under the same signature.
    for (const std::string& forged :
         {later, given + "0", name, name + ".", name + "99999999999.", name + "-1." + std::string(64, '0'),
          name + "99999999999999999999999.aa", "x" + given}) {
        EXPECT_FALSE(login_.lets_in(with("cookie", forged))) << forged;
    }
}

TEST_F(PageLogin, ForgetsACookieAfterAWeek) {
    const std::string given = cookie();
    now_ += hours{24 * 7} - std::chrono::seconds{1};
    EXPECT_TRUE(login_.lets_in(with("cookie", given)));

    now_ += std::chrono::seconds{2};

    EXPECT_FALSE(login_.lets_in(with("cookie", given)));
}

TEST_F(PageLogin, TakesARotatedTokenAndForgetsTheCookiesOfTheOldOne) {
    const std::string given = cookie();
    write_token("another-token-of-some-length");

    test::eventually("the new token counts",
                     [&] { return login_.lets_in(with("authorization", "Bearer another-token-of-some-length")); });

    EXPECT_FALSE(login_.lets_in(with("cookie", given)));
    EXPECT_FALSE(login_.is_the_token("a-token-of-some-length"));
}

TEST_F(PageLogin, SetsACookieThatNoScriptAndNoOtherSiteCanUse) {
    EXPECT_THAT(login_.cookie({}), testing::AllOf(HasSubstr("; HttpOnly"), HasSubstr("; SameSite=Strict"),
                                                  HasSubstr("; Path=/"), Not(HasSubstr("Secure"))));
    EXPECT_THAT(login_.cookie(with("x-forwarded-proto", "https")), HasSubstr("; Secure"));
}

}  // namespace
}  // namespace runledger::web
