// The notify stage: takes from the outbox and tells people through Telegram. One thread, which owns the calls.
//
// Invariant: no call is made for a notification whose lease is not committed, and no transaction is open during a
// call. What an answer means is stored before anything else is leased. A message may come twice, and then says so; it
// is never given up in silence. The stage keeps nothing that the table does not: kill it at any moment.
//
// notify.cpp has the turns, what is leased and what is stored; notify_delivery.cpp what happens to one notification on
// its way; notify_media.cpp what is fetched for it; notify_token.cpp the bot's token.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/notify/outbox.hpp"
#include "daemon/notify/pace.hpp"
#include "daemon/notify/policy.hpp"
#include "daemon/notify/progress.hpp"
#include "daemon/notify/settings.hpp"
#include "daemon/telegram/bot_api.hpp"
#include "daemon/telegram/fetch.hpp"
#include "daemon/telegram/telegram.hpp"

namespace runledger {

// Written by the notify thread, read by anybody.
struct NotifyCounters {
    std::atomic<std::uint64_t> sent{0};       // Telegram took it, or it was written to the log.
    std::atomic<std::uint64_t> retried{0};    // Put off: not taken, or perhaps taken, or too many.
    std::atomic<std::uint64_t> dead{0};       // Refused for good, or given up.
    std::atomic<std::uint64_t> uncertain{0};  // May have arrived; given up.
    std::atomic<std::uint64_t> skipped{0};    // Nothing to tell.
    std::atomic<std::uint64_t> expired{0};    // Skipped, since they had waited past not_after.
    std::atomic<std::uint64_t> too_many_requests{0};
    std::atomic<std::uint64_t> turns_failed{0};              // For PostgreSQL's sake.
    std::atomic<std::uint64_t> in_flight{0};                 // Leased at this moment.
    std::atomic<std::int64_t> last_too_many_requests_at{0};  // Unix seconds; 0: never.
    std::atomic<bool> token_is_refused{false};               // Nothing is sent until that is repaired.
};

inline constexpr unsigned outage_failures_max = 3;  // So many failed calls in a row: Telegram is away.

// What no operator needs to turn; tests do.
struct NotifyTuning {
    std::optional<PaceLimits> pace{};  // Nothing: as configured.
    std::size_t in_flight_max{32};
    std::chrono::milliseconds poll_interval{std::chrono::seconds{5}};  // Behind the wake-ups.
    std::chrono::milliseconds token_retry{std::chrono::seconds{30}};   // A refused token is asked about again,
    std::chrono::milliseconds token_watch{std::chrono::seconds{1}};    // and its file looked at.
    std::chrono::milliseconds stop_bound{std::chrono::seconds{5}};
    telegram::Fetcher::Options fetch{};  // Hosts and bounds are as configured.
    // Whether the stage can do its work, when that changes: for the daemon's readiness. On the notify thread.
    std::function<void(bool is_degraded)> on_degraded{};
};

class Notifier {
public:
    // `lease_owner` names this process and no other. `wakeup` is notified by settle.
    Notifier(TelegramSettings telegram, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
             NotifyCounters& counters, NotifyTuning tuning = {});

    // The thread's body, until the wakeup is stopped; then what is in flight gets stop_bound to end, and what is left
    // is given back or marked as what it is. Never throws.
    void run() noexcept;

private:
    using Time = std::chrono::steady_clock::time_point;

    // A notification that is ours: something is fetched for it, or it waits for the pace, or its call is in flight, or
    // its outcome waits to be stored.
    struct Delivery {
        Leased row;
        std::vector<telegram::Message> parts{};
        std::size_t part{0};          // The one that is under way.
        telegram::Message message{};  // That part, as it is sent.
        unsigned calls{0};            // Of this attempt, for this part.
        std::string met{};            // What Telegram said to the calls before this one.
        Time waits_since{};           // For the pace.
        std::size_t fetching{0};
        std::vector<telegram::Fetched> fetched{};  // For each of the message's media.
    };

    template <class Step>
    void guarded(Step step);
    void turn();
    void finish();
    void look(Time now);
    void store_and_look(Time now);
    void take_leased(Time now, Outbox::Taken taken);
    void take_stored(const Outbox::Stored& result);
    void drive(std::chrono::milliseconds bound);
    [[nodiscard]] bool store_outcomes();  // True: none is left.
    void go_on(Delivery& delivery, const Decision& decision);
    void database_failed(const std::exception& error);
    [[nodiscard]] std::size_t capacity(Time now) const;
    [[nodiscard]] std::vector<std::int64_t> chats_waiting(Time now);
    [[nodiscard]] std::unordered_set<std::int64_t> leaving() const;

    void begin(Leased row);
    void begin_part(Delivery& delivery);
    void write_to_log(Delivery& delivery);
    void send(Delivery& delivery);
    void send_what_may_go(Time now);
    [[nodiscard]] bool put_off_for_pace(const Delivery& delivery, Time now);
    [[nodiscard]] std::size_t messages_waiting() const;
    [[nodiscard]] std::optional<Time> waiting_ready_at() const;
    void take_answer(std::int64_t id, const telegram::CallResult& result);
    void mind_the_bot(const telegram::Answer& answer, std::int64_t chat_id);
    void report(const Delivery& delivery, const Outcome& outcome);
    void end(std::int64_t id, Decision decision, std::optional<std::int64_t> message_id = {});

    void prepare_media(Delivery& delivery);
    void take_fetched(telegram::Fetcher::Ended ended);
    void apply_fetched(Delivery& delivery);
    [[nodiscard]] std::size_t deliveries_with_bytes() const;

    [[nodiscard]] bool start_calls();  // False: stopped meanwhile.
    void take_token_check(const telegram::CallResult& result);
    void refuse_token(const std::string& error, Time now);
    void accept_token();
    void look_after_token(Time now);
    [[nodiscard]] bool has_new_token();

    TelegramSettings config_;
    NotifyTuning tuning_;
    NotifyPolicy policy_;
    Wakeup& wakeup_;
    NotifyCounters& counters_;
    std::string postgres_uri_;
    Outbox outbox_;
    Pace pace_;
    Backoff database_backoff_;
    Backoff outage_backoff_;
    std::minstd_rand random_;
    std::optional<telegram::BotApi> bot_;       // Made and used by the thread; none in mode log.
    std::optional<telegram::Fetcher> fetcher_;  // Likewise.

    std::optional<ProgressTeller> progress_;  // Likewise, where it is configured.

    std::unordered_map<std::int64_t, Delivery> deliveries_;
    std::vector<std::int64_t> waiting_;  // Ready to be sent, in order, as soon as the pace allows it.
    std::vector<Outcome> outcomes_;      // Not stored yet.
    Time next_look_{};
    Time database_retry_at_{};
    std::uint64_t database_failures_{0};  // In a row.
    unsigned outage_failures_{0};         // Calls in a row that Telegram did not answer.
    bool token_is_proven_{false};         // Until then there is one call at a time.
    Time token_retry_at_{};
    Time token_watch_at_{};
    bool stopping_{false};
};

// A line of the log: other people's text must not begin a new one.
[[nodiscard]] std::string in_quotes(std::string_view text);

// Whoever takes it next begins anew, and meets the same answer if that still holds.
[[nodiscard]] Decision given_back(std::string error);

}  // namespace runledger
