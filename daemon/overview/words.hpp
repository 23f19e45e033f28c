// Numbers as people read them, on the page and on a terminal. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runledger {

// "1 234 567", with narrow no-break spaces.
[[nodiscard]] std::string in_groups(std::int64_t number);
// "1 generation", "12 generations".
[[nodiscard]] std::string counted(std::int64_t number, std::string_view noun);
// "0.4 ms", "12 ms", "1.24 s", "3 min".
[[nodiscard]] std::string in_seconds(double seconds);
// "512 B", "33.6 MB".
[[nodiscard]] std::string in_bytes(std::int64_t bytes);
// Per minute if it is less than one a second: "12.4 /s", "3.0 /min", "0".
[[nodiscard]] std::string as_rate(double per_second);
// "12.35" of "12.345678901234": two decimals, or the first two that are not zero. Not rounded up from nothing:
// "0.0042".
[[nodiscard]] std::string short_dollars(const std::string& exact);

}  // namespace runledger
