// What `runledger check --json` has said.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.hpp"

namespace runledger::test {

struct CheckLine {
    std::string check;
    std::string result;
    std::string found;
    std::string to_do;
};

struct CheckReport {
    Finished finished;
    std::string url;  // Empty: none is said.
    std::vector<CheckLine> lines;

    [[nodiscard]] std::vector<CheckLine> with(std::string_view result) const;
    // The result of each check that is named so.
    [[nodiscard]] std::vector<std::string> results_of(std::string_view check) const;
};

// Fails the running test if it is no such report.
[[nodiscard]] CheckReport read_report(Finished finished);

// The only check that failed, by its name and parts of its lines.
void expect_only_failure(const CheckReport& report, std::string_view check, std::string_view found,
                         std::string_view to_do);
// Nothing failed, and this check warns.
void expect_warning(const CheckReport& report, std::string_view check, std::string_view found);

}  // namespace runledger::test
