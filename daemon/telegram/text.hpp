// Text as Telegram counts and marks it up: lengths in UTF-16 units after entities, parse_mode HTML.
//
// Invariant: what HtmlText holds is well-formed HTML of at most its bound, at any moment; text is cut before it is
// escaped, between code points, so neither an escape nor a surrogate pair is ever halved. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runledger::telegram {

// docs/bot-api.md, "Lengths".
inline constexpr std::size_t text_units_max = 4096;
inline constexpr std::size_t caption_units_max = 1024;

// UTF-16 units of UTF-8: two for a code point beyond U+FFFF, one for any other and for each byte that is not UTF-8.
[[nodiscard]] std::size_t count_units(std::string_view text) noexcept;

// The longest beginning of at most so many units, cut between code points.
[[nodiscard]] std::string_view cut_to_units(std::string_view text, std::size_t units_max) noexcept;

// The longest beginning of at most so many bytes, cut between code points.
[[nodiscard]] std::string_view cut_to_bytes(std::string_view text, std::size_t bytes_max) noexcept;

// The length of well-formed HTML as Telegram counts it: without its tags, an entity as the one character that it is.
[[nodiscard]] std::size_t visible_units(std::string_view html) noexcept;

// Valid UTF-8 without control characters but newline and tab: a character that can't be shown becomes U+FFFD or
// nothing.
[[nodiscard]] std::string clean(std::string_view text);

// As clean(), on one line: for logs and for last_error.
[[nodiscard]] std::string clean_line(std::string_view text);

class HtmlText {
public:
    explicit HtmlText(std::size_t units_max) : units_max_(units_max), units_left_(units_max) {}

    // As much of the text as fits into the bound, and into `units_max` of its own; where it is cut, its last
    // character is an ellipsis. Returns whether all of it is there.
    bool add(std::string_view plain, std::size_t units_max = static_cast<std::size_t>(-1));

    // Whole, or not at all and false.
    [[nodiscard]] bool add_italic(std::string_view plain) { return add_whole("<i>", plain, "</i>"); }
    [[nodiscard]] bool add_code(std::string_view plain) { return add_whole("<code>", plain, "</code>"); }
    [[nodiscard]] bool add_link(std::string_view url, std::string_view label);

    [[nodiscard]] std::size_t units_used() const noexcept { return units_max_ - units_left_; }
    [[nodiscard]] std::size_t units_left() const noexcept { return units_left_; }
    [[nodiscard]] std::string take() noexcept { return std::move(html_); }

private:
    bool add_whole(std::string_view before, std::string_view plain, std::string_view after);

    std::string html_;
    std::size_t units_max_;
    std::size_t units_left_;
};

}  // namespace runledger::telegram
