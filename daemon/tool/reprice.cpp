#include "daemon/tool/reprice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>

#include "daemon/database/generation_name.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/each_row.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/time_option.hpp"
#include "queries/reprice.hpp"

namespace runledger::tool {
namespace {

// A transaction holds that many rows of the application at most.
constexpr std::size_t rows_a_transaction = 100;
// As settle's: it gives way to the application's transactions rather than make one a deadlock's victim.
constexpr TransactionBounds write_bounds{.statement_timeout = std::chrono::seconds{10},
                                         .lock_timeout = std::chrono::milliseconds{300}};

std::string sentence_of(const std::string& verdict) {
    static const std::map<std::string, std::string> sentences{
        {"priced_by_metadata", "metadata.costRate decides"},
        {"no_rate", "gpu_rates has no rate in force at the ending"},
        {"same", "have this cost already"},
        {"edited_by_hand", "edited by hand"},
        {"gone", "changed meanwhile"},
        {"locked", "locked by another transaction"},
        {"failed", "refused by the database"}};
    const auto found = sentences.find(verdict);
    return found == sentences.end() ? verdict : found->second;
}

std::string sum_of(const std::string& sum, std::int64_t known, std::int64_t runs) {
    return known == runs ? sum : fmt::format("{} and {} unknown", sum, runs - known);
}

}  // namespace

RepriceCli::RepriceCli(CLI::App& app)
    : command_(app.add_subcommand("reprice", "Show, or apply, the costs of settled runs by the current gpu_rates")) {
    command_->add_option("--gpu", gpu_, "The GPU, as in metadata.gpu")->required();
    command_->add_option("--from", from_, "Runs that ended at this time or later (UTC unless it names a zone)")
        ->required();
    command_->add_option("--to", to_, "Runs that ended before this time")->required();
    command_->add_flag("--apply", apply_, "Write the new costs, with an audit row for each");
    command_->add_flag("--list", list_, "Also list each run");
}

int RepriceCli::run(const std::string& postgres_uri, Output& out) {
    Database database(postgres_uri, "reprice");
    read_times(database);
    find_gpu(database);
    if (out.as_json) {
        Transaction work(database, unbounded);
        for_each_run(work, "{reprice,same,edited_by_hand,priced_by_metadata,no_rate}",
                     [&out](const pqxx::row& row) { out.print_json(row["json"].as<std::string>()); });
    } else {
        show_plan(database, out);
    }
    if (!apply_) {
        if (!out.as_json) {
            out.print("Nothing was changed. --apply writes the new costs.\n");
        }
        return exit_yes;
    }
    return apply(database, out);
}

void RepriceCli::read_times(Database& database) {
    for (auto [name, text] : {std::pair{"--from", &from_}, std::pair{"--to", &to_}}) {
        const Transaction work(database, unbounded);
        work.run("SET LOCAL TIME ZONE 'UTC'");
        // As PostgreSQL writes it: for the sentences below.
        *text = work.run1("SELECT $1::timestamptz", read_time_option(name, *text))[0].as<std::string>();
    }
    const Snapshot work(database);
    if (!work.run1("SELECT $1::timestamptz < $2::timestamptz", from_, to_)[0].as<bool>()) {
        throw Misused(fmt::format("--from {} is not before --to {}", from_, to_));
    }
}

// A misspelt GPU must not pass for one of which nothing is to be repriced.
void RepriceCli::find_gpu(Database& database) const {
    const Snapshot work(database);
    const auto row = work.run1(
        "SELECT coalesce(bool_or(gpu = $1), false), coalesce(string_agg(DISTINCT gpu, ', ' ORDER BY gpu), 'none') "
        "FROM runledger.gpu_rates",
        gpu_);
    if (!row[0].as<bool>()) {
        throw NotThere(
            fmt::format("--gpu \"{}\": gpu_rates has no rate for it; it has rates for {}", gpu_, row[1].c_str()));
    }
}

void RepriceCli::for_each_run(const Statements& work, const std::string& verdicts,
                              const std::function<void(const pqxx::row&)>& each) const {
    for_each_row(work, queries::reprice::rows, each, gpu_, from_, to_, verdicts);
}

void RepriceCli::show_plan(Database& database, Output& out) const {
    Transaction work(database, unbounded);
    out.print("{}: settled runs that ended from {} to before {}\n", gpu_, from_, to_);
    std::int64_t runs_to_reprice = 0;
    std::map<std::string, std::int64_t> left;
    for (const auto& row : work.run(queries::reprice::plan, gpu_, from_, to_)) {
        const auto verdict = row["verdict"].as<std::string>();
        const auto runs = row["runs"].as<std::int64_t>();
        if (verdict != "reprice") {
            left[verdict] += runs;
            continue;
        }
        runs_to_reprice += runs;
        out.print("  {} at {} USD a second become {}: {} USD before, {} USD after: {}\n", runs,
                  row["rate_before"].as<std::string>(), row["rate_after"].as<std::string>(),
                  sum_of(row["sum_before"].as<std::string>(), row["known_before"].as<std::int64_t>(), runs),
                  sum_of(row["sum_after"].as<std::string>(), row["known_after"].as<std::int64_t>(), runs),
                  row["difference"].as<std::string>());
    }
    if (runs_to_reprice == 0) {
        out.print("  no run has to be repriced\n");
    }
    for (const auto& [verdict, runs] : left) {
        out.print("  {} left: {}\n", runs, sentence_of(verdict));
    }
    for_each_run(work, "{edited_by_hand}", [&out](const pqxx::row& row) {
        out.print("    generation {} run {}: edited by hand; was settled at {}, would be {}\n", generation_name(row),
                  row["run_id"].as<std::string>(), row["cost_before"].as<std::string>(),
                  row["cost_after"].as<std::string>());
    });
    if (list_) {
        for_each_run(work, "{reprice}", [&out](const pqxx::row& row) {
            out.print("    generation {} run {} ended {}: {} -> {}\n", generation_name(row),
                      row["run_id"].as<std::string>(), row["finished_at"].as<std::string>(),
                      row["cost_before"].as<std::string>(), row["cost_after"].as<std::string>());
        });
    }
}

int RepriceCli::apply(Database& database, Output& out) const {
    struct Generation {
        std::int64_t id;
        std::string name;
    };
    std::vector<Generation> generations;
    {
        Transaction work(database, unbounded);
        for_each_run(work, "{reprice}", [&generations](const pqxx::row& row) {
            generations.push_back({.id = row["generation_id"].as<std::int64_t>(), .name = generation_name(row)});
        });
    }
    std::int64_t written = 0;
    int exit_code = exit_yes;
    for (std::size_t begin = 0; begin < generations.size(); begin += rows_a_transaction) {
        out.show_progress("repricing generations", begin, generations.size());
        Transaction work(database, write_bounds);
        std::int64_t written_now = 0;
        for (std::size_t i = begin; i < std::min(begin + rows_a_transaction, generations.size()); ++i) {
            const auto row = work.run1(queries::reprice::write, generations[i].id, gpu_, from_, to_);
            const auto verdict = row[0].as<std::string>();
            if (verdict == "reprice") {
                ++written_now;
                continue;
            }
            if (verdict == "locked" || verdict == "failed") {
                exit_code = exit_no;
            }
            const std::string why = fmt::format("{} {}", sentence_of(verdict), row[1].as<std::string>());
            if (out.as_json) {
                out.warn(fmt::format("generation {} left: {}", generations[i].name, why));
            } else {
                out.print("  generation {} left: {}\n", generations[i].name, why);
            }
        }
        database.commit(work);
        written += written_now;
    }
    if (out.as_json) {
        JsonObject object;
        object.add("repriced", written).add("left", static_cast<std::int64_t>(generations.size()) - written);
        out.print(object);
    } else {
        out.print("{} runs repriced, with an audit row for each.{}\n", written,
                  exit_code == exit_no ? " Run it again for those that were locked or refused." : "");
    }
    return exit_code;
}

}  // namespace runledger::tool
