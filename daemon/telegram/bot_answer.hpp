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
    too_many,       // 429: this chat waits for retry_after.
    migrated,       // The group has a new id, in migrate_to: send again there.
    unauthorized,   // The token or the address is wrong: nothing can be sent until somebody repairs it.
    media_refused,  // Telegram can't fetch or post the media: say it in text.
    chat_refused,   // 403: for good, for whatever is sent to this chat.
    refused,        // For good, for this message in this chat.
    unavailable,    // Not taken, but nothing is wrong with the message: try again later.
    uncertain,      // May have arrived; nobody will ever know.
};

struct Answer {
    Verdict verdict{};
    std::optional<std::int64_t> message_id{};  // With `sent`: the message's, or an album's first; nothing if not told.
    std::chrono::seconds retry_after{};        // With `too_many`; at least 1.
    std::int64_t migrate_to{};                 // With `migrated`.
    std::string description{};                 // For people: one line of at most 300 bytes; empty with `sent`.
};

// `has_media`: the call gave Telegram media to fetch.
[[nodiscard]] Answer classify(const CallResult& result, bool has_media);

}  // namespace runledger::telegram
