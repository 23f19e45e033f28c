// Prometheus' text format as a test reads it: names, samples, what promtool thinks of it, and what docs/metrics.md
// promises. Any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "tests/support/temp_folder.hpp"

namespace runledger::test {

// By name with labels, as written.
[[nodiscard]] std::map<std::string, double> samples_of(std::string_view text);

// The families' names, from their TYPE lines.
[[nodiscard]] std::set<std::string> family_names(std::string_view text);

// The names in the first column of docs/metrics.md.
[[nodiscard]] std::set<std::string> documented_metrics();

// What `promtool check metrics` says; empty where it finds nothing. Throws where it can't be run.
[[nodiscard]] std::string promtool_complaints(std::string_view text, const TempFolder& folder);

}  // namespace runledger::test
