// `runledger outbox …`: looks at the messages that people are to get, has given-up ones tried again, sends
// those that were only logged, drops others.
//
// Invariant: a row that a daemon is sending is never changed from here, and no row is ever deleted.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class OutboxCli {
public:
    explicit OutboxCli(CLI::App& app);
    OutboxCli(const OutboxCli&) = delete;
    OutboxCli& operator=(const OutboxCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    // Does what was parsed. Returns exit_yes. Throws NotThere if what was asked for is not there, or in no state for
    // it, Misused if the words don't fit together, and what pqxx throws.
    int run(const Config& config, Output& out);

private:
    // Which rows: all that fit each of those that are given.
    struct Choice {
        std::vector<std::int64_t> ids;
        std::vector<std::string> states;
        std::string chat;  // A number or @channelname.
        std::string error;
        std::string older_than;  // "90s", "15m", "6h", "2d"
    };

    // The same for PostgreSQL; NULL chooses all.
    struct Parameters {
        std::optional<std::string> ids;
        std::optional<std::string> states;
        std::optional<std::string> chat;
        std::optional<std::string> error;
        std::optional<std::int64_t> least_age_seconds;
    };

    void add_choice(CLI::App& command, const std::vector<std::string>& states);
    [[nodiscard]] Parameters parameters() const;
    [[nodiscard]] pqxx::result choose(const Statements& work, int count_max) const;
    int list(const Statements& work, Output& out) const;
    int show(const Statements& work, Output& out) const;
    int change(Database& database, bool retries, Output& out) const;
    int send_logged(Database& database, Output& out) const;

    Choice choice_;
    int count_max_{50};
    bool all_{false};
    std::string newer_than_{};
    int send_count_max_{1000};
    bool is_dry_run_{false};
    CLI::App* command_;
    CLI::App* list_command_;
    CLI::App* show_command_;
    CLI::App* retry_command_;
    CLI::App* drop_command_;
    CLI::App* send_logged_command_;
};

}  // namespace runledger::tool
