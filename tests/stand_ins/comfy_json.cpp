#include "tests/stand_ins/comfy_json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace runledger::test {
namespace {

struct Decoded {
    char32_t code_point{0xFFFD};
    std::size_t bytes{1};
};

Decoded decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned lead = byte(0);
    const std::size_t bytes = lead < 0x80                   ? 1
                              : lead >= 0xC2 && lead < 0xE0 ? 2
                              : lead >= 0xE0 && lead < 0xF0 ? 3
                              : lead >= 0xF0 && lead < 0xF5 ? 4
                                                            : 0;
    if (bytes == 0 || bytes > text.size()) {
        return {};
    }
    if (bytes == 1) {
        return {.code_point = lead, .bytes = 1};
    }
    char32_t code_point = lead & (0xFFU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return {};
        }
        code_point = (code_point << 6U) | (byte(i) & 0x3FU);
    }
    return {.code_point = code_point, .bytes = bytes};
}

std::string escaped(char32_t code_point) {
    switch (code_point) {
        case U'"':
            return "\\\"";
        case U'\\':
            return "\\\\";
        case U'\n':
            return "\\n";
        case U'\r':
            return "\\r";
        case U'\t':
            return "\\t";
        case U'\b':
            return "\\b";
        case U'\f':
            return "\\f";
        default:
            break;
    }
    if (code_point >= 0x20 && code_point < 0x7F) {
        return std::string(1, static_cast<char>(code_point));
    }
    if (code_point < 0x10000) {
        return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code_point));
    }
    const std::uint32_t rest = static_cast<std::uint32_t>(code_point) - 0x10000U;
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
}

}  // namespace

std::string python_float(double value) {
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value < 0 ? "-Infinity" : "Infinity";
    }
    // The shortest digits that read back the same, as d.ddde±xx; Python then chooses the notation by the exponent.
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
    const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
    const std::size_t e = text.find('e');
    const int exponent = std::stoi(std::string{text.substr(e + 1)});
    const bool negative = text.front() == '-';
    std::string digits;
    for (const char c : text.substr(0, e)) {
        if (c >= '0' && c <= '9') {
            digits += c;
        }
    }
    std::string result = negative ? "-" : "";
    const auto count = static_cast<int>(digits.size());
    if (exponent < -4 || exponent >= 16) {
        result += digits.substr(0, 1);
        if (count > 1) {
            result += "." + digits.substr(1);
        }
        return result + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
    }
    if (exponent < 0) {
        return result + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    }
    if (exponent + 1 >= count) {
        return result + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
    }
    const auto whole = static_cast<std::size_t>(exponent + 1);
    return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string python_string(std::string_view utf8) {
    std::string result = "\"";
    while (!utf8.empty()) {
        const Decoded decoded = decode_utf8(utf8);
        result += escaped(decoded.code_point);
        utf8.remove_prefix(decoded.bytes);
    }
    return result + '"';
}

std::string python_object(const std::vector<std::pair<std::string, std::string>>& members) {
    std::vector<std::string> written;
    written.reserve(members.size());
    for (const auto& [name, value] : members) {
        written.push_back(python_string(name) + ": " + value);
    }
    return "{" + fmt::format("{}", fmt::join(written, ", ")) + "}";
}

std::string python_array(const std::vector<std::string>& values) {
    return fmt::format("[{}]", fmt::join(values, ", "));
}

}  // namespace runledger::test
