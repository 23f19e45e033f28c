// `runledger audit`: whether the ledger's books close and its generations are as they were settled. Exit code 0: they
// do and are; 3: not; 1: they can't be read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "daemon/tool/audit/books.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class AuditCli {
public:
    explicit AuditCli(CLI::App& app);
    AuditCli(const AuditCli&) = delete;
    AuditCli& operator=(const AuditCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Writes the books and what does not add up to `out`; returns what main() is to return. Throws what pqxx throws.
    int run(const std::string& postgres_uri, Output& out);

private:
    AuditScope scope_;
    std::string since_;
    bool segments_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
