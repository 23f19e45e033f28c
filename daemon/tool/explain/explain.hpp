// `runledger explain RUN_ID`: from the events of a run to its row, in words and numbers.
//
// A run is named by its id, or by the key of its generation: the application's own, or the ledger's number. If a word
// names several runs, each is explained, in this order.
// Reads only. Query strings of links are masked in whatever is printed.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "daemon/config.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class ExplainCli {
public:
    explicit ExplainCli(CLI::App& app);
    ExplainCli(const ExplainCli&) = delete;
    ExplainCli& operator=(const ExplainCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns what main() is to return: 0 explained; 3 nothing is known of the run. Throws what pqxx throws.
    int run(const Config& config, Output& out) const;

private:
    std::string named_;
    CLI::App* command_;
};

}  // namespace runledger::tool
