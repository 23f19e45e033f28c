// `runledger close`: freezes a month, so that what was billed for it never changes.
//
// runledger.close_period does it, in one transaction. Safe to repeat: a month that is closed stays as it is.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class CloseCli {
public:
    explicit CloseCli(CLI::App& app);
    CloseCli(const CloseCli&) = delete;
    CloseCli& operator=(const CloseCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes: it is closed, or with --dry-run, it can be. Throws Misused for what is no month, NotThere if it
    // may not be closed now, and what pqxx throws.
    int run(const std::string& postgres_uri, Output& out);

private:
    int try_dry(Database& database, Output& out) const;

    std::string month_;
    std::string unsettled_{"refuse"};
    bool dry_run_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
