#include "daemon/notify/notify.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <unordered_set>
#include <utility>

#include "daemon/notify/delivery_log.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr milliseconds drive_bound{50};  // How late a stop is seen while calls are in flight.
constexpr milliseconds look_pause_min{1};
constexpr milliseconds stop_pause{20};
constexpr std::size_t leases_a_look_max = 16;
constexpr std::size_t deliveries_with_bytes_max = 16;  // Times [telegram] fetch_bytes_max is what they may hold.
constexpr milliseconds outage_delay_max{30'000};
constexpr milliseconds stop_share_for_storing{1000};  // Of the stop bound.

NotifyPolicy policy_of(const TelegramSettings& settings) {
    return {.attempts_max = settings.attempts_max,
            .retry_delay_min = settings.retry_delay_min,
            .retry_delay_max = settings.retry_delay_max};
}

Backoff::Bounds outage_bounds(const TelegramSettings& settings) {
    return {.delay_min = settings.retry_delay_min,
            .delay_max = std::max(settings.retry_delay_min, std::min(settings.retry_delay_max, outage_delay_max))};
}

Outbox::Options outbox_options(const TelegramSettings& settings, std::string postgres_uri, std::string lease_owner) {
    return {.uri = std::move(postgres_uri),
            .lease_owner = std::move(lease_owner),
            .lease = settings.timeout + settings.lease_margin,
            .attempts_max = settings.attempts_max,
            .not_after = settings.not_after};
}

NotificationDelivery::Rules rules_of(const TelegramSettings& settings) {
    return {.policy = policy_of(settings),
            .wordings = settings.text,
            .options = settings.options,
            .only_logs = settings.mode == TelegramMode::log,
            .fetch_bytes_max = settings.fetch_bytes_max};
}

TokenWatch::Options token_options(const TelegramSettings& settings, const NotifyTuning& tuning) {
    return {.token = settings.token,
            .token_file = settings.token_file,
            .retry = tuning.token_retry,
            .interval = tuning.token_watch};
}

}  // namespace

Notifier::Notifier(TelegramSettings settings, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
                   NotifyCounters& counters, NotifyTuning tuning)
    : settings_(std::move(settings)),
      tuning_(std::move(tuning)),
      rules_(rules_of(settings_)),
      wakeup_(wakeup),
      counters_(counters),
      postgres_uri_(postgres_uri),
      random_(std::random_device{}()),
      outbox_(outbox_options(settings_, std::move(postgres_uri), std::move(lease_owner))),
      pace_(tuning_.pace ? *tuning_.pace : pace_limits(settings_)),
      token_(token_options(settings_, tuning_)),
      outage_{.backoff = Backoff(outage_bounds(settings_))} {}

void Notifier::run() noexcept {
    try {
        if (!start_calls()) {
            return;
        }
        while (!wakeup_.is_stopped()) {
            heartbeat_.beat();
            guarded([this] {
                if (take_change()) {
                    turn();
                }
            });
        }
        guarded([this] { finish(); });
    } catch (...) {
        // Even the log refuses. The leases run out by themselves.
        counters_.turns_failed.fetch_add(1);
    }
}

// Database errors are caught where they happen. What comes here is lack of memory or a bug of ours: the step is lost,
// what it had in its hands is given up for this attempt, and the stage goes on.
void Notifier::guarded(const std::function<void()>& step) {
    try {
        step();
    } catch (const std::exception& error) {
        has_failed_ = true;
        ++counters_.turns_failed;
        spdlog::critical("notify's turn failed error={}", in_quotes(error.what()));
        (void)wakeup_.pause(milliseconds{500});  // Whether to go on is asked by the loop.
    }
}

// After a failure: a delivery that nothing will ever go on with would keep its lease, and block its chat.
void Notifier::give_up_stranded() {
    std::unordered_set<std::int64_t> awaited;
    for (const AttemptOutcome& outcome : outcomes_) {
        awaited.insert(outcome.id);
    }
    for (const SendQueue::Entry& entry : queue_.entries()) {
        awaited.insert(entry.id);
    }
    std::vector<std::int64_t> lost;
    for (auto& [id, delivery] : deliveries_) {
        if (awaited.contains(id) || (delivery.is_calling() && bot_->is_in_flight(id))) {
            continue;
        }
        if (delivery.is_ending()) {
            lost.push_back(id);  // Its outcome is lost or stored. If it is lost, its lease runs out.
        } else {
            end(delivery, delivery.fail("the daemon failed while it was sending this", chance()));
        }
    }
    for (const std::int64_t id : lost) {
        deliveries_.erase(id);
    }
    has_failed_ = false;
}

// A message is sent by one configuration from its lease to its end. So what is in flight ends first, and what waits for
// its call is given back.
bool Notifier::take_change() {
    if (!next_settings_.waits()) {
        return true;
    }
    if (!std::exchange(has_let_go_, true)) {
        let_go();
    }
    if (!deliveries_.empty() || !outcomes_.empty() || (bot_ && bot_->in_flight() > 0)) {
        return true;
    }
    auto settings = next_settings_.take();
    try {
        begin_anew(settings.value());
    } catch (...) {
        next_settings_.put_back(std::move(*settings));  // Nothing is leased before they could be used.
        throw;
    }
    has_let_go_ = false;
    return start_calls();
}

void Notifier::begin_anew(const TelegramSettings& settings) {
    settings_ = settings;
    rules_ = rules_of(settings_);
    outbox_.change(outbox_options(settings_, {}, {}));
    pace_.change(tuning_.pace ? *tuning_.pace : pace_limits(settings_));
    token_ = TokenWatch(token_options(settings_, tuning_));
    counters_.token_is_refused = false;  // Telegram is asked about the new one.
    outage_ = {.backoff = Backoff(outage_bounds(settings_))};
    bot_.reset();
    fetcher_.reset();
    if (progress_ && settings_.progress && settings_.mode == TelegramMode::send) {
        progress_->change(settings_.progress_interval, settings_.text, settings_.options.silent_success);
    } else {
        progress_.reset();
    }
    next_look_ = Time{};
    spdlog::info("messages are sent by the new configuration telegram={}",
                 settings_.mode == TelegramMode::send ? "send" : "log");
}

void Notifier::let_go() {
    for (AttemptOutcome& outcome : outcomes_) {
        if (outcome.decision.state == NextState::send_again && !outcome.decision.confirms_part) {
            outcome = deliveries_.at(outcome.id).give_back(std::move(outcome.decision.error));
        }
    }
    queue_.clear();
    for (auto& [id, delivery] : deliveries_) {
        act(delivery, delivery.stop());
    }
    if (fetcher_) {
        fetcher_->abort_all();
    }
}

void Notifier::turn() {
    if (has_failed_) {
        give_up_stranded();
    }
    auto now = steady_clock::now();
    look_after_token(now);
    const bool is_look_due = now >= next_look_ && now >= database_.retry_at;
    if (is_look_due && !outcomes_.empty() && database_.failures == 0 && capacity(now) > 0) {
        store_and_look(now);
        now = steady_clock::now();
    } else if (store_outcomes() && is_look_due) {
        look(now);
        now = steady_clock::now();
    }
    send_what_may_go(now);
    if (!outcomes_.empty() && now >= database_.retry_at) {
        return;  // Ended without a call: to be stored before anything is waited for.
    }
    if (progress_ && !token_.is_refused() && !next_settings_.waits() && queue_.is_empty() &&
        now >= progress_->next_look()) {
        progress_->look(now, *bot_, pace_);
    }
    const auto bound =
        std::clamp(std::chrono::ceil<milliseconds>(next_turn() - now), milliseconds{0}, tuning_.poll_interval);
    if ((bot_ && bot_->in_flight() > 0) || (fetcher_ && fetcher_->in_flight() > 0)) {
        drive(std::min(bound, drive_bound));
        if (wakeup_.take_notice()) {
            next_look_ = Time{};
        }
    } else if (bound.count() > 0 && wakeup_.wait(bound)) {
        next_look_ = Time{};  // Woken, or waited long enough.
    }
}

Notifier::Time Notifier::next_turn() const {
    Time at = std::max(next_look_, database_.retry_at);
    if (progress_) {
        at = std::min(at, progress_->next_look());
    }
    at = std::min(at, queue_.ready_at(pace_).value_or(at));
    return std::min(at, token_.next_look().value_or(at));
}

// In the end the calls in flight get their time, then everything is written down as what it is.
void Notifier::finish() {
    is_stopping_ = true;
    const auto stop_at = steady_clock::now() + tuning_.stop_bound;
    const auto calls_until = stop_at - std::min(stop_share_for_storing, tuning_.stop_bound / 2);
    let_go();
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
    if (token_.is_refused() || next_settings_.waits()) {
        return 0;
    }
    std::size_t held = 0;
    std::size_t with_bytes = 0;
    for (const auto& [id, delivery] : deliveries_) {
        held += delivery.is_ending() ? 0 : 1;
        with_bytes += delivery.may_hold_bytes() ? 1 : 0;
    }
    const bool one_at_a_time = bot_ && (!token_.is_proven() || is_telegram_away());
    const std::size_t in_flight_max = one_at_a_time ? 1 : tuning_.in_flight_max;
    std::size_t room = in_flight_max > held ? in_flight_max - held : 0;
    if (fetcher_) {
        room = std::min(room, deliveries_with_bytes_max > with_bytes ? deliveries_with_bytes_max - with_bytes : 0);
    }
    const std::size_t waiting = queue_.messages();
    const std::size_t allowed = bot_ ? pace_.bot_allows(now) : leases_a_look_max;
    return std::min({room, leases_a_look_max, allowed > waiting ? allowed - waiting : 0});
}

// One call at a time in each chat, so that its messages keep their order.
std::vector<std::int64_t> Notifier::chats_waiting(Time now) {
    std::vector<std::int64_t> chats = pace_.chats_not_ready(now);
    for (const auto& [id, delivery] : deliveries_) {
        if (!delivery.is_ending()) {
            chats.push_back(delivery.row().chat_id);
        }
    }
    return chats;
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
            if (database_.failures > 0) {
                std::vector<std::int64_t> held;
                for (const auto& [id, delivery] : deliveries_) {
                    held.push_back(id);
                }
                outbox_.recover(held);
            }
            taken = outbox_.lease({.chats_waiting = chats_waiting(now), .count_max = count_max});
            if (database_.failures > 0) {
                if (std::exchange(database_.failure_is_said, false)) {
                    spdlog::info("notify's transactions succeed again failures={}", database_.failures);
                }
                database_.failures = 0;
                database_.backoff.reset();
            }
            heartbeat_.work();
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
    for (LeasedNotification& row : taken.leased) {
        const std::int64_t id = row.id;
        NotificationDelivery& delivery =
            deliveries_.insert_or_assign(id, NotificationDelivery(std::move(row), rules_)).first->second;
        act(delivery, delivery.begin(system_clock::now()));
    }
    counters_.in_flight = deliveries_.size();
}

bool Notifier::store_outcomes() {
    if (outcomes_.empty()) {
        return true;
    }
    if (!is_stopping_ && steady_clock::now() < database_.retry_at) {
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
    const std::vector<AttemptOutcome> stored = std::exchange(outcomes_, {});
    for (std::size_t i = 0; i < stored.size(); ++i) {
        const AttemptOutcome& outcome = stored[i];
        const bool is_ours = result.ours[i];
        if (!is_ours) {
            spdlog::warn("a notification's lease was lost notification={} state={}", outcome.id,
                         to_word(outcome.decision.state));
        }
        if (!is_ours || outcome.decision.state != NextState::send_again) {
            deliveries_.erase(outcome.id);
        } else {
            NotificationDelivery& delivery = deliveries_.at(outcome.id);
            act(delivery, delivery.on_stored(outcome.decision, system_clock::now()));
        }
    }
    counters_.in_flight = deliveries_.size();
}

void Notifier::database_failed(const std::exception& error) {
    ++counters_.turns_failed;
    heartbeat_.fail();
    ++database_.failures;
    const auto delay = database_.backoff.next();
    if (!outbox_.give_up(error) && !std::exchange(database_.failure_is_said, true)) {
        spdlog::warn("notify's transaction failed, trying again error={} delay_ms={}", in_quotes(error.what()),
                     delay.count());
    }
    database_.retry_at = steady_clock::now() + delay;
    next_look_ = database_.retry_at;
}

}  // namespace runledger
