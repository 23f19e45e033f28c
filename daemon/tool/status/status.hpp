// `runledger status`: whether work is flowing, and the page's numbers, on a terminal.
//
// Reads only: the ledger by the rights of runledger_reader, the daemon's /readyz, the edges' status.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>

#include "daemon/config.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class StatusCli {
public:
    explicit StatusCli(CLI::App& app);
    StatusCli(const StatusCli&) = delete;
    StatusCli& operator=(const StatusCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns what main() is to return: 0 work is flowing; 3 a part of it waits, or the daemon or the ledger was not
    // reached. With --watch it returns only when it is interrupted.
    int run(const Config& config, std::FILE* out) const;

private:
    bool watches_{false};
    bool as_json_{false};
    unsigned every_seconds_{2};
    CLI::App* command_;
};

}  // namespace runledger::tool
