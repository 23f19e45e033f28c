#include "tests/integration/notify/notify_fixture.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "daemon/database/schema.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LogCapture::Sink : public spdlog::sinks::base_sink<std::mutex> {
public:
    std::vector<std::string> lines() {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

    void fails_once_at(std::string text) {
        const std::lock_guard lock(mutex_);
        fails_at_ = std::move(text);
    }

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t text;
        formatter_->format(message, text);
        lines_.emplace_back(text.data(), text.size());
        if (!fails_at_.empty() && lines_.back().find(fails_at_) != std::string::npos) {
            fails_at_.clear();
            throw std::runtime_error("the log can't be written");
        }
    }
    void flush_() override {}

private:
    std::vector<std::string> lines_;
    std::string fails_at_;
};

LogCapture::LogCapture() : sink_(std::make_shared<Sink>()) {
    auto logger = std::make_shared<spdlog::logger>("test", sink_);
    logger->set_level(spdlog::level::trace);
    logger->set_error_handler([](const std::string& error) { throw std::runtime_error(error); });
    spdlog::set_default_logger(std::move(logger));
}

LogCapture::~LogCapture() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("none")); }

void LogCapture::fails_once_at(std::string text) { sink_->fails_once_at(std::move(text)); }

std::vector<std::string> LogCapture::lines() const { return sink_->lines(); }

std::vector<std::string> LogCapture::lines_with(std::string_view text) const {
    std::vector<std::string> found = lines();
    std::erase_if(found, [&](const std::string& line) { return line.find(text) == std::string::npos; });
    return found;
}

void expect_counted(std::string_view what, const std::atomic<std::uint64_t>& counter, std::uint64_t times) {
    eventually(fmt::format("{} is counted", what), [&] { return counter >= times; });
    EXPECT_EQ(counter, times) << what;
}

RunningNotifier::RunningNotifier(TelegramSettings config, const std::string& uri, const std::string& owner,
                                 const NotifyTuning& tuning)
    : notifier_(std::move(config), uri, owner, wakeup_, counters_, tuning), thread_([this] { notifier_.run(); }) {}

RunningNotifier::~RunningNotifier() { stop(); }

void RunningNotifier::stop() {
    wakeup_.stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

namespace {

std::unique_ptr<PostgresServer> server;

// The cluster ends with the program, however many suites used it.
class ServerEnvironment : public testing::Environment {
public:
    void TearDown() override { server.reset(); }
};

}  // namespace

PostgresServer& NotifyFixture::postgres() { return *server; }

void NotifyFixture::SetUpTestSuite() {
    if (server) {
        return;
    }
    testing::AddGlobalTestEnvironment(new ServerEnvironment);  // GoogleTest deletes it.
    // Servers are killed here, machines are not.
    server = std::make_unique<PostgresServer>(PostgresOptions{.fsync = false, .settings = {}});
    server->create_database("migrated");
    migrate(*connect_to(server->owner_uri("migrated")), [](std::string_view) {});
}

void NotifyFixture::SetUp() {
    static int count = 0;
    database_ = fmt::format("notify_{}", ++count);
    uri_ = postgres().create_database(database_, "migrated");
    connection_ = connect_to(uri_);
    bot_api_ = std::make_unique<BotApi>(BotApiOptions{.token = std::string(token)});
    config_.api_url = bot_api_->url();
    config_.token = Secret(std::string(token));
    config_.mode = TelegramMode::send;
    config_.retry_delay_min = milliseconds{20};
    config_.retry_delay_max = milliseconds{200};
    config_.timeout = seconds{10};
    tuning_.poll_interval = milliseconds{20};  // No listener here: NotifyListen has one.
    tuning_.token_retry = milliseconds{200};
    // Most tests are not about the pace.
    const Limit fast{.messages = 1000, .window = seconds{1}};
    tuning_.pace = runledger::PaceLimits{.bot = fast, .chat = fast, .group = fast};
}

void NotifyFixture::TearDown() {
    notifier_.reset();
    for (const std::string& line : log_.lines()) {
        EXPECT_EQ(line.find("test-token"), std::string::npos) << line;
        EXPECT_TRUE(may_log_critical_ || line.find("[critical]") == std::string::npos) << line;
        EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    }
}

std::int64_t NotifyFixture::there_is(const NewNotification& notification) {
    const std::int64_t generation =
        notification.generation_id != 0 ? notification.generation_id : ++last_generation_id_;
    pqxx::work work(*connection_);
    const auto inserted = libpqxx::run1(
        work,
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, recipient) "
        "VALUES ($1, $2, $3, $4, coalesce(runledger.chat_named($7), $5), $6, $7) RETURNING id",
        generation, fmt::format("run-{}", generation), notification.kind, notification.for_status, notification.chat_id,
        notification.payload.empty() ? picture_payload(picture_url(generation)) : notification.payload,
        notification.recipient);
    work.commit();
    return inserted[0].as<std::int64_t>();
}

std::int64_t NotifyFixture::there_is_a_picture(std::int64_t chat_id) { return there_is({.chat_id = chat_id}); }

NotificationRow NotifyFixture::row(std::int64_t id) {
    pqxx::work work(*connection_);
    const auto found =
        libpqxx::run1(work,
                      "SELECT state, chat_id, attempts, uncertain_attempts, coalesce(last_error, ''), message_id, "
                      "lease_owner IS NOT NULL, extract(epoch FROM not_before - now())::float8 "
                      "FROM runledger.notifications WHERE id = $1",
                      id);
    return {.state = found[0].as<std::string>(),
            .chat_id = found[1].as<std::int64_t>(),
            .attempts = found[2].as<int>(),
            .uncertain_attempts = found[3].as<int>(),
            .last_error = found[4].as<std::string>(),
            .message_id = found[5].is_null() ? std::nullopt : std::optional(found[5].as<std::int64_t>()),
            .is_leased = found[6].as<bool>(),
            .seconds_until_due = found[7].as<double>()};
}

std::int64_t NotifyFixture::count_in_state(const std::vector<std::string>& states) {
    if (!connection_ || !connection_->is_open()) {
        connect_again();
    }
    pqxx::work work(*connection_);
    return libpqxx::run1(work, "SELECT count(*) FROM runledger.notifications WHERE state = ANY ($1)",
                         array_of(states))[0]
        .as<std::int64_t>();
}

void NotifyFixture::execute(const std::string& sql) {
    pqxx::work work(*connection_);
    work.exec(sql);
    work.commit();
}

std::string NotifyFixture::value(const std::string& query) {
    pqxx::work work(*connection_);
    const auto found = libpqxx::run1(work, query);
    return found[0].is_null() ? "NULL" : found[0].as<std::string>();
}

void NotifyFixture::settle_somewhere(const std::string& metadata_extra) {
    const std::int64_t generation = 100'000 + ++last_generation_id_;  // there_is() counts from 1.
    const std::string run = fmt::format("settled-{}", generation);
    execute(
        fmt::format("INSERT INTO runledger.generations (id, metadata) VALUES "
                    "({2}, '{{\"run_id\": \"{0}\", \"telegramChatId\": 42{1}}}');"
                    "INSERT INTO runledger.runs (run_id, terminal_status, finished_at, finished_boot_id, "
                    "finished_boottime_us, finished_redelivered, finished_digest, latest_at, latest_boot_id, "
                    "latest_boottime_us, latest_redelivered, latest_digest, latest_status, first_received_at, "
                    "event_count) VALUES ('{0}', 'failed', now(), gen_random_uuid(), 1, false, 1, now(), "
                    "gen_random_uuid(), 1, false, 1, 'failed', now(), 1);"
                    "SELECT runledger.settle_run('{0}', interval '3 seconds', interval '1 day')",
                    run, metadata_extra, generation));
}

void NotifyFixture::becomes(std::int64_t id, std::string_view state) {
    eventually(
        fmt::format("notification {} becomes {}", id, state), [&] { return row(id).state == state; }, default_patience,
        [&] { return fmt::format("{}: {}", row(id).state, row(id).last_error); });
}

void NotifyFixture::all_become_sent(milliseconds patience) {
    eventually(
        "the outbox drains",
        [&] {
            return count_in_state({"pending", "leased"}) == 0;
        },
        patience);
    EXPECT_EQ(count_in_state({"dead", "uncertain", "skipped"}), 0);
}

void NotifyFixture::start() { notifier_ = another("here:1:first"); }

std::unique_ptr<RunningNotifier> NotifyFixture::another(const std::string& owner) {
    return std::make_unique<RunningNotifier>(config_, daemon_uri(), owner, tuning_);
}

std::size_t NotifyFixture::times_accepted(std::string_view text) const {
    const auto accepted = bot_api_->accepted();
    return static_cast<std::size_t>(
        std::count_if(accepted.begin(), accepted.end(), [&](const BotCall& call) { return call.mentions(text); }));
}

std::vector<BotCall> NotifyFixture::sends() const {
    std::vector<BotCall> calls = bot_api_->calls();
    std::erase_if(calls, [](const BotCall& call) { return call.method == "getMe"; });
    return calls;
}

std::string NotifyFixture::picture_payload(std::string_view url) {
    return fmt::format(R"({{"status": "completed", "status_reason": null, "duration_ms": 12300.000, "cost_usd": null,)"
                       R"( "cost_note": null, "outputs": [{{"id": "o1", "data": {{"images": [{{"filename": "a.png",)"
                       R"( "type": "output", "url": "{}"}}]}}}}]}})",
                       url);
}

std::string NotifyFixture::pictures_payload(int count) {
    std::string images;
    for (int i = 1; i <= count; ++i) {
        images += fmt::format("{}\"https://h.example/{}.png\"", i == 1 ? "" : ",", i);
    }
    return fmt::format(R"({{"status": "completed", "outputs": [{{"images": [{}]}}]}})", images);
}

std::string NotifyFixture::picture_url(std::int64_t generation_id) {
    return fmt::format("https://pictures.example/{}/a.png", generation_id);
}

}  // namespace runledger::test
