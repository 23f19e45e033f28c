// The page for people: HTML from numbers. Pure: no socket, no database.
//
// It works without JavaScript. page.js only fetches the part that changes again. All that comes from outside goes
// through Html (html.hpp), which escapes it.
#pragma once

#include <string>
#include <string_view>

#include "daemon/overview/health.hpp"
#include "daemon/overview/overview.hpp"
#include "daemon/overview/rates.hpp"
#include "daemon/web/html.hpp"

namespace runledger::web {

struct PageFacts {
    Health health;  // With what the numbers say: with_numbers().
    WorkRates rates{};
    Overview::Numbers numbers{};
    std::string host{};
    std::string version{};
    std::string now{};  // "2025-08-29 12:00:00", UTC.
};

// The whole document; its part that changes, as /numbers has it.
[[nodiscard]] std::string page_of(const PageFacts& facts);
[[nodiscard]] std::string numbers_of(const PageFacts& facts);

// What a search found. `words`: what was looked for.
[[nodiscard]] std::string search_page(std::string_view words, const Overview::Found& found);

[[nodiscard]] std::string login_page(bool was_wrong);

}  // namespace runledger::web
