// What the Bot API's answer to one call means, as a value.
//
// Only an answer in the Bot API's own JSON may condemn a message or a chat: a proxy's error page never does.
// Source of the descriptions: docs/bot-api.md, "Refusals". Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace runledger::telegram {

// HTTP came back with a status.
struct HttpAnswer {
    long status{};
    std::string body{};
    std::optional<std::chrono::seconds> retry_after{};  // The header.
};

// No answer came.
struct Broken {
    bool may_have_arrived{};  // The request had left, or was leaving: the message may be in the chat.
    std::string why{};
};

using CallResult = std::variant<HttpAnswer, Broken>;

enum class Verdict : std::uint8_t {
    sent,
    too_many,         // 429, or a 400 that quotes one: this chat waits for retry_after.
    migrated,         // The group has a new id, in migrate_to: send again there.
    unauthorized,     // The token or the address is wrong: nothing can be sent until somebody repairs it.
    media_refused,    // Telegram can't fetch or show the media: send them in another form.
    media_forbidden,  // Nothing but text may be posted there.
    thread_refused,   // There is no such thread: send without it.
    buttons_refused,  // The buttons can't be made: send without them.
    chat_refused,     // 403: for good, for whatever is sent to this chat.
    refused,          // For good, for this message in this chat.
    unreached,        // Not even sent: it can't have arrived, and nothing is known of the message.
    unavailable,      // Not taken, but nothing is wrong with the message: try again later.
    uncertain,        // May have arrived; nobody will ever know.
};

struct Answer {
    Verdict verdict{};
    std::optional<std::int64_t> message_id{};  // With `sent`: the message's, or an album's first; nothing if not told.
    std::chrono::seconds retry_after{};        // With `too_many`; 1 second to a day.
    std::int64_t migrate_to{};                 // With `migrated`.
    std::string description{};                 // For people: one line of at most 300 bytes; empty with `sent`.
};

// `has_media`: the call gave Telegram media to fetch.
[[nodiscard]] Answer classify(const CallResult& result, bool has_media);

}  // namespace runledger::telegram
