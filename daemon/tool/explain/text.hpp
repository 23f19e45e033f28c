// The words of `runledger explain`: pure functions from rows to text.
#pragma once

#include <pqxx/pqxx>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runledger::tool {

// Query strings and fragments of http links become "?…": a presigned link is a secret while it lasts.
[[nodiscard]] std::string without_link_queries(std::string_view text);

// The field as masked text; nothing for NULL.
[[nodiscard]] std::optional<std::string> text_of(const pqxx::field& field);
// The same; `absent` for NULL.
[[nodiscard]] std::string text_or(const pqxx::field& field, std::string_view absent);

// "12345.678 ms, 0.004160493486 USD", "no duration, no cost (no_running_event)".
[[nodiscard]] std::string amounts(const pqxx::field& duration_ms, const pqxx::field& cost_usd,
                                  const pqxx::field& cost_note);

// Why a cost is not known or needs a word, and what can be done; by cost_note (docs/dba.md).
[[nodiscard]] std::string advice_on(std::string_view cost_note);

// Rows of tool_explain_*.sql, as lines that end in a line feed.
[[nodiscard]] std::string event_line(const pqxx::row& event);
[[nodiscard]] std::string timing_lines(const pqxx::row& run);
// What the rate is and where from, and the multiplication; `run` may be of no ended run.
[[nodiscard]] std::string rate_lines(const pqxx::row& generation);
[[nodiscard]] std::string sum_lines(const pqxx::row& generation);
[[nodiscard]] std::string settlement_lines(const pqxx::row& settlement, std::string_view run_id);
[[nodiscard]] std::string notification_line(const pqxx::row& notification);

}  // namespace runledger::tool
