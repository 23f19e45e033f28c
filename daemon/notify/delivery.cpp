// One notification on its way: what is said, when it may go, what an answer means.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/notify/notify.hpp"
#include "daemon/telegram/body.hpp"
#include "daemon/telegram/text.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using telegram::Verdict;

constexpr milliseconds put_off_min{1};
constexpr milliseconds pace_patience{5000};  // What must wait longer is given back, within its lease's margin.

std::string message_id_text(const Outcome& outcome) {
    return outcome.message_id ? std::to_string(*outcome.message_id) : std::string{"none"};
}

// What can't be posted there in any form but text.
bool forbids_media(std::string_view error) {
    return error.find("not enough rights") != std::string_view::npos ||
           error.find("FORBIDDEN") != std::string_view::npos;
}

}  // namespace

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
    delivery.parts = telegram::compose(
        *news, config_.text,
        {.parts_sent = delivery.row.parts_sent, .may_be_duplicate = delivery.row.uncertain_attempts > 0});
    if (delivery.parts.empty()) {
        end(id, {.state = NextState::skipped, .error = "its outputs hold nothing that can be shown"});
        return;
    }
    if (delivery.row.parts_sent >= delivery.parts.size()) {
        end(id, {.state = NextState::sent});  // All of it was confirmed before.
        return;
    }
    delivery.part = delivery.row.parts_sent;
    begin_part(delivery);
}

void Notifier::begin_part(Delivery& delivery) {
    delivery.message = delivery.parts[delivery.part];
    delivery.calls = 0;
    if (bot_) {
        prepare_media(delivery);
    } else {
        write_to_log(delivery);
    }
}

void Notifier::write_to_log(Delivery& delivery) {
    for (const telegram::Message& message : delivery.parts) {
        std::vector<std::string> links;  // A presigned query is a key, and logs are kept.
        for (const telegram::Attachment& attachment : message.media) {
            links.push_back(telegram::mask_query(attachment.url));
        }
        spdlog::info(
            "notification written to the log only notification={} run_id={} chat={} method={} text={} media={}",
            delivery.row.id, in_quotes(delivery.row.run_id), delivery.row.chat_id, to_word(message.method),
            in_quotes(message.text), in_quotes(fmt::format("{}", fmt::join(links, " "))));
    }
    end(delivery.row.id, {.state = NextState::sent});
}

void Notifier::send(Delivery& delivery) {
    delivery.waits_since = steady_clock::now();
    waiting_.push_back(delivery.row.id);
}

std::size_t Notifier::messages_waiting() const {
    std::size_t messages = 0;
    for (const std::int64_t id : waiting_) {
        messages += deliveries_.at(id).message.message_count();
    }
    return messages;
}

// When the first of those that wait may go.
std::optional<Notifier::Time> Notifier::waiting_ready_at() const {
    std::optional<Time> first;
    for (const std::int64_t id : waiting_) {
        const Delivery& delivery = deliveries_.at(id);
        const std::size_t messages = delivery.message.message_count();
        const Time ready = std::max(pace_.chat_ready_at(delivery.row.chat_id, messages), pace_.bot_ready_at(messages));
        first = std::min(first.value_or(ready), ready);
    }
    return first;
}

// In order: a message that waits for the bot's pace, an album say, is not overtaken by shorter ones for ever.
void Notifier::send_what_may_go(Time now) {
    bool bot_is_ready = true;
    std::vector<std::int64_t> still_waiting;
    for (const std::int64_t id : std::exchange(waiting_, {})) {
        Delivery& delivery = deliveries_.at(id);
        if (put_off_for_pace(delivery, now)) {
            continue;
        }
        const telegram::Message& message = delivery.message;
        const bool chat_is_ready = pace_.chat_ready_at(delivery.row.chat_id, message.message_count()) <= now;
        bot_is_ready = bot_is_ready && (!chat_is_ready || pace_.bot_ready_at(message.message_count()) <= now);
        if (!chat_is_ready || !bot_is_ready) {
            still_waiting.push_back(id);
            continue;
        }
        ++delivery.calls;
        pace_.take(delivery.row.chat_id, message.message_count(), now);
        if (message.has_uploads()) {
            bot_->call(id, to_word(message.method), to_form(message, delivery.row.chat_id));
        } else {
            bot_->call(id, to_word(message.method), to_json(message, delivery.row.chat_id));
        }
    }
    waiting_ = std::move(still_waiting);
}

// Given back where it would wait so long that its lease might run out.
bool Notifier::put_off_for_pace(const Delivery& delivery, Time now) {
    const std::int64_t chat_id = delivery.row.chat_id;
    const Time chat_at = pace_.chat_ready_at(chat_id, delivery.message.message_count());
    const Time ready_at = std::max(chat_at, pace_.bot_ready_at(delivery.message.message_count()));
    if (ready_at <= delivery.waits_since + pace_patience) {
        return false;
    }
    Decision decision = given_back("waits for Telegram's pace");
    decision.delay = std::max(std::chrono::ceil<milliseconds>(ready_at - now), put_off_min);
    if (chat_at > now) {
        pace_.put_off_chat(chat_id, chat_at);  // Or what is behind it would take the tokens that it waits for.
    }
    end(delivery.row.id, std::move(decision));
    return true;
}

void Notifier::take_answer(std::int64_t id, const telegram::CallResult& result) {
    if (id == 0) {
        take_token_check(result);
        return;
    }
    if (id < 0) {
        const telegram::Answer answer = telegram::classify(result, false);
        mind_the_bot(answer, progress_->chat_of(id));
        progress_->take_answer(id, answer);
        return;
    }
    const Delivery& delivery = deliveries_.at(id);
    const telegram::Answer answer = telegram::classify(result, delivery.message.has_media());
    mind_the_bot(answer, delivery.row.chat_id);
    const Attempt attempt{.attempts = delivery.row.attempts,
                          .uncertain_attempts = delivery.row.uncertain_attempts,
                          .calls = delivery.calls};
    const double chance = std::uniform_real_distribution<double>{0.0, 1.0}(random_);
    Decision decision = decide(answer, attempt, policy_, chance);
    if (stopping_ && (decision.state == NextState::send_again || answer.verdict == Verdict::unavailable)) {
        decision = given_back(answer.description);
    }
    if (decision.state == NextState::sent) {
        decision.error = delivery.met;
        if (delivery.part + 1 < delivery.parts.size()) {
            decision.state = NextState::send_again;
            decision.confirms_part = true;
        }
    }
    end(id, std::move(decision), answer.message_id);
}

// After a decision to send again has been stored.
void Notifier::go_on(Delivery& delivery, const Decision& decision) {
    if (stopping_) {
        end(delivery.row.id, given_back("the daemon is being stopped"));
        return;
    }
    delivery.met = decision.error;
    if (decision.confirms_part) {
        ++delivery.part;
        begin_part(delivery);
        return;
    }
    if (decision.new_chat_id) {
        delivery.row.chat_id = *decision.new_chat_id;
    } else if (auto documents = forbids_media(decision.error) ? std::nullopt : as_documents(delivery.message)) {
        delivery.message = std::move(*documents);
    } else {
        delivery.message = as_text(delivery.message);
    }
    send(delivery);
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
        refuse_token(answer.description, now);
    } else if (is_answered) {
        accept_token();
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
    const Delivery& delivery = deliveries_.at(id);
    outcomes_.push_back(
        {.id = id, .chat_id = delivery.row.chat_id, .decision = std::move(decision), .message_id = message_id});
    report(delivery, outcomes_.back());
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
                spdlog::info("notification sent {} message_id={} waited_ms={}", who, message_id_text(outcome),
                             delivery.row.age.count());
            }
            break;
        case NextState::pending:
            ++counters_.retried;
            spdlog::warn("notification postponed {} delay_ms={} may_have_arrived={} error={}", who,
                         decision.delay.count(), decision.may_have_arrived, in_quotes(decision.error));
            break;
        case NextState::send_again:
            if (decision.confirms_part) {
                spdlog::info("part of a notification sent {} part={} of={} message_id={}", who, delivery.part + 1,
                             delivery.parts.size(), message_id_text(outcome));
            } else {
                spdlog::info("notification is sent in another form {} error={}", who, in_quotes(decision.error));
            }
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

}  // namespace runledger
