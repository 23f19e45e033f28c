// The notify stage on a real PostgreSQL and the stand-in Bot API, and the language its tests are written in.
//
// One cluster for the program, one database for each test. The stage runs on a thread of its own, as in the daemon;
// after each test the log is searched for the token.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/notify/notify.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {

// All that was logged while it exists, as lines.
class LogCapture {
public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;

    // The next line with this text can't be written: whoever logs it gets a std::runtime_error.
    void fails_once_at(std::string text);

    [[nodiscard]] std::vector<std::string> lines() const;
    [[nodiscard]] std::vector<std::string> lines_with(std::string_view text) const;

private:
    class Sink;
    std::shared_ptr<Sink> sink_;
};

// The notifier counts behind its COMMIT, a moment after others see the rows: waits until it has counted so many times,
// and expects that it has not counted more.
void expect_counted(std::string_view what, const std::atomic<std::uint64_t>& counter, std::uint64_t times);

// A notifier on its thread.
class RunningNotifier {
public:
    RunningNotifier(TelegramSettings config, const std::string& uri, const std::string& owner,
                    const NotifyTuning& tuning);
    ~RunningNotifier();
    RunningNotifier(const RunningNotifier&) = delete;
    RunningNotifier& operator=(const RunningNotifier&) = delete;

    void stop();
    void wake() { wakeup_.notify(); }
    void use(TelegramSettings config) { notifier_.use(std::move(config)); }
    [[nodiscard]] const NotifyCounters& counters() const noexcept { return counters_; }

private:
    Wakeup wakeup_;
    NotifyCounters counters_;
    Notifier notifier_;
    std::thread thread_;
};

struct NotificationRow {
    std::string state;
    std::int64_t chat_id{};
    int attempts{};
    int uncertain_attempts{};
    std::string last_error;
    std::optional<std::int64_t> message_id;
    bool is_leased{};
    double seconds_until_due{};
};

struct NewNotification {
    std::int64_t chat_id{42};
    std::string payload{};
    std::string kind{"ending"};
    std::string for_status{};
    std::int64_t generation_id{0};  // 0: one of its own.
    std::string recipient{};        // @channelname or digits, in place of chat_id.
};

class NotifyFixture : public testing::Test {
protected:
    static constexpr std::string_view token = "100:test-token";

    static void SetUpTestSuite();
    static PostgresServer& postgres();

    void SetUp() override;
    void TearDown() override;

    // Notifications.
    std::int64_t there_is(const NewNotification& notification);
    std::int64_t there_is_a_picture(std::int64_t chat_id = 42);
    [[nodiscard]] NotificationRow row(std::int64_t id);
    // In any of these states, by one statement: between two, a row can go from one state to the other.
    [[nodiscard]] std::int64_t count_in_state(const std::vector<std::string>& states);
    void connect_again() { connection_ = connect_to(uri_); }  // Once PostgreSQL has been away.
    void execute(const std::string& sql);
    [[nodiscard]] std::string value(const std::string& query);  // The single value; "NULL" for NULL.
    // A generation whose run has ended, settled in a transaction of its own, as another daemon does it.
    void settle_somewhere(const std::string& metadata_extra = "");
    void becomes(std::int64_t id, std::string_view state);
    void all_become_sent(std::chrono::milliseconds patience = std::chrono::seconds{20});

    // The stage.
    void start();
    void stop() { notifier_.reset(); }
    [[nodiscard]] std::unique_ptr<RunningNotifier> another(const std::string& owner);
    [[nodiscard]] const NotifyCounters& counters() const { return notifier_->counters(); }

    // How often the stand-in took something that mentions the text.
    [[nodiscard]] std::size_t times_accepted(std::string_view text) const;
    [[nodiscard]] std::vector<BotCall> sends() const;  // All but getMe.

    [[nodiscard]] static std::string picture_payload(std::string_view url);
    [[nodiscard]] static std::string pictures_payload(int count);  // https://h.example/1.png and so on.
    [[nodiscard]] static std::string picture_url(std::int64_t generation_id);

    std::unique_ptr<BotApi> bot_api_;
    // The stages' own; uri_ is the superuser's.
    [[nodiscard]] std::string daemon_uri() const { return postgres().daemon_uri(database_); }
    [[nodiscard]] std::string direct_daemon_uri() const { return postgres().direct_daemon_uri(database_); }

    TelegramSettings config_;
    NotifyTuning tuning_;
    std::string uri_;
    LogCapture log_;
    bool may_log_critical_{false};
    std::unique_ptr<RunningNotifier> notifier_;

private:
    std::string database_;
    std::unique_ptr<pqxx::connection> connection_;
    std::int64_t last_generation_id_{0};
};

}  // namespace runledger::test
