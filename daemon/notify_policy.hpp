// What becomes of a notification after an answer: sent, once more now, later, or given up.
//
// A message that can't have arrived is tried again; one that may have is tried once more, marked, and then left as
// `uncertain`. Pure; chance comes as a number.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/bot_answer.hpp"

namespace runledger {

struct NotifyPolicy {
    unsigned attempts_max{12};
    std::chrono::milliseconds retry_delay_min{500};  // Doubled with each attempt up to the most; half of it is chance.
    std::chrono::milliseconds retry_delay_max{std::chrono::minutes{5}};
    unsigned uncertain_attempts_max{2};  // Tried once more after the first, then left alone.
    // A 429 costs no attempt, so it has bounds of its own: one wait, and all of them since the notification was made.
    std::chrono::milliseconds hold_max{std::chrono::hours{1}};
    std::chrono::milliseconds held_age_max{std::chrono::hours{48}};
    unsigned calls_max{4};  // In one attempt: a new chat id, text instead of media.
};

// A notification that was leased, as of the answer.
struct Attempt {
    unsigned attempts{1};             // This one included.
    unsigned uncertain_attempts{0};   // Before this one.
    std::chrono::milliseconds age{};  // Since it was made, when it was leased.
    unsigned calls{1};                // Of this attempt, the one that was answered included.
};

enum class NextState : std::uint8_t {
    sent,
    pending,
    send_again,  // Still ours: another call in the same attempt.
    uncertain,
    dead,
    skipped,
};

// The notifications' state where it is one; "send_again".
[[nodiscard]] std::string_view to_word(NextState state) noexcept;

struct Decision {
    NextState state{};
    std::chrono::milliseconds delay{};  // With `pending`: not before now and this.
    bool gives_attempt_back{false};     // The attempt does not count against attempts_max.
    bool may_have_arrived{false};       // Counts as uncertain.
    std::optional<std::int64_t> new_chat_id{};
    std::string error{};  // For last_error; empty with `sent`.
};

// `chance` is between 0 and 1.
[[nodiscard]] Decision decide(const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy,
                              double chance);

}  // namespace runledger
