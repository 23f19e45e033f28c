// `runledger export focus`: a month's charges as a file in the columns of FOCUS.
//
// What a charge is, and each of its columns, is runledger.focus_costs_v1. Rows pass through one by one, of one
// snapshot: memory does not grow with their number. Changes nothing in the ledger.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "daemon/config.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class ExportCli {
public:
    explicit ExportCli(CLI::App& app);
    ExportCli(const ExportCli&) = delete;
    ExportCli& operator=(const ExportCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Logs in as [page] uri, a reader's. Returns exit_yes; exit_no: it is written, and completed generations whose cost
    // is unknown are not in it. Throws Misused for a month that can't be read or a file that is none, std::system_error
    // if the file can't be written, and what pqxx throws; then no file has changed.
    int run(const Config& config, Output& out);

private:
    // Returns how many there were.
    template <class Write>
    std::uint64_t write_charges(const Statements& work, std::uint64_t expected, Output& out, Write write) const;
    template <class Write>
    std::uint64_t write_csv(const Statements& work, std::uint64_t expected, Output& out, Write write) const;

    std::string month_;
    std::string file_;
    CLI::App* command_;
};

}  // namespace runledger::tool
