// The notify stage: takes from the outbox and tells people through Telegram. One thread, which owns the calls.
//
// Invariant: no call is made for a notification whose lease is not committed, and no transaction is open during a
// call. What an answer means is stored before anything else is leased. A message may come twice, and then says so; it
// is never given up in silence. The stage keeps nothing that the table does not: kill it at any moment.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/backoff.hpp"
#include "daemon/bot_api.hpp"
#include "daemon/config.hpp"
#include "daemon/notify_policy.hpp"
#include "daemon/outbox.hpp"
#include "daemon/pace.hpp"
#include "daemon/signal.hpp"
#include "daemon/telegram.hpp"

namespace runledger {

// Written by the notify thread, read by anybody.
struct NotifyCounters {
    std::atomic<std::uint64_t> sent{0};       // Telegram took it, or it was written to the log.
    std::atomic<std::uint64_t> retried{0};    // Put off: not taken, or perhaps taken, or too many.
    std::atomic<std::uint64_t> dead{0};       // Refused for good, or given up.
    std::atomic<std::uint64_t> uncertain{0};  // May have arrived; given up.
    std::atomic<std::uint64_t> skipped{0};    // Nothing to tell.
    std::atomic<std::uint64_t> too_many_requests{0};
    std::atomic<std::uint64_t> turns_failed{0};              // For PostgreSQL's sake.
    std::atomic<std::uint64_t> in_flight{0};                 // Leased at this moment.
    std::atomic<std::int64_t> last_too_many_requests_at{0};  // Unix seconds; 0: never.
    std::atomic<bool> token_is_refused{false};               // Nothing is sent until that is repaired.
};

// What no operator needs to turn; tests do.
struct NotifyTuning {
    PaceLimits pace{};
    std::size_t in_flight_max{32};
    std::chrono::milliseconds poll_interval{500};  // Behind settle's wake-ups: for what falls due by itself.
    std::chrono::milliseconds token_retry{std::chrono::seconds{30}};
    std::chrono::milliseconds stop_bound{std::chrono::seconds{5}};
    std::chrono::milliseconds lease_margin{std::chrono::seconds{15}};  // A lease is a call's time-out and this.
};

class Notifier {
public:
    // `lease_owner` names this process and no other. `wakeup` is notified by settle.
    Notifier(Config::Telegram telegram, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
             NotifyCounters& counters, NotifyTuning tuning = {});

    // The thread's body, until the wakeup is stopped; then what is in flight gets stop_bound to end, and what is left
    // is given back or marked as what it is. Never throws.
    void run() noexcept;

private:
    using Time = std::chrono::steady_clock::time_point;

    // A notification that is ours: its call is in flight, or its outcome waits to be stored.
    struct Delivery {
        Leased row;
        telegram::News news{};
        telegram::Form form{telegram::Form::media};
        telegram::Message message{};
        unsigned calls{0};
        std::string met{};  // What Telegram said to the calls before this one.
    };

    [[nodiscard]] bool start_calls();  // False: stopped meanwhile.
    template <class Step>
    void guarded(Step step);
    void turn();
    void finish();
    void look(Time now);
    void begin(Leased row);
    void write_to_log(Delivery& delivery);
    void send(Delivery& delivery);
    void drive(std::chrono::milliseconds bound);
    void take_answer(std::int64_t id, const telegram::CallResult& result);
    void take_token_check(const telegram::CallResult& result);
    void mind_the_bot(const telegram::Answer& answer, std::int64_t chat_id);
    void report(const Delivery& delivery, const Outcome& outcome);
    void end(std::int64_t id, Decision decision, std::optional<std::int64_t> message_id = {});
    [[nodiscard]] bool store_outcomes();  // True: none is left.
    void database_failed(const std::exception& error);
    [[nodiscard]] std::size_t capacity(Time now) const;
    [[nodiscard]] std::vector<std::int64_t> chats_waiting(Time now);

    Config::Telegram config_;
    NotifyTuning tuning_;
    NotifyPolicy policy_;
    Wakeup& wakeup_;
    NotifyCounters& counters_;
    Outbox outbox_;
    Pace pace_;
    Backoff database_backoff_;
    Backoff outage_backoff_;
    std::minstd_rand random_;
    std::optional<telegram::BotApi> bot_;  // Made and used by the thread; none in mode log.

    std::unordered_map<std::int64_t, Delivery> deliveries_;
    std::vector<Outcome> outcomes_;  // Not stored yet.
    Time next_look_{};
    Time database_retry_at_{};
    std::uint64_t database_failures_{0};  // In a row.
    unsigned outage_failures_{0};         // Calls in a row that Telegram did not answer.
    bool token_is_proven_{false};         // Until then there is one call at a time.
    bool stopping_{false};
};

}  // namespace runledger
