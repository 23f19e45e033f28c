// What a developer may set to make a test longer, or to repeat it: numbers in environment variables.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace runledger::test {

// The variable's number, or `usual` where the variable is not set; at least `least`. Throws at anything else than a
// number: a campaign that was meant to be long would be short.
template <typename Number>
[[nodiscard]] Number from_environment(const char* name, Number usual, Number least = 1) {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no other thread writes it.
    if (text == nullptr) {
        return usual;
    }
    Number number{};
    const char* end = text + std::string_view{text}.size();
    if (const auto read = std::from_chars(text, end, number); read.ec != std::errc{} || read.ptr != end) {
        throw std::invalid_argument(std::string{name} + " is no number: " + text);
    }
    return std::max(number, least);
}

}  // namespace runledger::test
