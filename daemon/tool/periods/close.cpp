#include "daemon/tool/periods/close.hpp"

#include <fmt/format.h>

#include <vector>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/connect_fault.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/periods/statement.hpp"
#include "queries/periods.hpp"

namespace runledger::tool {
namespace {

constexpr int runs_shown_max = 10;

// "not now" is an answer, not a failure.
[[noreturn]] void rethrow_refusal(const pqxx::sql_error& error) {
    const std::string_view sqlstate = sqlstate_of(error);
    if (sqlstate == "55000" || sqlstate == "55P03") {  // object_not_in_prerequisite_state, lock_not_available
        throw NotThere(error.what());
    }
    throw;
}

void print(const pqxx::row& statement, bool is_new, bool is_dry_run, std::int64_t unsettled,
           const std::vector<std::string>& runs, Output& out) {
    if (out.as_json) {
        JsonObject object;
        object.add(statement);
        object.add("is_new", is_new).add("dry_run", is_dry_run).add("unsettled", unsettled);
        object.add("unsettled_runs", runs);
        out.print(object);
        return;
    }
    print_statement(statement, out);
    if (unsettled > 0) {
        out.print("  {} runs that ended in it {} to be settled{}\n", unsettled, is_dry_run ? "wait" : "were waiting",
                  is_dry_run ? ": without --unsettled allow it is not closed" : "; they become corrections");
        for (const std::string& run : runs) {
            out.print("    {}\n", one_line(run));
        }
    }
}

}  // namespace

CloseCli::CloseCli(CLI::App& app)
    : command_(
          app.add_subcommand("close", "Close a month: what was billed for it stays; later changes are corrections")) {
    command_->add_option("MONTH", month_, "The month, as 2026-06: the one after the last closed month")->required();
    command_->add_flag("--dry-run", dry_run_, "Only say whether it can be closed, and with which numbers");
    command_
        ->add_option("--unsettled", unsettled_,
                     "If runs that ended in it wait to be settled: refuse, or allow; then they become corrections")
        ->check(CLI::IsMember({"refuse", "allow"}))
        ->capture_default_str();
}

int CloseCli::run(const std::string& postgres_uri, Output& out) {
    check_month(month_);
    Database database(postgres_uri, "close");
    if (dry_run_) {
        return try_dry(database, out);
    }
    Transaction work(database, unbounded);
    try {
        const bool is_new = work.run1(queries::periods::close_period, month_, unsettled_ == "allow")[0].as<bool>();
        const pqxx::row statement = statement_of(work, month_, std::nullopt);
        const auto unsettled = work.run1(queries::periods::unsettled_when_closed, month_)[0].as<std::int64_t>();
        database.commit(work);
        if (!is_new && !out.as_json) {
            out.print("It was closed before; nothing was changed.\n");
        }
        print(statement, is_new, false, unsettled, {}, out);
    } catch (const pqxx::sql_error& error) {
        rethrow_refusal(error);
    }
    return exit_yes;
}

int CloseCli::try_dry(Database& database, Output& out) const {
    Transaction work(database, unbounded);
    const pqxx::row statement = statement_of(work, month_, std::nullopt);
    if (statement["state"].as<std::string>() == "closed") {
        const auto unsettled = work.run1(queries::periods::unsettled_when_closed, month_)[0].as<std::int64_t>();
        print(statement, false, true, unsettled, {}, out);
        return exit_yes;
    }
    try {
        (void)work.run1(queries::periods::bounds, month_);
        std::int64_t unsettled = 0;
        std::vector<std::string> runs;
        for (const auto& row : work.run(queries::periods::unsettled, month_, runs_shown_max)) {
            unsettled = row["unsettled"].as<std::int64_t>();
            runs.push_back(row["run_id"].as<std::string>());
        }
        print(statement, true, true, unsettled, runs, out);
        return unsettled == 0 || unsettled_ == "allow" ? exit_yes : exit_no;
    } catch (const pqxx::sql_error& error) {
        if (!out.as_json) {
            print_statement(statement, out);
        }
        rethrow_refusal(error);
    }
}

}  // namespace runledger::tool
