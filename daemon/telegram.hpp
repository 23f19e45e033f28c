// What is said: from a notification's news to one call of the Bot API.
//
// One notification is one call: a picture with a caption, an album, a film, or a text with links. Invariant: what
// comes out keeps Telegram's bounds and is well-formed, whatever the payload held. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/telegram_news.hpp"

namespace runledger::telegram {

inline constexpr std::size_t album_photos_max = 10;

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

struct Message {
    Method method{Method::send_message};
    std::string text{};                // HTML: the text, or the caption (of an album's first photo).
    std::vector<std::string> media{};  // URLs for Telegram to fetch: none, one, or 2 to 10 photos.

    [[nodiscard]] bool has_media() const noexcept { return !media.empty(); }
    // How many messages it counts for against the pace.
    [[nodiscard]] std::size_t message_count() const noexcept { return media.empty() ? 1 : media.size(); }
};

enum class Form : std::uint8_t {
    media,  // Pictures as pictures, where there are any.
    links,  // Text only: when Telegram could not fetch the media, or may not post them there.
};

// Nothing where there is nothing to tell: a follow-up whose outputs can't be shown.
[[nodiscard]] std::optional<Message> compose(const News& news, Form form, bool may_be_duplicate);

// The body of the call, JSON.
[[nodiscard]] std::string to_json(const Message& message, std::int64_t chat_id);

}  // namespace runledger::telegram
