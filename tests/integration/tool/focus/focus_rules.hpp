// The rules of FOCUS 1.2, the FinOps Open Cost and Usage Specification, as far as a file of charges can keep or break
// them: read from the specification, and by nothing that the product has.
//
// Source: FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec at its tag v1.2, specification/columns and
// specification/attributes. Each rule names its file there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

// A file of CSV as RFC 4180 has it: lines end with CR LF. Nothing between two commas is NULL, "" is an empty text.
// Throws std::runtime_error, with the line, for what is no CSV and for a line with another number of fields.
using FocusRow = std::map<std::string, std::optional<std::string>>;
struct FocusFile {
    std::vector<std::string> columns{};
    std::vector<FocusRow> rows{};
};
[[nodiscard]] FocusFile read_focus_file(std::string_view text);

// A sentence for each rule that is broken.
[[nodiscard]] std::vector<std::string> broken_by_columns(const std::vector<std::string>& columns);
[[nodiscard]] std::vector<std::string> broken_by_row(const FocusRow& row);

}  // namespace runledger::test
