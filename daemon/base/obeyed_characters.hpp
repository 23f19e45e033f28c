// Characters that a terminal obeys instead of showing them: whoever prints a sender's text must know them. Pure; any
// thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runledger {

struct Character {
    std::size_t bytes{1};
    char32_t code{};
    bool is_utf8{false};
};

// The character that the text, which is not empty, begins with; of bytes that are none, one.
[[nodiscard]] Character first_character(std::string_view text);

// C0 and DEL, C1, and Unicode's marks of direction and of lines.
[[nodiscard]] bool is_obeyed(char32_t code);

// The text with the result of `instead` for each character that is obeyed, and for each byte that is no UTF-8.
template <class Instead>
[[nodiscard]] std::string replace_obeyed(std::string_view text, const Instead& instead) {
    std::string shown;
    while (!text.empty()) {
        const Character character = first_character(text);
        if (!character.is_utf8 || is_obeyed(character.code)) {
            shown += instead(character, text.substr(0, character.bytes));
        } else {
            shown += text.substr(0, character.bytes);
        }
        text.remove_prefix(character.bytes);
    }
    return shown;
}

// The text with `instead` for each of these. Line feeds and tabs stay.
[[nodiscard]] std::string without_controls(std::string_view text, std::string_view instead = " ");

// One line, whatever a sender has put into it: as without_controls(), and line feeds and tabs become blanks. Cut after
// `bytes_max`.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t bytes_max = std::string_view::npos);

}  // namespace runledger
