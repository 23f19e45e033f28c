#include "daemon/telegram/text.hpp"

#include <algorithm>
#include <cstdint>

namespace runledger::telegram {
namespace {

constexpr std::string_view ellipsis = "…";
constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

struct CodePoint {
    std::size_t bytes;
    char32_t value;
    bool is_valid;
};

// The code point at the beginning of a text that is not empty. A byte that begins none is one by itself, invalid.
CodePoint first_code_point(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) {
        return {1, lead, true};
    }
    const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) {
        return {1, lead, false};
    }
    char32_t value = lead & (0xFFU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return {1, lead, false};
        }
        value = (value << 6U) | (byte(i) & 0x3FU);
    }
    const bool is_overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
    const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (is_overlong || is_surrogate || value > 0x10FFFF) {
        return {1, lead, false};
    }
    return {bytes, value, true};
}

std::size_t units_of(const CodePoint& point) noexcept { return point.is_valid && point.value > 0xFFFF ? 2 : 1; }

void append_escaped(std::string& html, std::string_view plain) {
    for (const char c : plain) {
        switch (c) {
            case '&':
                html += "&amp;";
                break;
            case '<':
                html += "&lt;";
                break;
            case '>':
                html += "&gt;";
                break;
            case '"':
                html += "&quot;";
                break;
            default:
                html += c;
        }
    }
}

std::string clean_with(std::string_view text, bool keep_lines) {
    std::string cleaned;
    cleaned.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = first_code_point(text);
        const bool is_line_end =
            point.value == '\n' || point.value == '\r' || point.value == 0x2028 || point.value == 0x2029;
        if (!point.is_valid) {
            cleaned += replacement;
        } else if (point.value == '\t' || (is_line_end && !keep_lines)) {
            cleaned += ' ';
        } else if (point.value == '\n') {
            cleaned += '\n';
        } else if (point.value >= 0x20 && (point.value < 0x7F || point.value > 0x9F)) {
            cleaned += text.substr(0, point.bytes);
        }
        text.remove_prefix(point.bytes);
    }
    return cleaned;
}

}  // namespace

std::size_t count_units(std::string_view text) noexcept {
    std::size_t units = 0;
    while (!text.empty()) {
        const CodePoint point = first_code_point(text);
        units += units_of(point);
        text.remove_prefix(point.bytes);
    }
    return units;
}

std::size_t visible_units(std::string_view html) noexcept {
    std::size_t units = 0;
    while (!html.empty()) {
        if (html.front() == '<') {
            html.remove_prefix(std::min(html.find('>'), html.size() - 1) + 1);
        } else if (html.front() == '&') {
            html.remove_prefix(std::min(html.find(';'), html.size() - 1) + 1);
            ++units;
        } else {
            const CodePoint point = first_code_point(html);
            units += units_of(point);
            html.remove_prefix(point.bytes);
        }
    }
    return units;
}

std::string_view cut_to_units(std::string_view text, std::size_t units_max) noexcept {
    std::size_t bytes = 0;
    std::size_t units = 0;
    while (bytes < text.size()) {
        const CodePoint point = first_code_point(text.substr(bytes));
        if (units + units_of(point) > units_max) {
            break;
        }
        units += units_of(point);
        bytes += point.bytes;
    }
    return text.substr(0, bytes);
}

std::string_view cut_to_bytes(std::string_view text, std::size_t bytes_max) noexcept {
    if (text.size() <= bytes_max) {
        return text;
    }
    std::size_t bytes = 0;
    while (bytes < bytes_max) {
        const CodePoint point = first_code_point(text.substr(bytes));
        if (bytes + point.bytes > bytes_max) {
            break;
        }
        bytes += point.bytes;
    }
    return text.substr(0, bytes);
}

std::string clean(std::string_view text) { return clean_with(text, true); }
std::string clean_line(std::string_view text) { return clean_with(text, false); }

bool HtmlText::add(std::string_view plain, std::size_t units_max) {
    const std::size_t room = std::min(units_left_, units_max);
    std::string_view fitting = cut_to_units(plain, room);
    if (fitting.size() == plain.size()) {
        units_left_ -= count_units(plain);
        append_escaped(html_, plain);
        return true;
    }
    if (room > 0) {
        fitting = cut_to_units(plain, room - 1);
        units_left_ -= count_units(fitting) + 1;
        append_escaped(html_, fitting);
        html_ += ellipsis;
    }
    return false;
}

bool HtmlText::add_link(std::string_view url, std::string_view label) {
    std::string opening = "<a href=\"";
    append_escaped(opening, url);
    opening += "\">";
    return add_whole(opening, label, "</a>");
}

bool HtmlText::add_whole(std::string_view before, std::string_view plain, std::string_view after) {
    const std::size_t units = count_units(plain);
    if (units > units_left_) {
        return false;
    }
    units_left_ -= units;
    html_ += before;
    append_escaped(html_, plain);
    html_ += after;
    return true;
}

}  // namespace runledger::telegram
