// The words of `runledger status`: a pure function from numbers to a screen of text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/overview/health.hpp"
#include "daemon/overview/overview.hpp"
#include "daemon/overview/rates.hpp"

namespace runledger::tool {

struct StatusFacts {
    Health health;                     // With what the numbers say: with_numbers().
    std::optional<WorkRates> rates{};  // Nothing: the daemon was not reached.
    Overview::Numbers numbers{};
    std::string daemon{};  // Where it listens.
};

// Lines that end in a line feed. What comes from outside has no control characters: see printable().
[[nodiscard]] std::string status_text(const StatusFacts& facts);

// The text on one line, with U+FFFD for whatever a terminal would obey: see without_controls().
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace runledger::tool
