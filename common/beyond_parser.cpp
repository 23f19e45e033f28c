#include "common/beyond_parser.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace runledger {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view digits = "0123456789";

// The length of the number of RFC 8259, section 6, that the text begins with; 0 if there is none. Only a number is
// masked: a mask over anything else would hide a fault.
std::size_t number_bytes(std::string_view text) {
    std::size_t end = 0;
    const auto take_one = [&](std::string_view any) {
        const bool is_there = end < text.size() && any.find(text[end]) != std::string_view::npos;
        end += is_there ? 1 : 0;
        return is_there;
    };
    const auto take_digits = [&] {
        const std::size_t begin = end;
        end = std::min(text.find_first_not_of(digits, end), text.size());
        return end > begin;
    };
    take_one("-");
    const bool has_integer = take_one("0") || take_digits();
    const bool has_whole_fraction = !take_one(".") || take_digits();
    const bool has_whole_exponent = !take_one("eE") || (static_cast<void>(take_one("+-")), take_digits());
    return has_integer && has_whole_fraction && has_whole_exponent ? end : 0;
}

// Whether RapidJSON may find the number too big. Roughly: what a double does hold is masked, too, where it is long or
// has an exponent of three digits.
bool may_be_beyond_double(std::string_view number) {
    constexpr std::size_t number_bytes_max = 300;  // A double holds 308 digits.
    const std::size_t exponent = number.find_first_of("eE");
    return number.size() > number_bytes_max || (exponent != std::string_view::npos && number.size() - exponent > 3);
}

// The code unit of a \uXXXX escape at the start of `text`; nothing if there is none.
std::optional<unsigned> find_escaped_unit(std::string_view text) {
    constexpr std::size_t escape_bytes = 6;
    unsigned unit = 0;
    if (text.size() < escape_bytes || !text.starts_with("\\u") ||
        std::from_chars(text.data() + 2, text.data() + escape_bytes, unit, 16).ptr != text.data() + escape_bytes) {
        return std::nullopt;
    }
    return unit;
}

bool is_high_surrogate(std::optional<unsigned> unit) { return unit && *unit >= 0xD800 && *unit <= 0xDBFF; }
bool is_low_surrogate(std::optional<unsigned> unit) { return unit && *unit >= 0xDC00 && *unit <= 0xDFFF; }

}  // namespace

bool may_overflow_reader(std::string_view body) {
    constexpr std::size_t digits_min = 10;
    for (std::size_t minus = body.find('-', 1); minus != std::string_view::npos; minus = body.find('-', minus + 1)) {
        const std::string_view behind = body.substr(minus + 1, digits_min);
        if ((body[minus - 1] == 'e' || body[minus - 1] == 'E') && behind.size() == digits_min &&
            behind.find_first_not_of(digits) == std::string_view::npos) {
            return true;
        }
    }
    return false;
}

std::string mask_beyond_parser(std::string_view body) {
    std::string masked(body);
    bool in_string = false;
    for (std::size_t i = 0; i < body.size();) {
        const char c = body[i];
        if (in_string && c == '\\') {
            const auto unit = find_escaped_unit(body.substr(i));
            if (is_high_surrogate(unit) && is_low_surrogate(find_escaped_unit(body.substr(i + 6)))) {
                i += 12;
                continue;
            }
            if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
                masked.replace(i, 6, "\\ufffd");
            }
            i += unit ? 6 : 2;
        } else if (c == '"') {
            in_string = !in_string;
            ++i;
        } else if (!in_string && (c == '-' || digits.find(c) != std::string_view::npos)) {
            const std::size_t end = std::min(body.find_first_not_of("0123456789+-.eE", i), body.size());
            // The reader takes what is a number and stumbles over the rest of the token afterwards.
            const std::string_view number = body.substr(i, number_bytes(body.substr(i, end - i)));
            if (may_be_beyond_double(number)) {
                masked.replace(i, number.size(), "null" + std::string(number.size() - 4, ' '));
            }
            i = end;
        } else {
            ++i;
        }
    }
    return masked;
}

std::string to_utf8(const char* decoded, std::size_t length) {
    std::string text(decoded, length);
    for (std::size_t i = text.find('\xED'); i < text.size(); i = text.find('\xED', i + 1)) {
        if (i + 2 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0xA0) {
            text.replace(i, 3, replacement);
        }
    }
    return text;
}

}  // namespace runledger
