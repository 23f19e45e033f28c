// `runledger migrate`: brings the schema to this build's version, or says what stands in the way.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class MigrateCli {
public:
    explicit MigrateCli(CLI::App& app);
    MigrateCli(const MigrateCli&) = delete;
    MigrateCli& operator=(const MigrateCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    // Returns what main() is to return: 0 done, 3 with --adopt and without --yes: it said what it would do. Throws what
    // migrate() throws.
    int run(const std::string& postgres_uri, Output& out) const;

private:
    std::string table_;
    std::string status_words_file_;
    std::vector<std::string> requested_at_;
    std::vector<std::string> ended_at_;
    bool yes_{false};
    bool dry_run_{false};
    CLI::App* command_;
    CLI::Option* adopt_option_;
};

}  // namespace runledger::tool
