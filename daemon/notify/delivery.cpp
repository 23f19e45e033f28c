#include "daemon/notify/delivery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/notify/media.hpp"
#include "daemon/telegram/left_out.hpp"

namespace runledger {
namespace {

using telegram::FetchVerdict;
using telegram::Verdict;

constexpr std::string_view stopped = "the daemon is being stopped, or its configuration changes";
constexpr std::string_view only_logged = "written to the daemon's log only, because [telegram] mode is \"log\"";

// Pictures, films and sound as documents; documents, if the record had asked for those, as what they are.
std::optional<telegram::Message> other_media(const telegram::Message& message) {
    auto documents = telegram::as_documents(message);
    return documents ? documents : telegram::as_previews(message);
}

telegram::Message in_form(const telegram::Message& message, MessageForm form) {
    switch (form) {
        case MessageForm::media:
            return message;
        case MessageForm::documents:
            return other_media(message).value_or(message);
        case MessageForm::text:
            return telegram::as_text(message);
    }
    return message;
}

}  // namespace

NotificationDelivery::Action NotificationDelivery::begin(WallTime now) {
    const auto kind = telegram::find_notice_kind(row_.kind);
    const auto notice =
        kind ? telegram::read_notice({.kind = *kind, .run_id = row_.run_id, .payload = row_.payload}) : std::nullopt;
    if (notice) {
        left_out_ = notice->left_out;
        language_ = notice->options.language;
    }
    if (notice && notice->links_unusable > 0) {
        last_error_ = fmt::format("links that can't be used, because they are malformed or longer than {} bytes: {}",
                                  telegram::url_bytes_max, notice->links_unusable);
    }
    names_files_ = notice && !notice->options.file_name.empty();
    row_.payload = {};  // Up to megabytes; the notice holds what is used of it.
    if (!notice) {
        return end({.state = NextState::dead, .error = "the payload can't be read"});
    }
    parts_ = telegram::compose(*notice, wording(),
                               {.parts_sent = row_.parts_sent, .may_have_arrived = row_.uncertain_attempts > 0},
                               rules_->options);
    if (parts_.empty()) {
        return end({.state = NextState::skipped, .error = "its outputs hold nothing that can be shown"});
    }
    telegram::add_left_out(left_out_, parts_.back().left_out);
    part_ = row_.parts_sent;
    progress_ = row_.next_part;
    if (part_ >= parts_.size()) {
        return end({.state = NextState::sent, .error = left_out_});  // All of it was confirmed before.
    }
    return begin_part(now);
}

NotificationDelivery::Action NotificationDelivery::begin_part(WallTime now) {
    message_ = parts_[part_];
    if (progress_.without_thread) {
        message_.thread_id.reset();
    }
    if (progress_.without_buttons) {
        message_.buttons.clear();
    }
    if (rules_->only_logs) {
        return WriteToLog{};
    }
    return prepare_media(now);
}

NotificationDelivery::Action NotificationDelivery::on_written_to_log() {
    return end({.state = NextState::logged, .error = std::string(only_logged)});
}

NotificationDelivery::Action NotificationDelivery::prepare_media(WallTime now) {
    message_ = without_expired_links(message_, now, wording());
    message_ = in_form(message_, progress_.form);
    fetched_.assign(message_.media.size(),
                    telegram::Fetched{.verdict = FetchVerdict::too_large});  // Those are left to Telegram.
    FetchMedia fetch;
    for (std::size_t i = 0; i < message_.media.size(); ++i) {
        if (rules_->may_fetch && rules_->may_fetch(message_.media[i].url)) {
            fetch.links.push_back({.index = i, .url = message_.media[i].url});
        }
    }
    if (fetch.links.empty()) {
        return send_media();
    }
    for (FetchMedia::Link& link : fetch.links) {
        link.bytes_max = rules_->fetch_bytes_max / fetch.links.size();
    }
    fetching_ = fetch.links.size();
    state_ = State::fetching;
    return fetch;
}

NotificationDelivery::Action NotificationDelivery::on_fetched(std::size_t index, telegram::Fetched fetched) {
    if (state_ != State::fetching) {
        return Wait{};  // Stopped meanwhile.
    }
    if (!fetched.why.empty()) {
        last_error_ = fmt::format("{} {}", message_.media[index].name, fetched.why);
    }
    fetched_[index] = std::move(fetched);
    if (--fetching_ > 0) {
        return Wait{};
    }
    return send_media();
}

// With what was fetched; the other links go to the Bot API server, if it may get them.
NotificationDelivery::Action NotificationDelivery::send_media() {
    for (std::size_t i = 0; rules_->may_hand_over && i < message_.media.size(); ++i) {
        const telegram::Attachment& attachment = message_.media[i];
        if (fetched_[i].verdict == FetchVerdict::too_large && !rules_->may_hand_over(attachment.url)) {
            fetched_[i].verdict = FetchVerdict::forbidden;
            last_error_ = fmt::format("{} is not handed over to the Bot API server, which may fetch it from inside",
                                      attachment.name);
        }
    }
    message_ = with_fetched(std::move(message_), std::exchange(fetched_, {}), wording());
    if (names_files_ && !message_.media.empty() && !message_.has_uploads()) {
        telegram::add_left_out(left_out_,
                               "the file name needs an upload, and no link's host is in [telegram] fetch_hosts");
        names_files_ = false;  // Once.
    }
    return send();
}

NotificationDelivery::Action NotificationDelivery::send() {
    state_ = State::waiting;
    return SendMessage{};
}

void NotificationDelivery::on_call() noexcept { state_ = State::calling; }

NotificationDelivery::Action NotificationDelivery::on_answer(const telegram::Answer& answer, double chance) {
    const Attempt attempt{.attempts = row_.attempts,
                          .uncertain_attempts = row_.uncertain_attempts,
                          .calls = progress_.fallbacks + 1,
                          .refusals_for_pace = progress_.refusals_for_pace,
                          .is_album = message_.message_count() > 1};
    Decision decision = decide(answer, attempt, rules_->policy, chance);
    if (decision.remedy == Remedy::no_thread && !message_.thread_id) {
        decision = {.state = NextState::dead, .error = answer.description};  // It named none.
    }
    if (decision.remedy == Remedy::no_buttons && message_.buttons.empty()) {
        decision = {.state = NextState::dead, .error = answer.description};  // It had none.
    }
    if (answer.verdict == Verdict::too_many) {
        ++progress_.refusals_for_pace;
    }
    count_remedy(decision.remedy);
    const bool was_not_taken = answer.verdict == Verdict::unreached || answer.verdict == Verdict::unavailable;
    if (is_stopping_ && (decision.state == NextState::send_again || was_not_taken)) {
        return give_back(answer.description);
    }
    if (decision.state == NextState::sent) {
        decision.error = last_error_;
        if (part_ + 1 < parts_.size()) {
            decision.state = NextState::send_again;
            decision.confirms_part = true;
        } else {
            telegram::add_left_out(decision.error, left_out_);
        }
    }
    return end(std::move(decision), answer.message_id);
}

NotificationDelivery::Action NotificationDelivery::on_stored(const Decision& decision, WallTime now) {
    if (is_stopping_) {
        return give_back(std::string(stopped));
    }
    last_error_ = decision.error;
    switch (decision.remedy) {
        case Remedy::none:
            ++part_;
            progress_ = next_part();
            return begin_part(now);
        case Remedy::new_chat:
            row_.chat_id = decision.new_chat_id.value_or(row_.chat_id);
            row_.chat_name.clear();
            return send();
        case Remedy::no_thread:
            message_.thread_id.reset();
            return send();
        case Remedy::no_buttons:
            message_.buttons.clear();
            return send();
        case Remedy::other_form:
        case Remedy::text_only:
            message_ = in_form(message_, progress_.form);
            return send();
    }
    return send();
}

void NotificationDelivery::count_remedy(Remedy remedy) {
    if (remedy == Remedy::none) {
        return;
    }
    ++progress_.fallbacks;
    if (remedy == Remedy::no_thread) {
        progress_.without_thread = true;
    } else if (remedy == Remedy::no_buttons) {
        progress_.without_buttons = true;
    } else if (remedy != Remedy::new_chat) {
        const bool may_be_documents =
            remedy == Remedy::other_form && progress_.form == MessageForm::media && other_media(message_).has_value();
        progress_.form = may_be_documents ? MessageForm::documents : MessageForm::text;
        progress_.refusals_for_pace = 0;
    }
}

// What stays of it for the part behind this one.
PartProgress NotificationDelivery::next_part() const {
    return {.without_thread = progress_.without_thread, .without_buttons = progress_.without_buttons};
}

AttemptOutcome NotificationDelivery::give_back(std::string error, std::chrono::milliseconds delay) {
    return end({.state = NextState::pending, .delay = delay, .gives_attempt_back = true, .error = std::move(error)});
}

AttemptOutcome NotificationDelivery::fail(std::string error, double chance) {
    const telegram::Answer answer{.verdict = is_calling() ? Verdict::uncertain : Verdict::unavailable,
                                  .description = std::move(error)};
    return end(decide(answer, {.attempts = row_.attempts, .uncertain_attempts = row_.uncertain_attempts},
                      rules_->policy, chance));
}

NotificationDelivery::Action NotificationDelivery::stop() {
    is_stopping_ = true;
    if (state_ == State::fetching || state_ == State::waiting) {
        return give_back(std::string(stopped));
    }
    return Wait{};
}

AttemptOutcome NotificationDelivery::end(Decision decision, std::optional<std::int64_t> message_id) {
    state_ = decision.state == NextState::send_again ? State::storing : State::ending;
    fetching_ = 0;
    const bool confirms_part = decision.confirms_part || decision.state == NextState::sent;
    return {.id = row_.id,
            .chat_id = row_.chat_id,
            .decision = std::move(decision),
            .message_id = message_id,
            .parts_sent = std::min(part_ + (confirms_part ? 1 : 0), parts_.size()),
            .next_part = confirms_part ? next_part() : progress_};
}

}  // namespace runledger
