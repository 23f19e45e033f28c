// The daemon killed again and again while it works off an outbox, and answers of Telegram that are lost: nobody is
// forgotten, and whoever is told twice is told so.
//
// RUNLEDGER_NOTIFY_KILLS sets how often it is killed; 50 take about five minutes.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <set>

#include "daemon/database/libpqxx.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;

constexpr std::string_view duplicate_mark = "Possibly a duplicate";
constexpr int chats = 50;

class NotifyKills : public testing::Test {
protected:
    void SetUp() override {
        postgres_ = std::make_unique<PostgresServer>(PostgresOptions{.fsync = false, .settings = {}});
        uri_ = postgres_->create_database("kills");
    }

    void telegram_is(BotApiOptions options) {
        options.token = "100:test-token";
        bot_ = std::make_unique<BotApi>(std::move(options));
        // A dead daemon's leases run out soon, and the pace is not what this is about.
        daemon_ = std::make_unique<DaemonProcess>(
            folder_, DaemonConf{.postgres_uri = postgres_->daemon_uri("kills"),
                                .direct_uri = postgres_->direct_daemon_uri("kills"),
                                .owner_uri = postgres_->owner_uri("kills"),
                                .telegram_api_url = bot_->url(),
                                .telegram_extra = "timeout_ms = 1500\nlease_margin_ms = 500\nattempts_max = 50\n"
                                                  "retry_delay_max_ms = 500\nmessages_per_second = 1000\n"
                                                  "chat_messages_per_second = 1000\n"});
        daemon_->migrate();
    }

    // Numbered from 1: the text has "run-<number>.".
    void messages_wait(int count) {
        count_ = count;
        const auto connection = connect_to(uri_);
        pqxx::work work(*connection);
        work.exec(fmt::format(
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) "
            "SELECT number, 'run-' || number || '.', 'ending', '', number % {} + 1, '{}'::jsonb "
            "FROM generate_series(1, {}) AS number",
            chats, R"({"status": "failed", "status_reason": "storm"})", count));
        work.commit();
    }

    std::set<int> numbers(const std::string& condition) {
        const auto connection = connect_to(uri_);
        pqxx::work work(*connection);
        std::set<int> found;
        for (const auto& row : work.exec("SELECT generation_id FROM runledger.notifications WHERE " + condition)) {
            found.insert(row[0].as<int>());
        }
        return found;
    }

    int backends_of_the_daemon() {
        const auto connection = connect_to(uri_);
        pqxx::work work(*connection);
        return libpqxx::run1(work, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd%'")[0]
            .as<int>();
    }

    void drains() {
        eventually(
            "the outbox drains", [&] { return numbers("state IN ('pending', 'leased')").empty(); }, seconds{120});
    }

    // What Telegram took, by number, each time.
    [[nodiscard]] std::map<int, std::vector<BotCall>> told() const {
        std::map<int, std::vector<BotCall>> found;
        for (const BotCall& call : bot_->accepted()) {
            const std::string text = call.fields.get("text");
            if (const std::size_t run = text.find("run-"); run != std::string::npos) {
                found[std::atoi(text.c_str() + run + 4)].push_back(call);
            }
        }
        return found;
    }

    TempFolder folder_;
    std::unique_ptr<PostgresServer> postgres_;
    std::unique_ptr<BotApi> bot_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::string uri_;
    int count_{0};
};

TEST_F(NotifyKills, ForgetNobodyAndDoubleOnlyWhatWasInFlight) {
    const int kills = from_environment("RUNLEDGER_NOTIFY_KILLS", 5);
    telegram_is({});
    bot_->script({.answer = BotAnswer::slow(std::chrono::milliseconds{15}), .calls = -1});
    messages_wait(kills * 120 + 100);
    std::set<int> in_flight;  // At any of the kills, by what stood in the table then.

    for (int kill = 0; kill < kills; ++kill) {
        daemon_->start();
        const std::size_t before = bot_->accepted().size();
        eventually(
            "it is sending", [&] { return bot_->accepted().size() >= before + 60; }, seconds{60});
        daemon_->kill();
        eventually("PostgreSQL has done what the daemon had asked for", [&] { return backends_of_the_daemon() == 0; });
        in_flight.merge(numbers("state = 'leased'"));
    }
    daemon_->start();
    drains();
    daemon_->stop();

    int doubles = 0;
    const auto all = told();
    for (int number = 1; number <= count_; ++number) {
        const auto found = all.find(number);
        ASSERT_NE(found, all.end()) << "nobody was told of run-" << number;
        const std::vector<BotCall>& times = found->second;
        doubles += times.size() > 1 ? 1 : 0;
        EXPECT_TRUE(times.size() == 1 || in_flight.contains(number)) << number << " was told twice out of the blue";
        for (std::size_t i = 1; i < times.size(); ++i) {
            EXPECT_TRUE(times[i].mentions(duplicate_mark)) << number;
        }
    }
    fmt::print("{} kills, {} messages: missing 0, in flight at a kill {}, told twice {}\n", kills, count_,
               in_flight.size(), doubles);
    EXPECT_THAT(numbers("state <> 'sent'"), IsEmpty());
    EXPECT_THAT(numbers("uncertain_attempts > 0 AND NOT generation_id = ANY (ARRAY[" +
                        fmt::format("{}", fmt::join(in_flight, ",")) + "]::bigint[])"),
                IsEmpty());
    EXPECT_FALSE(in_flight.empty()) << "no kill met a message on its way: the test shows nothing";
}

TEST_F(NotifyKills, LostAnswersLeaveOneDoubleAtMostAndNothingInDoubtUnseen) {
    const int count = from_environment("RUNLEDGER_LOST_ANSWERS_MESSAGES", 400);
    telegram_is({.token = {}, .lost_answers_per_thousand = 100, .seed = 5});
    messages_wait(count);

    daemon_->start();
    drains();
    daemon_->stop();

    int doubles = 0;
    std::size_t lost = 0;
    const auto uncertain = numbers("state = 'uncertain'");
    for (const auto& [number, times] : told()) {
        ASSERT_LE(times.size(), 2U) << number;
        doubles += times.size() == 2 ? 1 : 0;
        EXPECT_FALSE(times[0].mentions(duplicate_mark)) << number;
        EXPECT_TRUE(times.size() == 1 || times[1].mentions(duplicate_mark)) << number;
        // The last answer was lost, or else the row says that it was sent.
        EXPECT_EQ(uncertain.contains(number), !times.back().answered) << number;
        lost += static_cast<std::size_t>(
            std::count_if(times.begin(), times.end(), [](const BotCall& call) { return !call.answered; }));
    }
    fmt::print("{} messages, {} answers lost: told twice {}, uncertain {} (all in failed_notifications_v1)\n", count,
               lost, doubles, uncertain.size());
    EXPECT_EQ(told().size(), static_cast<std::size_t>(count));
    EXPECT_GT(lost, static_cast<std::size_t>(count) / 20);
    EXPECT_EQ(numbers("state NOT IN ('sent', 'uncertain')").size(), 0U);
    EXPECT_EQ(numbers("id IN (SELECT notification_id FROM runledger.failed_notifications_v1)"), uncertain);
}

}  // namespace
}  // namespace runledger::test
