// `runledger forget`: removes a person's data everywhere the ledger keeps it, and says what it did.
//
// What is done to each table is runledger.forget_generation's, in SQL; a batch that was set aside as a whole has events
// of others, and is decoded here. One transaction a generation, so that apply, which waits meanwhile, waits for one
// only; a dry run is one transaction for all. What was forgotten before an interruption stays so; running it again does
// the rest.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class ForgetCli {
public:
    explicit ForgetCli(CLI::App& app);
    ForgetCli(const ForgetCli&) = delete;
    ForgetCli& operator=(const ForgetCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    // What names a generation.
    struct Key {
        std::string text{};
        bool may_be_the_applications{true};
        bool may_be_a_number{true};
    };

    // Returns exit_yes: done, or, with --dry-run, said what would be done. Throws NotThere if nothing is kept of it,
    // Misused if the key is of two generations, and what pqxx throws.
    int run(const std::string& postgres_uri, Output& out) const;

private:
    std::optional<Key> generation_{};
    std::string chat_{};  // A number or @channelname.
    bool dry_run_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
