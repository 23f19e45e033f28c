#include "daemon/web/html.hpp"

namespace runledger::web {
namespace {

// How many bytes the character at the beginning has; 0: they are no UTF-8.
std::size_t length_of_character(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    const std::size_t length = first < 0x80                     ? 1
                               : first >= 0xC2 && first <= 0xDF ? 2
                               : first >= 0xE0 && first <= 0xEF ? 3
                               : first >= 0xF0 && first <= 0xF4 ? 4
                                                                : 0;
    if (length == 0 || length > text.size()) {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) {
            return 0;
        }
    }
    // Overlong forms, surrogates, and what is beyond U+10FFFF.
    const bool is_bad = length > 2 && ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
                                       (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F));
    return is_bad ? 0 : length;
}

}  // namespace

std::string escaped(std::string_view text) {
    constexpr std::string_view replacement = "\xEF\xBF\xBD";
    std::string safe;
    safe.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = length_of_character(text);
        if (length == 0) {
            safe += replacement;
            text.remove_prefix(1);
            continue;
        }
        switch (const char c = text.front()) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            case '\'':
                safe += "&#39;";
                break;
            case '`':
                safe += "&#96;";
                break;
            default:
                if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) && c != '\n' && c != '\t') {
                    safe += replacement;
                } else {
                    safe += text.substr(0, length);
                }
        }
        text.remove_prefix(length);
    }
    return safe;
}

}  // namespace runledger::web
