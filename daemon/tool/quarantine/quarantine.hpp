// `runledger quarantine list | show | replay`: what was received and could not be stored where it belongs.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class QuarantineCli {
public:
    explicit QuarantineCli(CLI::App& app);
    QuarantineCli(const QuarantineCli&) = delete;
    QuarantineCli& operator=(const QuarantineCli&) = delete;

    [[nodiscard]] bool parsed() const { return quarantine_command_->parsed(); }
    // Does what was parsed. Returns 0, or 3 where something that was to be replayed is still refused.
    int run(const std::string& postgres_uri, Output& out);

private:
    bool with_resolved_{false};
    bool raw_{false};
    bool all_{false};
    std::int64_t show_id_{0};
    std::vector<std::int64_t> replay_ids_;
    CLI::App* quarantine_command_;
    CLI::App* list_command_;
    CLI::App* show_command_;
    CLI::App* replay_command_;
};

}  // namespace runledger::tool
