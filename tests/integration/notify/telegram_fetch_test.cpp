// Every way round the rules for what the daemon fetches by itself (docs/bot-api.md, "Links from strangers"), tried on a
// real TLS server.
#include "daemon/telegram/fetch.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/integration/notify/https_files.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::telegram {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

class Fetches : public testing::Test {
protected:
    Fetched fetched(const std::string& path) { return fetched_url(test::HttpsFiles::url(path)); }

    Fetched fetched_url(const std::string& url) {
        Fetcher fetcher(options_);
        fetcher.fetch({.ticket = 7, .url = url, .bytes_max = 100'000});
        std::vector<Fetcher::Ended> ended;
        test::eventually("the fetch ends", [&] {
            for (auto& each : fetcher.drive(milliseconds{50})) {
                ended.push_back(std::move(each));
            }
            return !ended.empty();
        });
        EXPECT_EQ(ended.front().ticket, 7);
        EXPECT_EQ(fetcher.in_flight(), 0U);
        return ended.front().result;
    }

    test::HttpsFiles files_;
    Fetcher::Options options_{files_.options()};
};

TEST_F(Fetches, TakeTheBytes) {
    const Fetched result = fetched("/a.png");

    EXPECT_EQ(result.verdict, FetchVerdict::fetched) << result.why;
    EXPECT_EQ(result.bytes, test::HttpsFiles::picture);
}

TEST_F(Fetches, FollowNoRedirect) {
    const Fetched result = fetched("/redirect");

    EXPECT_EQ(result.verdict, FetchVerdict::unreachable);
    EXPECT_THAT(result.why, HasSubstr("302"));
    EXPECT_EQ(files_.requests(), 1);
}

TEST_F(Fetches, ConnectToNoAddressThatIsNotOnTheInternet) {
    options_.is_allowed_address = nullptr;  // As the daemon has it.

    const Fetched result = fetched("/a.png");

    EXPECT_EQ(result.verdict, FetchVerdict::forbidden) << result.why;
    EXPECT_EQ(files_.requests(), 0);
}

TEST_F(Fetches, ConnectToNoPrivateAddressInAnIpv6Form) {
    options_.is_allowed_address = nullptr;
    for (const char* address : {"[::1]", "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]"}) {
        options_.resolved = {fmt::format("{}:{}:{}", test::HttpsFiles::host, files_.port(), address)};

        EXPECT_EQ(fetched("/a.png").verdict, FetchVerdict::forbidden) << address;
    }
    EXPECT_EQ(files_.requests(), 0);
}

// What a name server says may change between a check and the connection: here it is the connection that is checked.
TEST_F(Fetches, ConnectToNoOtherAddressThanTheOneThatWasChecked) {
    const test::HttpsFiles inside("127.0.0.2", files_.port());
    options_.resolved = {fmt::format("{}:{}:127.0.0.2,127.0.0.1", test::HttpsFiles::host, files_.port())};
    EXPECT_EQ(fetched("/a.png").verdict, FetchVerdict::fetched) << "the one that is allowed is taken";

    options_.resolved = {fmt::format("{}:{}:127.0.0.2", test::HttpsFiles::host, files_.port())};
    EXPECT_EQ(fetched("/a.png").verdict, FetchVerdict::forbidden) << "it has changed";

    EXPECT_EQ(inside.requests(), 0);
    EXPECT_EQ(files_.requests(), 1);
}

// An inner address beside a public one says nothing of the public one.
TEST_F(Fetches, CallANameForbiddenOnlyIfNoAddressOfItIsAllowed) {
    {
        const test::HttpsFiles gone;
        options_ = gone.options();
    }
    for (const char* addresses : {"127.0.0.2,127.0.0.1", "127.0.0.1,127.0.0.2"}) {
        options_.resolved = {fmt::format("{}:{}:{}", test::HttpsFiles::host, options_.port, addresses)};

        EXPECT_EQ(fetched("/a.png").verdict, FetchVerdict::unreachable) << addresses;
    }
}

TEST_F(Fetches, AskNoHostThatIsNotConfigured) {
    for (const char* url :
         {"https://evil.example/a.png", "https://notmedia.example/a.png", "http://files.media.example/a.png",
          "https://files.media.example@127.0.0.1/a.png", "https://127.0.0.1/a.png", "https://[::1]/a.png",
          "https://files.media.example:22/a.png", "file:///etc/passwd", "gopher://files.media.example/"}) {
        EXPECT_EQ(fetched_url(url).verdict, FetchVerdict::forbidden) << url;
    }
    EXPECT_EQ(files_.requests(), 0);
}

TEST_F(Fetches, UseNoProxyOfTheEnvironment) {
    ::setenv("https_proxy", "http://127.0.0.1:1", 1);  // NOLINT(concurrency-mt-unsafe): no other thread reads it.
    ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);    // NOLINT(concurrency-mt-unsafe)

    const Fetched result = fetched("/a.png");

    ::unsetenv("https_proxy");  // NOLINT(concurrency-mt-unsafe)
    ::unsetenv("ALL_PROXY");    // NOLINT(concurrency-mt-unsafe)
    EXPECT_EQ(result.verdict, FetchVerdict::fetched) << result.why;
}

TEST_F(Fetches, TakeNothingHugeAndNothingEndless) {
    for (const char* path : {"/huge", "/endless"}) {
        const auto begun = steady_clock::now();
        const Fetched result = fetched(path);

        EXPECT_EQ(result.verdict, FetchVerdict::too_large) << path << ": " << result.why;
        EXPECT_TRUE(result.bytes.empty());
        EXPECT_LT(steady_clock::now() - begun, seconds{4}) << path;
    }
}

TEST_F(Fetches, WaitNoLongerThanTheyMay) {
    options_.timeout = milliseconds{300};
    const auto begun = steady_clock::now();

    EXPECT_EQ(fetched("/silent").verdict, FetchVerdict::unreachable);

    EXPECT_LT(steady_clock::now() - begun, seconds{3} * test::patience_factor);
}

TEST_F(Fetches, BelieveNoCertificateOfAnyoneElse) {
    options_.ca_file = "/etc/ssl/certs/ca-certificates.crt";

    EXPECT_EQ(fetched("/a.png").verdict, FetchVerdict::unreachable);
    EXPECT_EQ(files_.requests(), 0);
}

TEST_F(Fetches, KnowWhatIsGone) {
    EXPECT_EQ(fetched("/gone").verdict, FetchVerdict::gone);
    EXPECT_EQ(fetched("/refused").verdict, FetchVerdict::gone);
    EXPECT_EQ(fetched("/broken").verdict, FetchVerdict::unreachable);
    EXPECT_THAT(fetched("/gone?X-Amz-Signature=sesame").why, Not(HasSubstr("sesame")));
}

TEST_F(Fetches, EndWhenTheyAreStopped) {
    Fetcher fetcher(options_);
    fetcher.fetch({.ticket = 1, .url = test::HttpsFiles::url("/silent"), .bytes_max = 1000});
    test::eventually("it is asked", [&] { return fetcher.drive(milliseconds{10}).empty() && files_.requests() == 1; });

    fetcher.abort_all();

    EXPECT_EQ(fetcher.in_flight(), 0U);
}

}  // namespace
}  // namespace runledger::telegram
