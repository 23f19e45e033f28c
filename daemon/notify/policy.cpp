#include "daemon/notify/policy.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace runledger {
namespace {

using std::chrono::milliseconds;
using telegram::Verdict;

milliseconds backoff(const Attempt& attempt, const NotifyPolicy& policy, double chance) {
    milliseconds step = policy.retry_delay_min;
    for (unsigned i = 1; i < attempt.attempts && step < policy.retry_delay_max; ++i) {
        step *= 2;
    }
    step = std::min(step, policy.retry_delay_max);
    return milliseconds{static_cast<milliseconds::rep>(static_cast<double>(step.count()) * (0.5 + chance / 2))};
}

Decision later_or_dead(std::string error, const Attempt& attempt, const NotifyPolicy& policy, double chance) {
    if (attempt.attempts >= policy.attempts_max) {
        return {.state = NextState::dead,
                .error = fmt::format("given up after {} attempts: {}", attempt.attempts, error)};
    }
    return {.state = NextState::pending, .delay = backoff(attempt, policy, chance), .error = std::move(error)};
}

Decision held(const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy) {
    const auto wait = std::min<milliseconds>(answer.retry_after, policy.hold_max);
    return {.state = NextState::pending,
            .delay = wait,
            .gives_attempt_back = true,
            .remedy = attempt.is_album && attempt.refusals_for_pace + 1 >= policy.album_refusals_for_pace_max
                          ? Remedy::text_only
                          : Remedy::none,
            .chat = ChatEffect::held,
            .error = answer.description};
}

Decision again(Remedy remedy, const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy) {
    return {.state = attempt.calls < policy.calls_max ? NextState::send_again : NextState::dead,
            .remedy = remedy,
            .error = answer.description};
}

Decision uncertain(const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy, double chance) {
    const unsigned uncertain_attempts = attempt.uncertain_attempts + 1;
    if (uncertain_attempts >= policy.uncertain_attempts_max || attempt.attempts >= policy.attempts_max) {
        return {.state = NextState::uncertain,
                .may_have_arrived = true,
                .error = fmt::format("may have arrived, not tried again: {}", answer.description)};
    }
    return {.state = NextState::pending,
            .delay = backoff(attempt, policy, chance),
            .may_have_arrived = true,
            .error = fmt::format("may have arrived: {}", answer.description)};
}

}  // namespace

std::string_view to_word(NextState state) noexcept {
    switch (state) {
        case NextState::sent:
            return "sent";
        case NextState::logged:
            return "logged";
        case NextState::pending:
            return "pending";
        case NextState::send_again:
            return "send_again";
        case NextState::uncertain:
            return "uncertain";
        case NextState::dead:
            return "dead";
        case NextState::skipped:
            return "skipped";
    }
    return "unknown";
}

Decision decide(const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy, double chance) {
    switch (answer.verdict) {
        case Verdict::sent:
            return {.state = NextState::sent};
        case Verdict::too_many:
            return held(answer, attempt, policy);
        case Verdict::migrated: {
            Decision decision = again(Remedy::new_chat, answer, attempt, policy);
            decision.new_chat_id = answer.migrate_to;
            decision.chat = ChatEffect::moved;
            return decision;
        }
        case Verdict::media_refused:
            return again(Remedy::other_form, answer, attempt, policy);
        case Verdict::media_forbidden:
            return again(Remedy::text_only, answer, attempt, policy);
        case Verdict::thread_refused:
            return again(Remedy::no_thread, answer, attempt, policy);
        case Verdict::buttons_refused:
            return again(Remedy::no_buttons, answer, attempt, policy);
        case Verdict::unauthorized:
            return {.state = NextState::pending, .gives_attempt_back = true, .error = answer.description};
        case Verdict::chat_refused:
            return {.state = NextState::dead, .chat = ChatEffect::refused, .error = answer.description};
        case Verdict::refused:
            return {.state = NextState::dead, .error = answer.description};
        case Verdict::unreached:
            // An outage is not the message's fault. [telegram] not_after_seconds bounds it, and the loop's own backoff.
            return {.state = NextState::pending,
                    .delay = backoff(attempt, policy, chance),
                    .gives_attempt_back = true,
                    .error = answer.description};
        case Verdict::unavailable:
            return later_or_dead(answer.description, attempt, policy, chance);
        case Verdict::uncertain:
            return uncertain(answer, attempt, policy, chance);
    }
    return {.state = NextState::dead, .error = "no decision"};
}

}  // namespace runledger
