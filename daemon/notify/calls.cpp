// The notify stage's calls: what deliveries ask for, what Telegram answers, what that says of the bot as a whole.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "daemon/notify/delivery_log.hpp"
#include "daemon/notify/notify.hpp"
#include "daemon/telegram/body.hpp"
#include "daemon/telegram/link.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using telegram::Verdict;

constexpr milliseconds drive_bound_beside_a_fetch{5};
constexpr telegram::BotApi::Ticket token_check = 0;  // Notifications count from 1, progress messages below zero.
constexpr std::int64_t fetches_each = 16;            // A message has at most ten media.
static_assert(fetches_each >= static_cast<std::int64_t>(telegram::album_media_max));
constexpr unsigned outage_failures_max = 3;  // So many failed calls in a row: Telegram is away.

}  // namespace

bool Notifier::is_telegram_away() const noexcept { return outage_.failures >= outage_failures_max; }

void Notifier::act(NotificationDelivery& delivery, NotificationDelivery::Action action) {
    if (auto* fetch = std::get_if<NotificationDelivery::FetchMedia>(&action)) {
        for (NotificationDelivery::FetchMedia::Link& link : fetch->links) {
            fetcher_->fetch({.ticket = delivery.row().id * fetches_each + static_cast<std::int64_t>(link.index),
                             .url = std::move(link.url),
                             .bytes_max = link.bytes_max});
        }
    } else if (std::holds_alternative<NotificationDelivery::SendMessage>(action)) {
        queue_.add({.id = delivery.row().id,
                    .chat_id = delivery.row().chat_id,
                    .messages = delivery.message().message_count(),
                    .since = steady_clock::now()});
    } else if (std::holds_alternative<NotificationDelivery::WriteToLog>(action)) {
        log_messages(delivery);
        act(delivery, delivery.on_written_to_log());
    } else if (auto* outcome = std::get_if<AttemptOutcome>(&action)) {
        end(delivery, std::move(*outcome));
    }
}

void Notifier::end(const NotificationDelivery& delivery, AttemptOutcome outcome) {
    switch (outcome.decision.state) {
        case NextState::sent:
            ++counters_.sent;
            break;
        case NextState::logged:
            ++counters_.logged;
            break;
        case NextState::pending:
            ++counters_.retried;
            break;
        case NextState::uncertain:
            ++counters_.uncertain;
            break;
        case NextState::dead:
            ++counters_.dead;
            break;
        case NextState::skipped:
            ++counters_.skipped;
            break;
        case NextState::send_again:
            break;
    }
    log_outcome(delivery, outcome);
    outcomes_.push_back(std::move(outcome));
}

void Notifier::send_what_may_go(Time now) {
    const SendQueue::Due due = queue_.take_due(now, pace_);
    for (const SendQueue::PutOff& put_off : due.put_off) {
        NotificationDelivery& delivery = deliveries_.at(put_off.id);
        end(delivery, delivery.give_back("waits for Telegram's pace", put_off.delay));
    }
    for (const std::int64_t id : due.may_go) {
        NotificationDelivery& delivery = deliveries_.at(id);
        const telegram::Message& message = delivery.message();
        const telegram::Chat chat{.id = delivery.row().chat_id, .name = delivery.row().chat_name};
        if (message.has_uploads()) {
            bot_->call(id, to_word(message.method), to_form(message, chat));
        } else {
            bot_->call(id, to_word(message.method), to_json(message, chat));
        }
        delivery.on_call();
    }
}

bool Notifier::start_calls() {
    if (settings_.links == LinkUse::upload) {
        rules_.may_hand_over = [](std::string_view) { return false; };
    } else if (!telegram::is_telegrams_own(settings_.api_url)) {
        rules_.may_hand_over = telegram::is_link_to_a_public_name;
        if (settings_.mode == TelegramMode::send) {
            spdlog::warn(
                "{} is not Telegram's own Bot API server: it may fetch links itself, so it gets only those to "
                "public names; [telegram] links = \"upload\" gives it none",
                settings_.api_url);
        }
    }
    while (settings_.mode == TelegramMode::send && !bot_) {
        try {
            if (!settings_.fetch_hosts.empty()) {
                telegram::Fetcher::Options options = tuning_.fetch;
                options.host_suffixes = settings_.fetch_hosts;
                options.timeout = settings_.fetch_timeout;
                fetcher_.emplace(std::move(options));
                rules_.may_fetch = [this](std::string_view url) { return fetcher_->may_fetch(url); };
            }
            if (settings_.progress && !progress_) {
                progress_.emplace(postgres_uri_);
                progress_->change(settings_.progress_interval, settings_.text, settings_.options.silent_success);
            }
            make_bot();
            ask_about_token();
        } catch (const std::exception& error) {
            spdlog::error("telegram can't be called error={}", in_quotes(error.what()));
            if (!wakeup_.pause(tuning_.token_retry)) {
                return false;
            }
        }
    }
    return true;
}

void Notifier::make_bot() {
    bot_.emplace(
        telegram::BotApi::Options{.api_url = settings_.api_url, .token = token_.token(), .timeout = settings_.timeout});
}

void Notifier::ask_about_token() { bot_->call(token_check, "getMe", std::string("{}")); }

void Notifier::look_after_token(Time now) {
    if (!bot_ || bot_->in_flight() > 0) {
        return;
    }
    switch (token_.look(now)) {
        case TokenWatch::Action::none:
            break;
        case TokenWatch::Action::ask_new_token:
            spdlog::info("the token file has changed, asking telegram about the new token");
            make_bot();
            ask_about_token();
            break;
        case TokenWatch::Action::ask:
            ask_about_token();
            break;
    }
}

void Notifier::drive(milliseconds bound) {
    const int interrupt = wakeup_.is_stopped() ? -1 : wakeup_.descriptor();
    const bool is_fetching = fetcher_ && fetcher_->in_flight() > 0;
    if (is_fetching) {
        const bool is_alone = !bot_ || bot_->in_flight() == 0;
        for (auto& ended : fetcher_->drive(is_alone ? bound : milliseconds{0}, interrupt)) {
            guarded([&] { take_fetched(std::move(ended)); });
        }
    }
    if (bot_ && bot_->in_flight() > 0) {
        for (const auto& ended : bot_->drive(is_fetching ? drive_bound_beside_a_fetch : bound, interrupt)) {
            guarded([&] { take_answer(ended.ticket, ended.result); });  // One answer's trouble is not the others'.
            next_look_ = Time{};                                        // There is room, and the chat may have more.
        }
    }
}

void Notifier::take_fetched(telegram::Fetcher::Ended ended) {
    const auto found = deliveries_.find(ended.ticket / fetches_each);
    if (found == deliveries_.end()) {
        return;  // It was given up meanwhile.
    }
    NotificationDelivery& delivery = found->second;
    const auto index = static_cast<std::size_t>(ended.ticket % fetches_each);
    if (!ended.result.why.empty()) {
        spdlog::warn("a link is not uploaded notification={} run_id={} error={}", delivery.row().id,
                     in_quotes(delivery.row().run_id),
                     in_quotes(fmt::format("{} {}", delivery.message().media[index].name, ended.result.why)));
    }
    act(delivery, delivery.on_fetched(index, std::move(ended.result)));
}

void Notifier::take_answer(telegram::BotApi::Ticket ticket, const telegram::CallResult& result) {
    if (ticket == token_check) {
        take_token_check(telegram::classify(result, false));
    } else if (ticket < token_check) {
        const telegram::Answer answer = telegram::classify(result, false);
        note_answer(answer, progress_->chat_of(ticket));
        progress_->take_answer(ticket, answer);
    } else {
        NotificationDelivery& delivery = deliveries_.at(ticket);
        const telegram::Answer answer = telegram::classify(result, delivery.message().has_media());
        note_answer(answer, delivery.row().chat_id);
        act(delivery, delivery.on_answer(answer, chance()));
    }
}

void Notifier::take_token_check(const telegram::Answer& answer) {
    if (answer.verdict == Verdict::sent) {
        spdlog::info("telegram accepts the token");
        token_accepted();
        next_look_ = Time{};
    } else if (answer.verdict == Verdict::unauthorized) {
        token_refused(answer.description, steady_clock::now());
    } else if (!is_stopping_) {
        spdlog::warn("telegram's token could not be checked error={}", in_quotes(answer.description));
    }
}

// What an answer says of the bot as a whole, and of the chat's pace.
void Notifier::note_answer(const telegram::Answer& answer, std::int64_t chat_id) {
    const auto now = steady_clock::now();
    const bool is_answered = answer.verdict != Verdict::unreached && answer.verdict != Verdict::unavailable &&
                             answer.verdict != Verdict::uncertain;
    if (is_answered) {
        outage_.failures = 0;
        outage_.backoff.reset();
    } else if (++outage_.failures >= outage_failures_max) {
        pace_.hold_all(now + outage_.backoff.next());
        if (outage_.failures == outage_failures_max) {
            spdlog::error("telegram can't be reached, trying one message at a time error={}",
                          in_quotes(answer.description));
        }
    }
    counters_.unanswered = outage_.failures;
    if (answer.verdict == Verdict::unauthorized) {
        token_refused(answer.description, now);
    } else if (is_answered) {
        token_accepted();
    }
    if (answer.verdict == Verdict::too_many) {
        pace_.hold_chat(chat_id, now + std::min<milliseconds>(answer.retry_after, rules_.policy.hold_max), now);
        ++counters_.too_many_requests;
        counters_.last_too_many_requests_at =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
    }
}

void Notifier::token_refused(const std::string& error, Time now) {
    (void)token_.on_refused(now);  // Each refusal is said: between two of them there is an attempt to be taken again.
    counters_.token_is_refused = true;
    spdlog::error(
        "telegram refuses the token: nothing is sent, all notifications stay pending; put the right token into "
        "[telegram] token_file, with mode 0600 or 0640; it is looked at every {} ms error={}",
        tuning_.token_watch.count(), in_quotes(error));
    for (const SendQueue::Entry& entry : queue_.entries()) {
        NotificationDelivery& delivery = deliveries_.at(entry.id);
        end(delivery, delivery.give_back(error));
    }
    queue_.clear();
}

void Notifier::token_accepted() {
    if (!token_.on_accepted()) {
        return;
    }
    counters_.token_is_refused = false;
    spdlog::info("telegram accepts the token again");
}

}  // namespace runledger
