#include "daemon/notify.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "daemon/telegram_text.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using telegram::Verdict;

constexpr telegram::BotApi::Ticket token_check = 0;  // Notifications count from 1.
constexpr milliseconds drive_bound{50};              // How late a stop is seen while calls are in flight.
constexpr milliseconds look_again_while_busy{100};   // A wake-up can't interrupt libcurl's wait.
constexpr milliseconds look_pause_min{20};
constexpr std::size_t leases_a_look_max = 16;
constexpr unsigned outage_failures_max = 3;  // So many failed calls in a row: Telegram is away, try one at a time.
constexpr milliseconds outage_delay_max{30'000};
constexpr milliseconds stop_share_for_storing{1000};  // Of the stop bound.

// A line of the log: other people's text must not begin a new one.
std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", telegram::clean_line(text)); }

std::string message_id_text(const Outcome& outcome) {
    return outcome.message_id ? std::to_string(*outcome.message_id) : std::string{"none"};
}

// Whoever takes it next begins anew, and meets the same answer if that still holds.
Decision given_back(std::string error) {
    return {.state = NextState::pending, .gives_attempt_back = true, .error = std::move(error)};
}

NotifyPolicy policy_of(const Config::Telegram& config) {
    return {.attempts_max = config.attempts_max,
            .retry_delay_min = config.retry_delay_min,
            .retry_delay_max = config.retry_delay_max};
}

}  // namespace

Notifier::Notifier(Config::Telegram telegram, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
                   NotifyCounters& counters, NotifyTuning tuning)
    : config_(std::move(telegram)),
      tuning_(tuning),
      policy_(policy_of(config_)),
      wakeup_(wakeup),
      counters_(counters),
      outbox_({.uri = std::move(postgres_uri),
               .lease_owner = std::move(lease_owner),
               .lease = config_.timeout + tuning_.lease_margin,
               .attempts_max = config_.attempts_max}),
      pace_(tuning_.pace),
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
        (void)wakeup_.pause(tuning_.poll_interval);  // Whether to go on is asked by the loop.
    }
}

bool Notifier::start_calls() {
    while (config_.mode == TelegramMode::send && !bot_) {
        try {
            bot_.emplace(telegram::BotApi::Options{
                .api_url = config_.api_url, .token = config_.token, .timeout = config_.timeout});
            bot_->call(token_check, "getMe", "{}");
        } catch (const std::exception& error) {
            spdlog::error("telegram can't be called error={}", in_quotes(error.what()));
            if (!wakeup_.pause(tuning_.token_retry)) {
                return false;
            }
        }
    }
    return true;
}

void Notifier::turn() {
    auto now = steady_clock::now();
    const bool all_stored = store_outcomes();
    if (all_stored && now >= next_look_ && now >= database_retry_at_) {
        look(now);
        now = steady_clock::now();
    }
    const auto until_look = std::max(next_look_, database_retry_at_) - now;
    const auto bound = std::clamp(std::chrono::ceil<milliseconds>(until_look), milliseconds{0}, tuning_.poll_interval);
    if (bot_ && bot_->in_flight() > 0) {
        drive(std::min(bound, drive_bound));
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
        if (outcome.decision.state == NextState::send_again) {
            outcome.decision = given_back(std::move(outcome.decision.error));
        }
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
        std::this_thread::sleep_for(look_pause_min);
    }
    if (!outcomes_.empty()) {
        spdlog::warn("PostgreSQL is away, leases are left to run out notifications={}", outcomes_.size());
    }
}

std::size_t Notifier::capacity(Time now) const {
    const bool one_at_a_time = bot_ && (!token_is_proven_ || outage_failures_ >= outage_failures_max);
    const std::size_t in_flight_max = one_at_a_time ? 1 : tuning_.in_flight_max;
    const std::size_t held = deliveries_.size();
    const std::size_t room = in_flight_max > held ? in_flight_max - held : 0;
    return std::min({room, leases_a_look_max, bot_ ? pace_.bot_allows(now) : leases_a_look_max});
}

// One call at a time in each chat, so that its messages keep their order.
std::vector<std::int64_t> Notifier::chats_waiting(Time now) {
    std::vector<std::int64_t> chats = pace_.chats_not_ready(now);
    for (const auto& [id, delivery] : deliveries_) {
        chats.push_back(delivery.row.chat_id);
    }
    return chats;
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
    if (taken.given_up > 0) {
        counters_.uncertain += taken.given_up;
        spdlog::error("notifications given up, their daemons ended while they were sent notifications={}",
                      taken.given_up);
    }
    next_look_ = Time{};
    if (taken.leased.empty()) {
        const bool is_busy = bot_ && bot_->in_flight() > 0;
        next_look_ = now + (is_busy ? std::min(look_again_while_busy, tuning_.poll_interval) : tuning_.poll_interval);
        if (const auto ready = pace_.next_ready(now); ready && bot_) {
            next_look_ = std::min(next_look_, std::max(*ready, now + look_pause_min));
        }
    }
    for (Leased& row : taken.leased) {
        begin(std::move(row));
    }
    counters_.in_flight = deliveries_.size();
}

void Notifier::begin(Leased row) {
    const std::int64_t id = row.id;
    const auto kind = telegram::find_news_kind(row.kind);
    auto news =
        kind ? telegram::read_news({.kind = *kind, .run_id = row.run_id, .payload = row.payload}) : std::nullopt;
    row.payload = {};  // Up to megabytes; what of it is told is in the news.
    Delivery& delivery = deliveries_.insert_or_assign(id, Delivery{.row = std::move(row)}).first->second;
    if (!news) {
        end(id, {.state = NextState::dead, .error = "the payload can't be read"});
        return;
    }
    delivery.news = std::move(*news);
    if (!bot_) {
        for (telegram::Medium& medium : delivery.news.media) {
            medium.url = telegram::mask_query(medium.url);  // A presigned query is a key, and logs are kept.
        }
    }
    auto message = telegram::compose(delivery.news, delivery.form, delivery.row.uncertain_attempts > 0);
    if (!message) {
        end(id, {.state = NextState::skipped, .error = "its outputs hold nothing that can be shown"});
        return;
    }
    delivery.message = std::move(*message);
    if (bot_) {
        send(delivery);
    } else {
        write_to_log(delivery);
    }
}

void Notifier::write_to_log(Delivery& delivery) {
    const telegram::Message& message = delivery.message;
    spdlog::info("notification written to the log only notification={} run_id={} chat={} method={} text={} media={}",
                 delivery.row.id, in_quotes(delivery.row.run_id), delivery.row.chat_id, to_word(message.method),
                 in_quotes(message.text), in_quotes(fmt::format("{}", fmt::join(message.media, " "))));
    end(delivery.row.id, {.state = NextState::sent});
}

void Notifier::send(Delivery& delivery) {
    ++delivery.calls;
    pace_.take(delivery.row.chat_id, delivery.message.message_count(), steady_clock::now());
    bot_->call(delivery.row.id, to_word(delivery.message.method), to_json(delivery.message, delivery.row.chat_id));
}

void Notifier::drive(milliseconds bound) {
    for (const auto& ended : bot_->drive(bound)) {
        take_answer(ended.ticket, ended.result);
        next_look_ = Time{};  // There is room, and the chat may have more.
    }
}

void Notifier::take_answer(std::int64_t id, const telegram::CallResult& result) {
    if (id == token_check) {
        take_token_check(result);
        return;
    }
    const Delivery& delivery = deliveries_.at(id);
    const telegram::Answer answer = telegram::classify(result, delivery.message.has_media());
    mind_the_bot(answer, delivery.row.chat_id);
    const Attempt attempt{.attempts = delivery.row.attempts,
                          .uncertain_attempts = delivery.row.uncertain_attempts,
                          .age = delivery.row.age,
                          .calls = delivery.calls};
    const double chance = std::uniform_real_distribution<double>{0.0, 1.0}(random_);
    Decision decision = decide(answer, attempt, policy_, chance);
    if (stopping_ && (decision.state == NextState::send_again || answer.verdict == Verdict::unavailable)) {
        decision = given_back(answer.description);
    }
    if (decision.state == NextState::sent) {
        decision.error = delivery.met;
    }
    end(id, std::move(decision), answer.message_id);
}

void Notifier::take_token_check(const telegram::CallResult& result) {
    const telegram::Answer answer = telegram::classify(result, false);
    if (answer.verdict == Verdict::sent) {
        token_is_proven_ = true;
        spdlog::info("telegram knows the token");
    } else if (answer.verdict == Verdict::unauthorized) {
        // No hold yet: the first message asks again.
        spdlog::error("telegram does not know the token, check [telegram] token_file and api_url error={}",
                      in_quotes(answer.description));
    } else if (!stopping_) {
        spdlog::warn("telegram's token could not be checked error={}", in_quotes(answer.description));
    }
}

// What an answer says of the bot as a whole, and of the chat's pace.
void Notifier::mind_the_bot(const telegram::Answer& answer, std::int64_t chat_id) {
    const auto now = steady_clock::now();
    const bool is_answered = answer.verdict != Verdict::unavailable && answer.verdict != Verdict::uncertain;
    if (is_answered) {
        outage_failures_ = 0;
        outage_backoff_.reset();
    } else if (++outage_failures_ >= outage_failures_max) {
        pace_.hold_all(now + outage_backoff_.next());
        if (outage_failures_ == outage_failures_max) {
            spdlog::error("telegram can't be reached, trying one message at a time error={}",
                          in_quotes(answer.description));
        }
    }
    if (answer.verdict == Verdict::unauthorized) {
        token_is_proven_ = false;
        counters_.token_is_refused = true;
        pace_.hold_all(now + tuning_.token_retry);
        spdlog::error(
            "telegram refuses the token: nothing is sent, all notifications stay pending; check [telegram] token_file "
            "and api_url error={} retry_ms={}",
            in_quotes(answer.description), tuning_.token_retry.count());
    } else if (is_answered) {
        token_is_proven_ = true;
        counters_.token_is_refused = false;
    }
    if (answer.verdict == Verdict::too_many) {
        pace_.hold_chat(chat_id, now + std::min<milliseconds>(answer.retry_after, policy_.hold_max), now);
        ++counters_.too_many_requests;
        counters_.last_too_many_requests_at =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
    }
}

void Notifier::end(std::int64_t id, Decision decision, std::optional<std::int64_t> message_id) {
    outcomes_.push_back({.id = id, .decision = std::move(decision), .message_id = message_id});
    report(deliveries_.at(id), outcomes_.back());
}

void Notifier::report(const Delivery& delivery, const Outcome& outcome) {
    const Decision& decision = outcome.decision;
    const auto who = fmt::format("notification={} run_id={} chat={} method={} attempt={}", delivery.row.id,
                                 in_quotes(delivery.row.run_id), delivery.row.chat_id, to_word(delivery.message.method),
                                 delivery.row.attempts);
    switch (decision.state) {
        case NextState::sent:
            ++counters_.sent;
            if (bot_) {
                spdlog::info("notification sent {} message_id={}", who, message_id_text(outcome));
            }
            break;
        case NextState::pending:
            ++counters_.retried;
            spdlog::warn("notification put off {} delay_ms={} may_have_arrived={} error={}", who,
                         decision.delay.count(), decision.may_have_arrived, in_quotes(decision.error));
            break;
        case NextState::send_again:
            spdlog::info("notification is sent in another way {} error={}", who, in_quotes(decision.error));
            break;
        case NextState::uncertain:
            ++counters_.uncertain;
            spdlog::error("notification uncertain {} error={}", who, in_quotes(decision.error));
            break;
        case NextState::dead:
            ++counters_.dead;
            spdlog::error("notification dead {} error={}", who, in_quotes(decision.error));
            break;
        case NextState::skipped:
            ++counters_.skipped;
            spdlog::info("notification skipped {} error={}", who, in_quotes(decision.error));
            break;
    }
}

bool Notifier::store_outcomes() {
    if (outcomes_.empty()) {
        return true;
    }
    if (!stopping_ && steady_clock::now() < database_retry_at_) {
        return false;
    }
    std::vector<bool> ours;
    try {
        ours = outbox_.store(outcomes_);
    } catch (const std::exception& error) {
        // Safe to repeat: what has landed is no longer leased by us, and is passed by.
        database_failed(error);
        return false;
    }
    const std::vector<Outcome> stored = std::exchange(outcomes_, {});
    for (std::size_t i = 0; i < stored.size(); ++i) {
        const auto [id, decision, message_id] = stored[i];
        if (!ours[i]) {
            spdlog::warn("notification was no longer ours notification={} state={}", id, to_word(decision.state));
        }
        if (!ours[i] || decision.state != NextState::send_again) {
            deliveries_.erase(id);
            continue;
        }
        Delivery& delivery = deliveries_.at(id);
        delivery.met = decision.error;
        if (decision.new_chat_id) {
            delivery.row.chat_id = *decision.new_chat_id;
        } else {
            delivery.form = telegram::Form::links;
            // A follow-up with nothing to show was skipped before its first call.
            delivery.message =
                telegram::compose(delivery.news, delivery.form, delivery.row.uncertain_attempts > 0).value();
        }
        send(delivery);
    }
    counters_.in_flight = deliveries_.size();
    return true;
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
