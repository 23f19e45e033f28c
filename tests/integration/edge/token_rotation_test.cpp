// Tokens in use: who is counted under which name, and the rotation of a token under load.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

constexpr std::string_view old_line = "studio-2025 oldoldoldoldoldoldold\n";
constexpr std::string_view new_line = "studio-2026 newnewnewnewnewnewnew\n";
constexpr std::string_view old_secret = "oldoldoldoldoldoldold";
constexpr std::string_view new_secret = "newnewnewnewnewnewnew";

class TokenRotation : public StatusFixture {
protected:
    void write_tokens(std::string_view text) { static_cast<void>(folder().write_secret("tokens", text)); }

    void start(int workers = 1) {
        start_nginx({.workers = workers, .token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;"});
    }

    [[nodiscard]] long post_with(std::string_view secret, std::string_view body) {
        return post(body, fmt::format("?token={}", secret)).status;
    }

    [[nodiscard]] static std::string accepted(std::string_view name) {
        return fmt::format(R"(runledger_edge_token_accepted_total{{token="{}"}})", name);
    }
    [[nodiscard]] static std::string last_use(std::string_view name) {
        return fmt::format(R"(runledger_edge_token_last_use_seconds{{token="{}"}})", name);
    }
};

// One that sends with one token for as long as it is told to; safe to read at any time.
class Sender {
public:
    Sender(std::string url, std::string name)
        : url_{std::move(url)}, name_{std::move(name)}, thread_{[this](const std::stop_token& stop) { send(stop); }} {}

    void stop() {
        thread_.request_stop();
        thread_.join();
    }
    [[nodiscard]] int refused() const { return refused_; }
    // What was neither answered 200 nor 401.
    [[nodiscard]] std::string oddity() const {
        const std::lock_guard lock{mutex_};
        return oddity_;
    }
    [[nodiscard]] std::vector<std::string> answered() const {
        const std::lock_guard lock{mutex_};
        return answered_;
    }

private:
    void send(const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); ++i) {
            const std::string body = fmt::format(R"({{"run_id": "{}-{}", "status": "running"}})", name_, i);
            const HttpAnswer answer = http_post(url_, body);
            const std::lock_guard lock{mutex_};
            if (answer.status == 200) {
                answered_.push_back(body);
            } else if (answer.status == 401) {
                refused_ += 1;
            } else {
                oddity_ += fmt::format("{} {}\n", answer.status, answer.error);
            }
        }
    }

    std::string url_;
    std::string name_;
    mutable std::mutex mutex_;
    std::vector<std::string> answered_;
    std::string oddity_;
    std::atomic<int> refused_{0};
    std::jthread thread_;
};

TEST_F(TokenRotation, LosesNoEventUnderLoadAndShowsWhenTheOldTokenIsNoLongerUsed) {
    write_tokens(fmt::format("{}{}", old_line, new_line));
    start_daemon();
    start(2);
    const auto url = [this](std::string_view secret) {
        return nginx().url(fmt::format("{}?token={}", endpoint, secret));
    };
    Sender old_one{url(old_secret), "old-1"};
    Sender old_two{url(old_secret), "old-2"};
    Sender new_one{url(new_secret), "new-1"};
    Sender new_two{url(new_secret), "new-2"};
    eventually("both tokens are in use", [&] {
        const auto all = samples();
        return all.at(accepted("studio-2025")) > 20 && all.at(accepted("studio-2026")) > 20;
    });
    EXPECT_EQ(old_one.refused() + old_two.refused(), 0);

    write_tokens(new_line);
    nginx().reload();

    eventually("the old token is refused", [&] { return old_one.refused() > 5 && old_two.refused() > 5; });
    old_one.stop();
    old_two.stop();
    const double old_accepted = sample(accepted("studio-2025"));
    const double old_used = sample(last_use("studio-2025"));
    eventually("the new token is used later than the old one",
               [&] { return sample(last_use("studio-2026")) > old_used; });
    new_one.stop();
    new_two.stop();

    std::vector<std::string> answered;
    for (const Sender* sender : {&old_one, &old_two, &new_one, &new_two}) {
        EXPECT_EQ(sender->oddity(), "");
        const auto bodies = sender->answered();
        answered.insert(answered.end(), bodies.begin(), bodies.end());
    }
    EXPECT_EQ(new_one.refused() + new_two.refused(), 0);
    EXPECT_EQ(old_accepted, static_cast<double>(old_one.answered().size() + old_two.answered().size()));
    EXPECT_EQ(sample(accepted("studio-2025")), old_accepted) << "it stays, and does not move";
    EXPECT_EQ(sample(last_use("studio-2025")), old_used);
    wait_for_sample(accepted("studio-2026"),
                    static_cast<double>(new_one.answered().size() + new_two.answered().size()));
    wait_for_sample(requests("refused_token"), old_one.refused() + old_two.refused());
    expect_delivered(answered);
}

TEST_F(TokenRotation, ShowsAConfiguredTokenBeforeItsFirstUse) {
    write_tokens(fmt::format("{}{}", old_line, new_line));
    start_daemon();
    start();
    EXPECT_EQ(sample(accepted("studio-2025")), 0);
    EXPECT_EQ(sample(last_use("studio-2025")), 0);
    const auto before = std::time(nullptr);

    EXPECT_EQ(post_with(new_secret, fresh_event()), 200);

    wait_for_sample(accepted("studio-2026"), 1);
    EXPECT_GE(sample(last_use("studio-2026")), static_cast<double>(before) - 1) << "nginx's clock is a turn behind";
    EXPECT_LE(sample(last_use("studio-2026")), static_cast<double>(std::time(nullptr)));
    EXPECT_EQ(sample(accepted("studio-2025")), 0);
}

TEST_F(TokenRotation, CountsARefusedEventAsAUseAndNotAsAccepted) {
    write_tokens(new_line);
    start_daemon();
    start();

    EXPECT_EQ(post_with(new_secret, "not an event"), 400);
    EXPECT_EQ(post_with("wrong", fresh_event()), 401);

    wait_for_sample(requests("refused_token"), 1);
    EXPECT_EQ(sample(accepted("studio-2026")), 0);
    EXPECT_GT(sample(last_use("studio-2026")), 0);
}

TEST_F(TokenRotation, GivesATokenThatComesWithAReloadACounter) {
    write_tokens(old_line);
    start_daemon();
    start();
    EXPECT_EQ(post_with(old_secret, fresh_event()), 200);
    EXPECT_EQ(samples().count(accepted("studio-2026")), 0U);

    write_tokens(new_line);
    nginx().reload();

    EXPECT_EQ(sample(accepted("studio-2026")), 0);
    wait_for_sample(accepted("studio-2025"), 1);
    eventually("the new token is let in", [this] { return post_with(new_secret, fresh_event()) == 200; });
    wait_for_sample(accepted("studio-2026"), 1);
}

TEST_F(TokenRotation, CountsTokensBeyondTheTablesBoundTogether) {
    start_daemon();
    write_tokens(old_line);
    start();
    // 64 names a file; the table has 256 places, one of which is taken.
    for (int file = 0; file < 5; ++file) {
        std::string text;
        for (int line = 0; line < 64; ++line) {
            const bool has_no_place = file * 64 + line >= 255;
            text +=
                fmt::format("name-{}-{} {}{:020}\n", file, line, has_no_place ? "without" : "with", file * 64 + line);
        }
        write_tokens(text);
        nginx().reload();
    }

    eventually("a token without a place is let in",
               [this] { return post_with(fmt::format("without{:020}", 300), fresh_event()) == 200; });

    wait_for_sample(accepted("(other)"), 1);
    EXPECT_EQ(samples().count(accepted("name-4-44")), 0U);
    EXPECT_EQ(sample(accepted("name-3-62")), 0);
    EXPECT_EQ(promtool_complaints(text(), folder()), "");
}

TEST_F(TokenRotation, PleasesPromtoolWithStrangeNames) {
    write_tokens(
        "- aaaaaaaaaaaaaaaaaaaaaa\n... bbbbbbbbbbbbbbbbbbbbbb\n__name__ cccccccccccccccccccccc\n"
        "0123456789012345678901234567890123456789012345678901234567890123 dddddddddddddddddddddd\n");
    start_daemon();
    start();
    EXPECT_EQ(post_with("bbbbbbbbbbbbbbbbbbbbbb", fresh_event()), 200);
    EXPECT_EQ(post_with("dddddddddddddddddddddd", fresh_event()), 200);

    wait_for_sample(accepted("..."), 1);
    wait_for_sample(accepted("0123456789012345678901234567890123456789012345678901234567890123"), 1);
    EXPECT_EQ(sample(accepted("-")), 0);
    EXPECT_EQ(sample(accepted("__name__")), 0);
    EXPECT_EQ(promtool_complaints(text(), folder()), "");
}

}  // namespace
}  // namespace runledger::test
