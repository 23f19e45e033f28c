// Calls of the Bot API against servers that do what no Bot API should.
#include "daemon/telegram/bot_api.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"

namespace runledger::telegram {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr const char* token = "100:AbC-dEf_123";

class BotApiCalls : public testing::Test {
protected:
    BotApiCalls() : port_(test::free_port()) {}

    ~BotApiCalls() override {
        if (thread_.joinable()) {
            server_.stop();
            thread_.join();
        }
    }

    void answer(const httplib::Server::Handler& handler) {
        server_.Post(".*", handler);
        ASSERT_TRUE(server_.bind_to_port("127.0.0.1", port_));
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        test::eventually("the server listens", [this] { return server_.is_running(); });
    }

    [[nodiscard]] BotApi::Options options() const {
        return {.api_url = fmt::format("http://127.0.0.1:{}/", port_), .token = Secret(token), .timeout = seconds{5}};
    }

    static CallResult call(BotApi& api, std::string body = "{}") {
        api.call(1, "sendMessage", std::move(body));
        std::vector<BotApi::Ended> ended;
        test::eventually("the call ends", [&] {
            for (auto& each : api.drive(milliseconds{50})) {
                ended.push_back(std::move(each));
            }
            return !ended.empty();
        });
        EXPECT_EQ(ended.size(), 1U);
        EXPECT_EQ(ended.front().ticket, 1);
        EXPECT_EQ(api.in_flight(), 0U);
        return ended.front().result;
    }

    std::uint16_t port_;
    httplib::Server server_;
    std::thread thread_;
};

TEST_F(BotApiCalls, PostJsonToTheTokensPath) {
    httplib::Request seen;
    answer([&](const httplib::Request& request, httplib::Response& response) {
        seen = request;
        response.set_content(R"({"ok":true})", "application/json");
    });
    BotApi api(options());

    const auto result = call(api, R"({"chat_id":1})");

    EXPECT_EQ(std::get<HttpAnswer>(result).status, 200);
    EXPECT_EQ(seen.path, fmt::format("/bot{}/sendMessage", token));
    EXPECT_EQ(seen.body, R"({"chat_id":1})");
    EXPECT_EQ(seen.get_header_value("Content-Type"), "application/json");
    EXPECT_EQ(seen.get_header_value("Content-Length"), "13");
    EXPECT_EQ(seen.get_header_value("User-Agent"), "runledger/0.1");
    EXPECT_FALSE(seen.has_header("Expect"));
}

TEST_F(BotApiCalls, LetNoTokenOutThatAServerEchoes) {
    answer([&](const httplib::Request& request, httplib::Response& response) {
        response.status = 400;
        response.set_content(
            fmt::format(R"({{"ok":false,"error_code":400,"description":"no {} or 100%3AAbC-dEf_123"}})", request.path),
            "application/json");
    });
    BotApi api(options());

    const auto result = call(api);

    EXPECT_THAT(std::get<HttpAnswer>(result).body, Not(HasSubstr("AbC-dEf_123")));
    EXPECT_THAT(classify(result, false).description, HasSubstr("/bot100:<token>/sendMessage"));
}

TEST_F(BotApiCalls, MaskNoWordThatAShortTokenIsAPartOf) {
    answer([&](const httplib::Request& request, httplib::Response& response) {
        response.status = 429;
        response.set_content(
            fmt::format(R"({{"ok":false,"error_code":429,"description":"Too Many Requests to {} 1%3Aany"}})",
                        request.path),
            "application/json");
    });
    BotApi::Options of_short_token = options();
    of_short_token.token = Secret("1:any");
    BotApi api(of_short_token);

    const auto result = call(api);

    EXPECT_EQ(classify(result, false).description, "429 Too Many Requests to /bot1:<token>/sendMessage 1%3A<token>");
}

TEST_F(BotApiCalls, FollowNoRedirect) {
    int calls = 0;
    answer([&](const httplib::Request&, httplib::Response& response) {
        ++calls;
        response.set_redirect("/elsewhere");
    });
    BotApi api(options());

    EXPECT_EQ(std::get<HttpAnswer>(call(api)).status, 302);
    EXPECT_EQ(calls, 1);
}

TEST_F(BotApiCalls, TakeNoEndlessAnswer) {
    answer([&](const httplib::Request&, httplib::Response& response) {
        response.set_chunked_content_provider("application/json", [](std::size_t, httplib::DataSink& sink) {
            const std::string part(64U * 1024, ' ');
            return sink.write(part.data(), part.size());
        });
    });
    BotApi api(options());

    EXPECT_TRUE(std::get<Broken>(call(api)).may_have_arrived);
}

TEST_F(BotApiCalls, KnowThatARefusedConnectionTookNothing) {
    BotApi api(options());

    EXPECT_FALSE(std::get<Broken>(call(api)).may_have_arrived);
}

TEST_F(BotApiCalls, EndAnAddressThatIsNone) {
    auto wrong = options();
    wrong.api_url = "gopher://127.0.0.1";
    BotApi api(wrong);

    const auto result = call(api);

    EXPECT_FALSE(std::get<Broken>(result).may_have_arrived);
    EXPECT_THAT(std::get<Broken>(result).why, Not(HasSubstr("AbC-dEf_123")));
}

TEST_F(BotApiCalls, TellHowLongTheHeaderSaysToWait) {
    answer([&](const httplib::Request&, httplib::Response& response) {
        response.status = 429;
        response.set_header("Retry-After", "17");
    });
    BotApi api(options());

    EXPECT_EQ(std::get<HttpAnswer>(call(api)).retry_after, seconds{17});
}

TEST_F(BotApiCalls, CantBeBentByAnOddToken) {
    std::string path;
    answer([&](const httplib::Request& request, httplib::Response& response) {
        path = request.target;
        response.set_content(R"({"ok":true})", "application/json");
    });
    auto odd = options();
    odd.token = Secret("100:a/../b?c#d e");
    BotApi api(odd);

    (void)call(api);

    EXPECT_EQ(path, "/bot100:a%2F%2E%2E%2Fb%3Fc%23d%20e/sendMessage");
}

TEST_F(BotApiCalls, AreToldApartWhenTheyAreBrokenOff) {
    std::atomic<int> arrived{0};
    std::atomic<bool> over{false};
    answer([&](const httplib::Request&, httplib::Response&) {
        ++arrived;
        while (!over) {
            std::this_thread::yield();
        }
    });
    BotApi api(options());
    api.call(1, "sendMessage", "{}");
    test::eventually("the call arrives", [&] { return api.drive(milliseconds{10}).empty() && arrived == 1; });
    api.call(2, "sendMessage", "{}");  // Never driven: nothing of it has left.

    const auto ended = api.abort_all();
    over = true;

    ASSERT_EQ(ended.size(), 2U);
    for (const auto& each : ended) {
        EXPECT_EQ(std::get<Broken>(each.result).may_have_arrived, each.ticket == 1);
    }
    EXPECT_EQ(api.in_flight(), 0U);
}

}  // namespace
}  // namespace runledger::telegram
