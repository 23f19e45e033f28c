#include "daemon/tool/periods/statement.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "daemon/database/connect_fault.hpp"
#include "daemon/tool/output/csv.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/time_option.hpp"
#include "queries/periods.hpp"

namespace runledger::tool {
namespace {

std::string number(const pqxx::row& row, const char* column, std::string_view unknown = "unknown") {
    return row[column].is_null() ? std::string(unknown) : row[column].as<std::string>();
}

}  // namespace

void check_month(const std::string& text) {
    if (!is_month(text)) {
        throw Misused(fmt::format("\"{}\" is no month: 2026-06", text));
    }
}

pqxx::row statement_of(const Statements& work, const std::string& month, const std::optional<std::string>& as_of) {
    try {
        return work.run1(queries::periods::statement, month, as_of);
    } catch (const pqxx::sql_error& error) {
        if (sqlstate_of(error) == "22023") {  // invalid_parameter_value: an instant that has not come.
            throw Misused(error.what());
        }
        throw;
    }
}

void print_statement(const pqxx::row& statement, Output& out) {
    const bool is_closed = statement["state"].as<std::string>() == "closed";
    out.print("{}: {}\n", statement["period"].as<std::string>(),
              is_closed ? fmt::format("closed at {} by {}", statement["closed_at"].as<std::string>(),
                                      statement["closed_by"].as<std::string>())
              : statement["runs"].is_null()
                  ? fmt::format("not closed as of {}: nothing had been billed", statement["as_of"].as<std::string>())
                  : "not closed: these are the numbers so far, and they may change");
    out.print("  from {} to before {} ({})\n", statement["begins_at"].as<std::string>(),
              statement["ends_at"].as<std::string>(), statement["time_zone"].as<std::string>());
    if (statement["runs"].is_null()) {
        return;
    }
    out.print("  {} runs: {} completed, {} failed, {} cancelled; {} ms\n", number(statement, "runs"),
              number(statement, "completed"), number(statement, "failed"), number(statement, "cancelled"),
              number(statement, "duration_ms"));
    out.print("  cost of its runs              {} USD; {} completed without a known cost\n",
              number(statement, "cost_usd"), number(statement, "unpriced"));
    out.print("  corrections of earlier months {} USD, {} of them\n", number(statement, "corrections_taken_usd"),
              number(statement, "corrections_taken"));
    out.print("  billed                        {} USD\n", number(statement, "billed_usd"));
    if (is_closed) {
        out.print("  corrected since then          {} USD, {} corrections, billed with later months\n",
                  number(statement, "corrections_since_usd"), number(statement, "corrections_since"));
        out.print("  cost of its runs, restated    {} USD\n", number(statement, "restated_usd"));
    }
}

StatementCli::StatementCli(CLI::App& app)
    : command_(app.add_subcommand("statement", "Show what was billed for a month, as of now or of an earlier time")) {
    command_->add_option("MONTH", month_, "The month, as 2026-06")->required();
    command_->add_option("--as-of", as_of_,
                         "As of this time: 2026-07-01 or 2026-07-01T12:00Z (UTC unless it names a zone)");
    command_->add_flag("--csv", csv_, "Print each line that was billed, as CSV with a head");
}

int StatementCli::run(const std::string& postgres_uri, Output& out) {
    check_month(month_);
    if (csv_ && out.as_json) {
        throw Misused("--csv and --json don't fit together");
    }
    std::optional<std::string> as_of;
    if (!as_of_.empty()) {
        as_of = read_time_option("--as-of", as_of_);
    }
    Database database(postgres_uri, "statement");
    bool is_closed = false;
    {
        Transaction work(database, unbounded);
        const pqxx::row statement = statement_of(work, month_, as_of);
        is_closed = statement["state"].as<std::string>() == "closed";
        if (csv_ && !is_closed) {
            throw NotThere(fmt::format("{} is not closed{}: it has no lines", month_,
                                       as_of ? fmt::format(" as of {}", as_of_) : std::string{}));
        }
        if (out.as_json) {
            out.print(JsonObject().add(statement));
        } else if (!csv_) {
            print_statement(statement, out);
        }
    }
    if (csv_) {
        print_lines(database, out);
    }
    return is_closed ? exit_yes : exit_no;
}

// So many at a time that a month of a million runs takes no memory.
void StatementCli::print_lines(Database& database, Output& out) const {
    const Snapshot work(database);
    work.run(queries::periods::lines, month_);
    bool has_heading = false;
    while (true) {
        const pqxx::result rows = work.run(queries::periods::next_lines);
        CsvLines lines;
        if (!std::exchange(has_heading, true)) {
            lines.add_heading(rows);
        }
        lines.add_rows(rows);
        out.write(lines.text());
        if (rows.empty()) {
            return;
        }
    }
}

}  // namespace runledger::tool
