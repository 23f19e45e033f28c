// `runledger statement`: what was billed for a month, as of an instant; with --csv, line by line.
//
// The numbers are those of runledger.statement() and the lines those of statement_lines_v1, in SQL. It changes nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// The month's statement as one row of queries::periods::statement. Throws Misused for what is no month.
[[nodiscard]] pqxx::row statement_of(const Statements& work, const std::string& month,
                                     const std::optional<std::string>& as_of);
// As text, for people.
void print_statement(const pqxx::row& statement, Output& out);
// "2026-06", or Misused.
void check_month(const std::string& text);

// Must outlive the app's parsing, which writes into it.
class StatementCli {
public:
    explicit StatementCli(CLI::App& app);
    StatementCli(const StatementCli&) = delete;
    StatementCli& operator=(const StatementCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes; exit_no: the month was not closed as of that instant, so what was billed for it is not known.
    // Throws Misused for what is no month or no time that has passed, and what pqxx throws.
    int run(const std::string& postgres_uri, Output& out);

private:
    void print_lines(Database& database, Output& out) const;

    std::string month_;
    std::string as_of_;
    bool csv_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
