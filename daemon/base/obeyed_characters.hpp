// Characters that a terminal obeys instead of showing them: whoever prints a sender's text must know them. Pure; any
// thread.
#pragma once

#include <cstddef>
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

}  // namespace runledger
