// The notify stage: takes from the outbox and tells people through Telegram. One thread, which owns the calls.
//
// Invariant: no call is made for a notification whose lease is not committed, and no transaction is open during a
// call. What an answer means is stored before anything else is leased. A message may come twice, and then says so; it
// is never given up in silence. The stage keeps nothing that the table does not: kill it at any moment.
//
// This is the loop with database and pace: notify.cpp has the turns, what is leased and what is stored; calls.cpp the
// calls. What becomes of one notification is decided in delivery.hpp, when something may be sent in send_queue.hpp and
// pace.hpp, whether the bot's token is good in token_watch.hpp.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/notify/delivery.hpp"
#include "daemon/notify/outbox.hpp"
#include "daemon/notify/pace.hpp"
#include "daemon/notify/progress.hpp"
#include "daemon/notify/send_queue.hpp"
#include "daemon/notify/settings.hpp"
#include "daemon/notify/token_watch.hpp"
#include "daemon/telegram/bot_api.hpp"
#include "daemon/telegram/fetch.hpp"

namespace runledger {

// Written by the notify thread, read by anybody.
struct NotifyCounters {
    std::atomic<std::uint64_t> sent{0};       // Telegram took it.
    std::atomic<std::uint64_t> logged{0};     // Mode log: it was written to the log, and nobody has it.
    std::atomic<std::uint64_t> retried{0};    // Put off: not taken, or perhaps taken, or too many.
    std::atomic<std::uint64_t> dead{0};       // Refused for good, or given up.
    std::atomic<std::uint64_t> uncertain{0};  // May have arrived; given up.
    std::atomic<std::uint64_t> skipped{0};    // Nothing to tell.
    std::atomic<std::uint64_t> expired{0};    // Skipped, since they had waited past not_after.
    std::atomic<std::uint64_t> too_many_requests{0};
    std::atomic<std::uint64_t> turns_failed{0};              // For PostgreSQL's sake.
    std::atomic<std::uint64_t> in_flight{0};                 // Leased at this moment.
    std::atomic<std::int64_t> last_too_many_requests_at{0};  // Unix seconds; 0: never.
    std::atomic<std::uint64_t> unanswered{0};                // Calls in a row that Telegram did not answer.
    std::atomic<bool> token_is_refused{false};               // Nothing is sent until that is repaired.
};

// What no operator needs to turn; tests do.
struct NotifyTuning {
    std::optional<PaceLimits> pace{};  // Nothing: as configured.
    std::size_t in_flight_max{32};
    std::chrono::milliseconds poll_interval{std::chrono::seconds{5}};  // Behind the wake-ups.
    std::chrono::milliseconds token_retry{std::chrono::seconds{30}};   // A refused token is asked about again,
    std::chrono::milliseconds token_watch{std::chrono::seconds{1}};    // and its file looked at.
    std::chrono::milliseconds stop_bound{std::chrono::seconds{5}};
    telegram::Fetcher::Options fetch{};  // Hosts and bounds are as configured.
};

class Notifier {
public:
    // `lease_owner` names this process and no other. `wakeup` is notified by settle.
    Notifier(TelegramSettings settings, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
             NotifyCounters& counters, NotifyTuning tuning = {});

    // The thread's body, until the wakeup is stopped; then what is in flight gets stop_bound to end, and what is left
    // is given back or marked as what it is. Never throws.
    void run() noexcept;
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }
    // From any thread: messages are sent by these as soon as the calls in flight have ended, which end by the old ones.
    // Until then nothing is leased.
    void use(TelegramSettings settings) {
        next_settings_.offer(std::move(settings));
        wakeup_.notify();
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    void guarded(const std::function<void()>& step);
    void give_up_stranded();
    void turn();
    [[nodiscard]] bool take_change();  // False: stopped meanwhile.
    void begin_anew(const TelegramSettings& settings);
    void let_go();  // Of all that no call is in flight for.
    void finish();
    [[nodiscard]] Time next_turn() const;

    // The outbox: what is leased and what is stored.
    void look(Time now);
    void store_and_look(Time now);
    [[nodiscard]] bool store_outcomes();  // True: none is left.
    void take_leased(Time now, Outbox::Taken taken);
    void take_stored(const Outbox::Stored& result);
    void database_failed(const std::exception& error);
    [[nodiscard]] std::size_t capacity(Time now) const;
    [[nodiscard]] std::vector<std::int64_t> chats_waiting(Time now);

    // Deliveries: each event's action is carried out at once.
    void act(NotificationDelivery& delivery, NotificationDelivery::Action action);
    void end(const NotificationDelivery& delivery, AttemptOutcome outcome);
    void send_what_may_go(Time now);
    [[nodiscard]] double chance() { return std::uniform_real_distribution<double>{0.0, 1.0}(random_); }

    // Telegram.
    [[nodiscard]] bool start_calls();  // False: stopped meanwhile.
    void make_bot();
    void ask_about_token();
    void look_after_token(Time now);
    void drive(std::chrono::milliseconds bound);
    void take_fetched(telegram::Fetcher::Ended ended);
    void take_answer(telegram::BotApi::Ticket ticket, const telegram::CallResult& result);
    void take_token_check(const telegram::Answer& answer);
    [[nodiscard]] bool is_telegram_away() const noexcept;
    void note_answer(const telegram::Answer& answer, std::int64_t chat_id);
    void token_refused(const std::string& error, Time now);
    void token_accepted();

    TelegramSettings settings_;
    SettingsChange<TelegramSettings> next_settings_;
    NotifyTuning tuning_;
    NotificationDelivery::Rules rules_;
    Wakeup& wakeup_;
    NotifyCounters& counters_;
    std::string postgres_uri_;
    std::minstd_rand random_;

    Outbox outbox_;
    struct {
        Backoff backoff{{}};
        Time retry_at{};
        std::uint64_t failures{0};  // In a row.
        bool failure_is_said{false};
    } database_;
    Time next_look_{};

    Pace pace_;
    TokenWatch token_;
    struct {
        Backoff backoff;
        unsigned failures{0};  // Calls in a row that Telegram did not answer.
    } outage_;
    std::optional<telegram::BotApi> bot_;       // Made and used by the thread; none in mode log.
    std::optional<telegram::Fetcher> fetcher_;  // Likewise, where hosts are configured.
    std::optional<ProgressMessages> progress_;  // Likewise, where it is configured.

    std::unordered_map<std::int64_t, NotificationDelivery> deliveries_;  // Those that are leased by this daemon.
    SendQueue queue_;
    std::vector<AttemptOutcome> outcomes_;  // Not stored yet.
    bool has_failed_{false};                // Since the stranded were looked for.
    bool has_let_go_{false};                // For the settings that wait.
    bool is_stopping_{false};
    Heartbeat heartbeat_;
};

}  // namespace runledger
