// Composes messages: from a settlement's notice to calls of the Bot API.
//
// Most notifications are one call: a picture with a caption, an album, a film, or a text. Many outputs make several,
// the parts. Invariant: the result is within Telegram's limits and well-formed, whatever the payload had. The number of
// parts and their content depend on the notice alone, so that a later attempt continues where the last one ended.
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

#include "daemon/telegram/notice.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger::telegram {

inline constexpr std::size_t album_media_max = 10;
inline constexpr std::size_t media_parts_max = 12;  // Outputs of further parts are linked.

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
    std::optional<MediumKind> preview{};  // What it is, if the record asked for a document.
};

struct Message {
    Method method{Method::send_message};
    std::string text{};               // HTML: the text, or the caption (of an album's first).
    std::vector<Attachment> media{};  // None, one, or 2 to 10.
    std::optional<std::int64_t> thread_id{};
    std::optional<std::int64_t> reply_to{};
    bool is_silent{false};     // It alerts nobody.
    bool is_protected{false};  // Telegram's apps neither forward nor save it.
    Rows<Button> buttons{};    // Never of an album, which can't have any.
    std::string left_out{};    // Of the last part: what of the buttons can't be used.

    [[nodiscard]] bool has_media() const noexcept { return !media.empty(); }
    [[nodiscard]] bool has_uploads() const noexcept;
    // How many messages it counts for against the pace.
    [[nodiscard]] std::size_t message_count() const noexcept { return media.empty() ? 1 : media.size(); }
};

struct EarlierAttempts {
    std::size_t parts_sent{0};     // Confirmed by earlier attempts.
    bool may_have_arrived{false};  // The part after them may have arrived, and says so.
};

// All parts, including those that were sent. Empty if there is nothing to send: a follow-up whose outputs can't be
// shown.
[[nodiscard]] std::vector<Message> compose(const SettlementNotice& notice, const Wording& wording,
                                           const EarlierAttempts& earlier, const OptionDefaults& defaults = {});

// The same message with its media as documents, if that makes a difference: for media that Telegram can't show.
[[nodiscard]] std::optional<Message> as_documents(const Message& message);
// The same message with its documents as the pictures, films and sound that they are, if the record had asked for
// documents and they fit into one message: for documents that Telegram could not fetch.
[[nodiscard]] std::optional<Message> as_previews(const Message& message);
// The same message as a text with links: for media that Telegram could not fetch, or may not post there.
[[nodiscard]] Message as_text(const Message& message);
// The message without the media for which `is_gone` is true, with a sentence that says how many; a text if none is
// left.
[[nodiscard]] Message without(const Message& message, const std::vector<bool>& is_gone, const Wording& wording);

}  // namespace runledger::telegram
