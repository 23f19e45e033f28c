// A storm: far more messages than the limits let through at once, to private chats and groups, against a stand-in that
// enforces the limits.
//
// The default form is ten times faster than Telegram, daemon and stand-in alike, and shorter. RUNLEDGER_STORM_MESSAGES
// sets how many messages there are and makes it Telegram's real pace: 10000 take five and a half minutes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::IsEmpty;

constexpr int chats = 500;
constexpr int groups = 20;

class NotifyStorm : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        if (const int messages = from_environment("RUNLEDGER_STORM_MESSAGES", 0); messages > 0) {
            messages_ = messages;
            faster_ = 1;
        }
        tuning_.poll_interval = seconds{5};
    }

    // Telegram's limits, as many times faster, for both sides.
    void limits_hold(int daemons) {
        bot_api_ = std::make_unique<BotApi>(BotApiOptions{
            .token = std::string(token),
            .pace = PaceLimits{
                .bot_per_second = 30 * faster_, .chat_per_second = faster_, .group_per_minute = 20 * faster_}});
        config_.api_url = bot_api_->url();
        runledger::PaceLimits all;
        all.bot.window /= faster_;
        all.chat.window /= faster_;
        all.group.messages *= static_cast<std::size_t>(faster_);
        tuning_.pace = divided(all, static_cast<unsigned>(daemons));
    }

    // In each chat about as many, in an order of chance.
    void messages_wait() {
        std::vector<std::int64_t> to;
        for (int i = 0; i < messages_; ++i) {
            to.push_back(i % chats < groups ? -1000 - i % chats : i % chats);
        }
        std::shuffle(to.begin(), to.end(), std::minstd_rand(11));
        std::string array;
        for (const std::int64_t chat : to) {
            array += fmt::format("{}{}", array.empty() ? "" : ",", chat);
        }
        execute(fmt::format(
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) "
            "SELECT place, 'run-' || place, 'ending', '', chat, '{}'::jsonb "
            "FROM unnest('{{{}}}'::bigint[]) WITH ORDINALITY AS chats (chat, place)",
            R"({"status": "failed", "status_reason": "storm"})", array));
    }

    void drains(seconds ideal) {
        eventually(
            "the outbox drains",
            [&] {
                return count_in_state({"pending", "leased"}) == 0;
            },
            ideal * 3 + seconds{10});
        EXPECT_EQ(count_in_state({"sent"}), messages_);
    }

    // Each once, and within a chat in the order in which they were made.
    void each_was_told_once_and_in_order() {
        std::map<std::string, int> last;
        std::map<std::string, int> told;
        for (const BotCall& call : bot_api_->accepted()) {
            const std::string text = call.fields.get("text");
            const std::size_t run = text.find("run-");
            if (run == std::string::npos) {
                continue;  // getMe
            }
            const int number = std::atoi(text.c_str() + run + 4);
            ++told[std::to_string(number)];
            EXPECT_GT(number, last[call.chat_id]) << "in chat " << call.chat_id;
            last[call.chat_id] = number;
        }
        EXPECT_EQ(told.size(), static_cast<std::size_t>(messages_));
        EXPECT_TRUE(std::all_of(told.begin(), told.end(), [](const auto& entry) { return entry.second == 1; }));
    }

    [[nodiscard]] double seconds_taken() const {
        const auto sent = bot_api_->accepted();
        return duration<double>(sent.back().at - sent.front().at).count();
    }

    int messages_{1500};
    int faster_{10};
};

TEST_F(NotifyStorm, GoesOutAtTheBotsRateWithoutATooMany) {
    limits_hold(1);
    messages_wait();
    const double ideal = (messages_ - 30.0) / (30.0 * faster_);

    start();
    drains(seconds{static_cast<int>(ideal) + 1});
    stop();

    fmt::print("{} messages, {} chats, {} groups: {:.2f} s, ideal {:.2f} s ({:+.1f} %), 429s: {}\n", messages_, chats,
               groups, seconds_taken(), ideal, (seconds_taken() / ideal - 1) * 100, bot_api_->refused().size());
    EXPECT_THAT(bot_api_->refused(), IsEmpty());
    each_was_told_once_and_in_order();
    // The short form has seconds in which a machine that is busy otherwise costs more than 5 %.
    EXPECT_LE(seconds_taken(), ideal * (faster_ == 1 ? 1.05 : 1.05 * patience_factor + 0.5));
}

TEST_F(NotifyStorm, StaysWithinTheLimitsWhereTwoDaemonsShareThem) {
    messages_ = std::min(messages_, 1500);
    limits_hold(2);
    messages_wait();
    const double ideal = (messages_ - 30.0) / (30.0 * faster_);

    const auto second = another("here:2:second");
    start();
    drains(seconds{static_cast<int>(ideal) + 1});
    stop();

    EXPECT_THAT(bot_api_->refused(), IsEmpty());
    EXPECT_GT(second->counters().sent, static_cast<std::uint64_t>(messages_ / 4));
    each_was_told_once_and_in_order();
}

TEST_F(NotifyStorm, GivesEachChatItsTurn) {
    limits_hold(1);
    messages_ = 3000;
    messages_wait();
    start();
    eventually("the storm is under way", [&] { return bot_api_->accepted().size() > 60; });

    const auto late = there_is({.chat_id = 777'777, .generation_id = 900'000});
    notifier_->wake();
    const auto begun = steady_clock::now();
    becomes(late, "sent");

    // A round of all chats takes 500 / 300 s here; what was there before would take ten.
    EXPECT_LT(steady_clock::now() - begun, milliseconds{4000} * patience_factor);
    EXPECT_GT(count_in_state({"pending"}), 500);
}

}  // namespace
}  // namespace runledger::test
