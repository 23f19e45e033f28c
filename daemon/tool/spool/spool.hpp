// The words of `runledger spool …`, for CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "daemon/tool/output/output.hpp"
#include "daemon/tool/spool/commands.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class SpoolCli {
public:
    explicit SpoolCli(CLI::App& app);
    SpoolCli(const SpoolCli&) = delete;
    SpoolCli& operator=(const SpoolCli&) = delete;

    // Does what was parsed; returns what main() is to return. `postgres_uri` is empty without --config.
    int run(const std::string& postgres_uri, Output& out);

private:
    ListOptions list_;
    ShowOptions show_;
    ExportOptions export_;
    ImportOptions import_;
    ResendOptions resend_;
    ClaimOptions claim_;
    RetireOptions retire_;
    std::int64_t wait_seconds_{0};
    CLI::App* list_command_;
    CLI::App* show_command_;
    CLI::App* export_command_;
    CLI::App* import_command_;
    CLI::App* resend_command_;
    CLI::App* claim_command_;
    CLI::App* retire_command_;
};

}  // namespace runledger::tool
