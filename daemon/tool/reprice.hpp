// `runledger reprice`: what a change of gpu_rates makes of runs that were settled before; with --apply, writes it.
//
// What a row becomes is computed by runledger.repricing and written by runledger.reprice_generation, in SQL, with an
// audit row each. Safe to repeat: what is written is no longer different.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class RepriceCli {
public:
    explicit RepriceCli(CLI::App& app);
    RepriceCli(const RepriceCli&) = delete;
    RepriceCli& operator=(const RepriceCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes: shown or written; exit_no: some rows were locked or refused, so run it again. Throws Misused
    // for times that can't be read, NotThere for a GPU without a rate, and what pqxx throws.
    int run(const std::string& postgres_uri, Output& out);

private:
    void read_times(Database& database);
    void find_gpu(Database& database) const;
    void show_plan(Database& database, Output& out) const;
    // Calls it with each run of these verdicts, in the order of their endings.
    void for_each_run(const Statements& work, const std::string& verdicts,
                      const std::function<void(const pqxx::row&)>& each) const;
    int apply(Database& database, Output& out) const;

    std::string gpu_;
    std::string from_;
    std::string to_;
    bool apply_{false};
    bool list_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
