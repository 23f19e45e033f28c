// Decodes a notification's payload from the outbox's jsonb, whatever shape the sender's outputs had.
//
// As tolerant as the ledger: odd outputs are skipped, the ending counts. Texts are clean, URLs are plain http(s) ones,
// everything is bounded. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/telegram/options.hpp"

namespace runledger::telegram {

enum class NoticeKind : std::uint8_t { ending, follow_up, correction };
enum class EndStatus : std::uint8_t { completed, failed, cancelled };
enum class MediumKind : std::uint8_t { photo, video, animation, audio, document };

// The word in notifications.kind. Nothing for a word that is not known.
[[nodiscard]] std::optional<NoticeKind> find_notice_kind(std::string_view word) noexcept;

inline constexpr std::size_t media_kept_max = 100;
inline constexpr std::size_t texts_kept_max = 100;
// Holds more than the longest message shows: 4096 units of three bytes each.
inline constexpr std::size_t text_kept_bytes_max = 16UL * 1024;
inline constexpr std::size_t url_bytes_max = 2048;

// One picture, film or file that has a URL.
struct Medium {
    MediumKind kind{};
    std::string url;
    std::string name;  // The file's, for people; never empty.
};

struct SettlementNotice {
    NoticeKind kind{};
    EndStatus status{};
    std::string run_id{};
    std::string reason{};  // Empty: none known.
    std::optional<double> duration_ms{};
    std::optional<double> cost_usd{};
    std::string generation_id{};              // The application's handle, as text; empty: not told.
    std::optional<std::int64_t> thread_id{};  // The forum topic that the message belongs into.
    std::optional<std::int64_t> reply_to{};   // The message that it answers.
    MessageOptions options{};
    std::string left_out{};  // What of its place and options metadata gives in vain; empty: nothing.
    std::vector<Medium> media{};
    std::vector<std::string> texts{};  // Text outputs, each as one.
    std::size_t media_left_out{0};     // Over the bound.
    std::size_t links_unusable{0};     // No plain URL can be made of them, or it is longer than url_bytes_max.
    bool has_outputs{false};           // The run had outputs, usable here or not.
};

struct NoticeSource {
    NoticeKind kind{};
    std::string_view run_id;
    std::string_view payload;
};

// Nothing if the payload is not an object or its status is unknown: then there is nothing to send.
[[nodiscard]] std::optional<SettlementNotice> read_notice(const NoticeSource& source);

// Whether a text may become a link or be given to Telegram to fetch: http or https, a host, no user, no blanks.
[[nodiscard]] bool is_plain_url(std::string_view url) noexcept;

// The URL as a plain one: blanks, backslashes and other bytes that no URL holds are percent-encoded behind the host.
// Nothing if that gives no plain URL, as with such bytes in the host.
[[nodiscard]] std::optional<std::string> find_plain_url(std::string_view url);

// The URL with its query and fragment masked: "https://host/x.png?…". For logs: a presigned query is a key.
[[nodiscard]] std::string mask_query(std::string_view url);

}  // namespace runledger::telegram
