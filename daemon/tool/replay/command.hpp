// `runledger replay --from T --to T --into SCHEMA`: would the stored events give the same ledger again?
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "daemon/config.hpp"
#include "daemon/tool/replay/replay.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class ReplayCli {
public:
    explicit ReplayCli(CLI::App& app);
    ReplayCli(const ReplayCli&) = delete;
    ReplayCli& operator=(const ReplayCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns 0 where every run came out the same, 3 where one differs.
    int run(const Config& config, std::FILE* out);

private:
    ReplayRange range_;
    std::string into_;
    bool json_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
