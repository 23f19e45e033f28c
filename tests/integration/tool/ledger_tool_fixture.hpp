// The operator's tool on a ledger that a test has filled: the program itself, on a database of its own.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class LedgerTool : public Ledger {
protected:
    LedgerTool();

    // Runs `runledger --config FILE <words>` to its end.
    [[nodiscard]] Finished tool(std::vector<std::string> words) const { return program_.tool(std::move(words)); }
    // What that runs, for a program that does not end.
    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> words) const {
        return program_.tool_command(std::move(words));
    }
    // The same as tool(), which must end with this exit code; returns what it said.
    std::string tool_says(std::vector<std::string> words, int exit_code = 0) const;

    // One statement, or several, committed.
    void sql(const std::string& statements);
    // All rows of a query, their fields joined by |, and the rows by line ends.
    [[nodiscard]] std::string rows(const std::string& query);

private:
    TempFolder folder_;
    DaemonProcess program_;
};

}  // namespace runledger::test
