// What becomes of a notification after an answer: sent, once more now, later, or given up.
//
// A message that can't have arrived is tried again; one that may have is tried once more, marked, and then left as
// `uncertain`. Pure; chance comes as a number.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/telegram/bot_answer.hpp"

namespace runledger {

struct NotifyPolicy {
    unsigned attempts_max{12};
    std::chrono::milliseconds retry_delay_min{500};  // Doubled with each attempt up to the most; half of it is chance.
    std::chrono::milliseconds retry_delay_max{std::chrono::minutes{5}};
    unsigned uncertain_attempts_max{2};  // Tried once more after the first, then left alone.
    // One wait after a 429, which costs no attempt; [telegram] not_after_seconds bounds all of them.
    std::chrono::milliseconds hold_max{std::chrono::hours{1}};
    // For one part, in all attempts: calls that need another way, the last of which is given up. The ways are a new
    // chat id, no thread, no buttons, documents, a text.
    unsigned calls_max{5};
    // A 429 may be about an album alone, which counts for as many messages as it has: after so many it becomes a text.
    unsigned album_refusals_for_pace_max{3};
};

// A notification that was leased, as of the answer.
struct Attempt {
    unsigned attempts{1};            // This one included.
    unsigned uncertain_attempts{0};  // Before this one.
    unsigned calls{1};               // Of this part that needed another way, in all attempts; this one included.
    unsigned refusals_for_pace{0};   // 429 answers to this part in its form, before this one.
    bool is_album{false};            // It counts for several messages against Telegram's pace.
};

enum class NextState : std::uint8_t {
    sent,
    logged,  // Mode log: it was written to the log in place of being sent.
    pending,
    send_again,  // Still ours: another call in the same attempt.
    uncertain,
    dead,
    skipped,
};

// The notifications' state where it is one; "send_again".
[[nodiscard]] std::string_view to_word(NextState state) noexcept;

// What the answer says of the chat as a whole, beside the message.
enum class ChatEffect : std::uint8_t {
    none,
    held,     // After a 429, by every daemon, for Decision::delay.
    moved,    // To new_chat_id, from now on.
    refused,  // For good: what else waits for it is dead, too.
};

// What another call in the same attempt changes.
enum class Remedy : std::uint8_t {
    none,        // The next part follows.
    new_chat,    // To new_chat_id.
    no_thread,   // Into the chat, beside its threads.
    no_buttons,  // Without what Telegram can't make of them.
    other_form,  // Media as documents, or else as a text with links.
    text_only,
};

struct Decision {
    NextState state{};
    std::chrono::milliseconds delay{};  // With `pending`: not before now and this.
    bool gives_attempt_back{false};     // The attempt does not count against attempts_max.
    bool may_have_arrived{false};       // Counts as uncertain.
    Remedy remedy{};                    // With `send_again`; after a 429 with `pending`, too.
    bool confirms_part{false};          // With `send_again`: this call was taken, the next one has what follows.
    ChatEffect chat{ChatEffect::none};
    std::optional<std::int64_t> new_chat_id{};
    std::string error{};  // For last_error; empty with `sent`.
};

// `chance` is between 0 and 1.
[[nodiscard]] Decision decide(const telegram::Answer& answer, const Attempt& attempt, const NotifyPolicy& policy,
                              double chance);

}  // namespace runledger
