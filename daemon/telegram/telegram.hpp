// What is said: from a notification's news to calls of the Bot API.
//
// Most notifications are one call: a picture with a caption, an album, a film, or a text. Many outputs make several,
// the parts. Invariant: what comes out keeps Telegram's bounds and is well-formed, whatever the payload held; how many
// parts there are, and what is in each, depends on the news alone, so that a later attempt goes on where one ended.
// Pure; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/telegram/news.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger::telegram {

inline constexpr std::size_t album_media_max = 10;
inline constexpr std::size_t media_parts_max = 12;  // What is in further ones is linked.

enum class Method : std::uint8_t {
    send_message,
    send_photo,
    send_video,
    send_animation,
    send_audio,
    send_document,
    send_media_group,
};

// The Bot API's name: "sendPhoto".
[[nodiscard]] std::string_view to_word(Method method) noexcept;

// For Telegram to fetch by its URL; or, where there are bytes, uploaded.
struct Attachment {
    MediumKind kind{};
    std::string url{};
    std::string name{};
    std::shared_ptr<const std::string> bytes{};
};

struct Message {
    Method method{Method::send_message};
    std::string text{};               // HTML: the text, or the caption (of an album's first).
    std::vector<Attachment> media{};  // None, one, or 2 to 10.
    std::optional<std::int64_t> thread_id{};
    std::optional<std::int64_t> reply_to{};

    [[nodiscard]] bool has_media() const noexcept { return !media.empty(); }
    [[nodiscard]] bool has_uploads() const noexcept;
    // How many messages it counts for against the pace.
    [[nodiscard]] std::size_t message_count() const noexcept { return media.empty() ? 1 : media.size(); }
};

struct Telling {
    std::size_t parts_sent{0};     // Confirmed by earlier attempts.
    bool may_be_duplicate{false};  // The part after them may have arrived, and says so.
};

// All parts, those that were sent included. Empty where there is nothing to tell: a follow-up whose outputs can't be
// shown.
[[nodiscard]] std::vector<Message> compose(const News& news, const Wording& wording, const Telling& telling);

// The same as files, where that is another thing: when Telegram can't make pictures or films of them.
[[nodiscard]] std::optional<Message> as_documents(const Message& message);
// The same as a text with links: when Telegram could not fetch the media, or may not post them there.
[[nodiscard]] Message as_text(const Message& message);
// Without those of its media that `is_gone` says true of, and with a sentence that says so; a text where none is left.
[[nodiscard]] Message without(const Message& message, const std::vector<bool>& is_gone, const Wording& wording);

}  // namespace runledger::telegram
