#include "daemon/notify/notify.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "daemon/telegram/text.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds drive_bound{50};  // How late a stop is seen while calls are in flight.
constexpr milliseconds drive_bound_beside_a_fetch{5};
constexpr milliseconds look_pause_min{1};
constexpr milliseconds stop_pause{20};
constexpr std::size_t leases_a_look_max = 16;
constexpr std::size_t deliveries_with_bytes_max = 16;  // Times [telegram] fetch_bytes_max is what they may hold.
constexpr milliseconds outage_delay_max{30'000};
constexpr milliseconds stop_share_for_storing{1000};  // Of the stop bound.

NotifyPolicy policy_of(const Config::Telegram& config) {
    return {.attempts_max = config.attempts_max,
            .retry_delay_min = config.retry_delay_min,
            .retry_delay_max = config.retry_delay_max};
}

}  // namespace

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", telegram::clean_line(text)); }

Decision given_back(std::string error) {
    return {.state = NextState::pending, .gives_attempt_back = true, .error = std::move(error)};
}

Notifier::Notifier(Config::Telegram telegram, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
                   NotifyCounters& counters, NotifyTuning tuning)
    : config_(std::move(telegram)),
      tuning_(std::move(tuning)),
      policy_(policy_of(config_)),
      wakeup_(wakeup),
      counters_(counters),
      postgres_uri_(postgres_uri),
      outbox_({.uri = std::move(postgres_uri),
               .lease_owner = std::move(lease_owner),
               .lease = config_.timeout + config_.lease_margin,
               .attempts_max = config_.attempts_max,
               .not_after = config_.not_after}),
      pace_(tuning_.pace ? *tuning_.pace : pace_limits(config_)),
      database_backoff_({}),
      outage_backoff_(
          {.delay_min = config_.retry_delay_min,
           .delay_max = std::max(config_.retry_delay_min, std::min(config_.retry_delay_max, outage_delay_max))}),
      random_(std::random_device{}()) {}

void Notifier::run() noexcept {
    try {
        if (!start_calls()) {
            return;
        }
        while (!wakeup_.is_stopped()) {
            guarded([this] { turn(); });
        }
        guarded([this] { finish(); });
    } catch (...) {
        // Even the log refuses. The leases run out by themselves.
        counters_.turns_failed.fetch_add(1);
    }
}

// Database errors are met where they happen. What comes here is want of memory or a bug of ours: the turn is lost, its
// leases run out by themselves, and the stage goes on.
template <class Step>
void Notifier::guarded(Step step) {
    try {
        step();
    } catch (const std::exception& error) {
        ++counters_.turns_failed;
        spdlog::critical("notify's turn failed error={}", in_quotes(error.what()));
        (void)wakeup_.pause(milliseconds{500});  // Whether to go on is asked by the loop.
    }
}

void Notifier::turn() {
    auto now = steady_clock::now();
    look_after_token(now);
    const bool is_look_due = now >= next_look_ && now >= database_retry_at_;
    if (is_look_due && !outcomes_.empty() && database_failures_ == 0 && capacity(now) > 0) {
        store_and_look(now);
        now = steady_clock::now();
    } else if (store_outcomes() && is_look_due) {
        look(now);
        now = steady_clock::now();
    }
    send_what_may_go(now);
    if (!outcomes_.empty() && now >= database_retry_at_) {
        return;  // Ended without a call: to be stored before anything is waited for.
    }
    if (progress_ && !counters_.token_is_refused && waiting_.empty() && now >= progress_->next_look()) {
        progress_->look(now, *bot_, pace_);
    }
    auto until = std::max(next_look_, database_retry_at_);
    if (progress_) {
        until = std::min(until, progress_->next_look());
    }
    if (const auto ready = waiting_ready_at()) {
        until = std::min(until, *ready);
    }
    if (counters_.token_is_refused) {
        until = std::min({until, token_watch_at_, token_retry_at_});
    }
    const auto bound = std::clamp(std::chrono::ceil<milliseconds>(until - now), milliseconds{0}, tuning_.poll_interval);
    if ((bot_ && bot_->in_flight() > 0) || (fetcher_ && fetcher_->in_flight() > 0)) {
        drive(std::min(bound, drive_bound));
        if (wakeup_.take_notice()) {
            next_look_ = Time{};
        }
    } else if (bound.count() > 0 && wakeup_.wait(bound)) {
        next_look_ = Time{};  // Woken, or waited long enough.
    }
}

// In the end the calls in flight get their time, then everything is written down as what it is.
void Notifier::finish() {
    stopping_ = true;
    const auto stop_at = steady_clock::now() + tuning_.stop_bound;
    const auto calls_until = stop_at - std::min(stop_share_for_storing, tuning_.stop_bound / 2);
    for (Outcome& outcome : outcomes_) {
        if (outcome.decision.state == NextState::send_again && !outcome.decision.confirms_part) {
            outcome.decision = given_back(std::move(outcome.decision.error));
        }
    }
    for (const std::int64_t id : std::exchange(waiting_, {})) {
        end(id, given_back("the daemon is being stopped"));
    }
    for (auto& [id, delivery] : deliveries_) {
        if (std::exchange(delivery.fetching, 0) > 0) {
            end(id, given_back("the daemon is being stopped"));
        }
    }
    if (fetcher_) {
        fetcher_->abort_all();
    }
    outbox_.hurry(std::max(stop_share_for_storing / 2, milliseconds{100}));
    for (auto now = steady_clock::now(); bot_ && bot_->in_flight() > 0 && now < calls_until;
         now = steady_clock::now()) {
        drive(std::min(drive_bound, std::chrono::ceil<milliseconds>(calls_until - now)));
        (void)store_outcomes();  // What can't be stored yet is tried again below.
    }
    if (bot_) {
        for (const auto& ended : bot_->abort_all()) {
            take_answer(ended.ticket, ended.result);
        }
    }
    while (!store_outcomes() && steady_clock::now() < stop_at) {
        // The wakeup is stopped: its pause() no longer waits. PostgreSQL's refusal took its time, or took none.
        std::this_thread::sleep_for(stop_pause);
    }
    outbox_.disconnect();
}

std::size_t Notifier::capacity(Time now) const {
    if (counters_.token_is_refused) {
        return 0;
    }
    const bool one_at_a_time = bot_ && (!token_is_proven_ || outage_failures_ >= outage_failures_max);
    const std::size_t in_flight_max = one_at_a_time ? 1 : tuning_.in_flight_max;
    const std::size_t held = deliveries_.size() - leaving().size();
    std::size_t room = in_flight_max > held ? in_flight_max - held : 0;
    if (fetcher_) {
        const std::size_t with_bytes = deliveries_with_bytes();
        room = std::min(room, deliveries_with_bytes_max > with_bytes ? deliveries_with_bytes_max - with_bytes : 0);
    }
    const std::size_t spoken_for = messages_waiting();
    const std::size_t allowed = bot_ ? pace_.bot_allows(now) : leases_a_look_max;
    return std::min({room, leases_a_look_max, allowed > spoken_for ? allowed - spoken_for : 0});
}

// One call at a time in each chat, so that its messages keep their order.
std::vector<std::int64_t> Notifier::chats_waiting(Time now) {
    std::vector<std::int64_t> chats = pace_.chats_not_ready(now);
    const auto gone = leaving();
    for (const auto& [id, delivery] : deliveries_) {
        if (!gone.contains(id)) {
            chats.push_back(delivery.row.chat_id);
        }
    }
    return chats;
}

// Those that are ours no more once their outcomes are stored.
std::unordered_set<std::int64_t> Notifier::leaving() const {
    std::unordered_set<std::int64_t> ids;
    for (const Outcome& outcome : outcomes_) {
        if (outcome.decision.state != NextState::send_again) {
            ids.insert(outcome.id);
        }
    }
    return ids;
}

// The usual case while there is much to do: one COMMIT for both.
void Notifier::store_and_look(Time now) {
    Outbox::Exchanged exchanged;
    try {
        exchanged =
            outbox_.store_and_lease(outcomes_, {.chats_waiting = chats_waiting(now), .count_max = capacity(now)});
    } catch (const std::exception& error) {
        database_failed(error);
        return;
    }
    take_stored(exchanged.stored);
    take_leased(now, std::move(exchanged.taken));
}

void Notifier::look(Time now) {
    Outbox::Taken taken;
    if (const std::size_t count_max = capacity(now); count_max > 0) {
        try {
            if (database_failures_ > 0) {
                std::vector<std::int64_t> held;
                for (const auto& [id, delivery] : deliveries_) {
                    held.push_back(id);
                }
                outbox_.recover(held);
            }
            taken = outbox_.lease({.chats_waiting = chats_waiting(now), .count_max = count_max});
            if (database_failures_ > 0) {
                spdlog::info("notify reached PostgreSQL again failures={}", database_failures_);
                database_failures_ = 0;
                database_backoff_.reset();
            }
        } catch (const std::exception& error) {
            database_failed(error);
            return;
        }
    }
    take_leased(now, std::move(taken));
}

void Notifier::take_leased(Time now, Outbox::Taken taken) {
    if (taken.given_up > 0) {
        counters_.uncertain += taken.given_up;
        spdlog::error("notifications were given up, they may have arrived notifications={}", taken.given_up);
    }
    if (taken.skipped > 0) {
        counters_.expired += taken.skipped;
        spdlog::error("notifications were skipped, they had waited past not_after notifications={}", taken.skipped);
    }
    next_look_ = Time{};
    if (taken.leased.empty()) {
        next_look_ = now + tuning_.poll_interval;
        if (taken.next_due) {
            next_look_ = std::min(next_look_, now + std::max(*taken.next_due, look_pause_min));
        }
        if (const auto ready = pace_.next_ready(now); ready && bot_) {
            next_look_ = std::min(next_look_, std::max(*ready, now + look_pause_min));
        }
    }
    for (Leased& row : taken.leased) {
        begin(std::move(row));
    }
    counters_.in_flight = deliveries_.size();
}

void Notifier::drive(milliseconds bound) {
    const int interrupt = wakeup_.is_stopped() ? -1 : wakeup_.descriptor();
    const bool is_fetching = fetcher_ && fetcher_->in_flight() > 0;
    if (is_fetching) {
        const bool is_alone = !bot_ || bot_->in_flight() == 0;
        for (auto& ended : fetcher_->drive(is_alone ? bound : milliseconds{0}, interrupt)) {
            take_fetched(std::move(ended));
        }
    }
    if (bot_ && bot_->in_flight() > 0) {
        for (const auto& ended : bot_->drive(is_fetching ? drive_bound_beside_a_fetch : bound, interrupt)) {
            take_answer(ended.ticket, ended.result);
            next_look_ = Time{};  // There is room, and the chat may have more.
        }
    }
}

bool Notifier::store_outcomes() {
    if (outcomes_.empty()) {
        return true;
    }
    if (!stopping_ && steady_clock::now() < database_retry_at_) {
        return false;
    }
    Outbox::Stored result;
    try {
        result = outbox_.store(outcomes_);
    } catch (const std::exception& error) {
        // Safe to repeat: what has landed is no longer leased by us, and is passed by.
        database_failed(error);
        return false;
    }
    take_stored(result);
    return outcomes_.empty();  // What went on may have ended at once.
}

void Notifier::take_stored(const Outbox::Stored& result) {
    counters_.dead += result.dead_chats;
    counters_.uncertain += result.uncertain;
    const std::vector<Outcome> stored = std::exchange(outcomes_, {});
    for (std::size_t i = 0; i < stored.size(); ++i) {
        const Outcome& outcome = stored[i];
        const bool is_ours = result.ours[i];
        if (!is_ours) {
            spdlog::warn("a notification's lease was lost notification={} state={}", outcome.id,
                         to_word(outcome.decision.state));
        }
        if (!is_ours || outcome.decision.state != NextState::send_again) {
            deliveries_.erase(outcome.id);
        } else {
            go_on(deliveries_.at(outcome.id), outcome.decision);
        }
    }
    counters_.in_flight = deliveries_.size();
}

void Notifier::database_failed(const std::exception& error) {
    ++counters_.turns_failed;
    ++database_failures_;
    const auto delay = database_backoff_.next();
    if (database_failures_ == 1) {
        spdlog::warn("notify lost PostgreSQL, trying again error={} delay_ms={}", in_quotes(error.what()),
                     delay.count());
    }
    outbox_.disconnect();
    database_retry_at_ = steady_clock::now() + delay;
    next_look_ = database_retry_at_;
}

}  // namespace runledger
