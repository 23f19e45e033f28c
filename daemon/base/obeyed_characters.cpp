#include "daemon/base/obeyed_characters.hpp"

namespace runledger {

Character first_character(std::string_view text) {
    const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char head = byte(0);
    if (head < 0x80) {
        return {.bytes = 1, .code = head, .is_utf8 = true};
    }
    const std::size_t bytes = head >= 0xF0 && head < 0xF5 ? 4 : head >= 0xE0 && head < 0xF0 ? 3 : head >= 0xC2 ? 2 : 0;
    if (bytes == 0 || head >= 0xF5 || text.size() < bytes) {
        return {};
    }
    char32_t code = head & (0x7FU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return {};
        }
        code = (code << 6U) | (byte(i) & 0x3FU);
    }
    return {.bytes = bytes, .code = code, .is_utf8 = true};
}

bool is_obeyed(char32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

std::string without_controls(std::string_view text, std::string_view instead) {
    return replace_obeyed(text, [instead](const Character& character, std::string_view bytes) {
        return character.code == '\n' || character.code == '\t' ? bytes : instead;
    });
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
    return replace_obeyed(text.substr(0, bytes_max), [](const Character&, std::string_view) { return ' '; });
}

}  // namespace runledger
