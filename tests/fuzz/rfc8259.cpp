#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/fuzz/reference_event.hpp"

namespace runledger::fuzz {
namespace {

// What stands for a number that is none, or that no double holds. Blanks around it, so that it joins no neighbour to
// one token: `1NaN` stays as wrong as it is.
constexpr std::string_view stand_in = " -0e7 ";

// The length of NaN, Infinity or Inf at the start, with its minus; 0 if there is none. With a fraction or an exponent
// behind it, it is none; and Inf with an i behind it is no more than a beginning.
std::size_t bytes_of_no_number(std::string_view text) {
    struct Constant {
        std::string_view word;
        std::string_view not_before;
    };
    const std::size_t minus = text.starts_with('-') ? 1 : 0;
    text.remove_prefix(minus);
    for (const auto& [word, not_before] :
         {Constant{"NaN", ".eE"}, Constant{"Infinity", ".eE"}, Constant{"Inf", ".eEi"}}) {
        if (text.starts_with(word)) {
            text.remove_prefix(word.size());
            const bool goes_on = !text.empty() && not_before.find(text.front()) != std::string_view::npos;
            return goes_on ? 0 : minus + word.size();
        }
    }
    return 0;
}

// Takes note of why one number can't be read.
class NumberReader : public nlohmann::json::json_sax_t {
public:
    bool null() override { return true; }
    bool boolean(bool /*value*/) override { return true; }
    bool number_integer(std::int64_t /*value*/) override { return true; }
    bool number_unsigned(std::uint64_t /*value*/) override { return true; }
    bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
    bool string(std::string& /*value*/) override { return true; }
    bool binary(nlohmann::json::binary_t& /*value*/) override { return true; }
    bool start_object(std::size_t /*elements*/) override { return true; }
    bool key(std::string& /*value*/) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t /*elements*/) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t /*position*/, const std::string& token,
                     const nlohmann::detail::exception& error) override {
        constexpr int number_overflow = 406;
        overflow_bytes = error.id == number_overflow ? token.size() : 0;
        return false;
    }

    std::size_t overflow_bytes{0};  // Of the number that no double holds.
};

// Whether the whole token is a number of RFC 8259 that no double holds.
bool is_beyond_double(const std::string& token) {
    if (std::isfinite(std::strtod(token.c_str(), nullptr))) {
        return false;
    }
    NumberReader reader;
    nlohmann::json::sax_parse(token, &reader);
    return reader.overflow_bytes == token.size();
}

// The code unit of an escape `\uXXXX` at the start.
std::optional<unsigned long> escaped_unit(std::string_view text) {
    if (text.size() < 6 || !text.starts_with("\\u") ||
        text.substr(2, 4).find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
        return std::nullopt;
    }
    return std::strtoul(std::string(text.substr(2, 4)).c_str(), nullptr, 16);
}

bool is_high(std::optional<unsigned long> unit) { return unit && *unit >= 0xD800 && *unit < 0xDC00; }
bool is_low(std::optional<unsigned long> unit) { return unit && *unit >= 0xDC00 && *unit < 0xE000; }

}  // namespace

bool is_unusual_number(std::string_view token) {
    const std::size_t exponent = token.find_first_of("eE");
    return token.size() > 300 || (exponent != std::string_view::npos && token.size() - exponent > 3);
}

Rfc8259 as_rfc8259(std::string_view body) {
    Rfc8259 result;
    bool in_string = false;
    while (!body.empty()) {
        std::size_t taken = 1;
        std::optional<std::string_view> instead;
        if (in_string && body.front() == '\\') {
            const auto unit = escaped_unit(body);
            if (is_high(unit) && is_low(escaped_unit(body.substr(6)))) {
                taken = 12;
            } else if (is_high(unit) || is_low(unit)) {
                taken = 6;
                instead = "\\ufffd";
                result.has_lone_high_surrogate = result.has_lone_high_surrogate || is_high(unit);
                result.has_lone_low_surrogate = result.has_lone_low_surrogate || is_low(unit);
            } else {
                taken = 2;
            }
        } else if (body.front() == '"') {
            in_string = !in_string;
        } else if (in_string) {
            taken = std::min(body.find_first_of("\\\""), body.size());
        } else if (const std::size_t bytes = bytes_of_no_number(body)) {
            taken = bytes;
            instead = stand_in;
        } else if (std::string_view("-0123456789").find(body.front()) != std::string_view::npos) {
            taken = std::min(body.find_first_not_of("0123456789+-.eE"), body.size());
            const std::string token(body.substr(0, taken));
            result.has_unusual_number = result.has_unusual_number || is_unusual_number(token);
            if (is_beyond_double(token)) {
                instead = stand_in;
            }
        }
        result.text += instead.value_or(body.substr(0, taken));
        body.remove_prefix(std::min(taken, body.size()));
    }
    return result;
}

bool is_stand_in(std::string_view token) { return token == "-0e7"; }

bool is_utf8(std::string_view text) {
    // Written with what is no UTF-8 left out, text that is all UTF-8 comes out whole.
    const nlohmann::json value = std::string(text);
    const auto written = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
    return nlohmann::json::parse(written) == value;
}

bool is_json_object(std::string_view rfc8259_text) {
    const auto value = nlohmann::json::parse(rfc8259_text, nullptr, /*allow_exceptions=*/false);
    return value.is_object();
}

}  // namespace runledger::fuzz
