// `runledger simulate URL`: sends made-up runs to one's own endpoint as ComfyDeploy would, and proves that each event
// arrived and that a run can be settled; then removes them. `--clean` removes what an interrupted one has left.
//
// Invariant: no generation is ever committed. The row that a settlement needs is inserted, settled and rolled back, so
// the application, its triggers' effects, costs, messages and replicas never have it. What is committed bears an id
// that runledger.is_simulated() knows. One thread.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"
#include "daemon/tool/simulate/sender.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class SimulateCli {
public:
    explicit SimulateCli(CLI::App& app);
    SimulateCli(const SimulateCli&) = delete;
    SimulateCli& operator=(const SimulateCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes if everything is proved, or cleaned; exit_no if something is not: the sentences say what. Throws
    // Misused for a URL or token that can't be used, and what pqxx throws.
    int run(const Config& config, Output& out);

private:
    [[nodiscard]] std::string url_with_token() const;
    int clean(Database& database, Output& out) const;

    std::string url_;
    std::string token_file_;
    std::string token_name_;
    std::string token_argument_{"token"};
    int runs_{1};
    int seconds_{1};
    int wait_seconds_{30};
    bool clean_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
