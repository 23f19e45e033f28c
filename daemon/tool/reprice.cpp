#include "daemon/tool/reprice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>

#include "daemon/database/database.hpp"
#include "queries/reprice.hpp"

namespace runledger::tool {
namespace {

constexpr int exit_done = 0;
constexpr int exit_run_again = 3;

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
    CLI::Option* list = command_->add_flag("--list", list_, "Also list each run");
    command_->add_flag("--json", json_, "Print each run as one JSON object on a line, and nothing else")
        ->excludes(list);
}

int RepriceCli::run(const std::string& postgres_uri, std::FILE* out) {
    Database database(postgres_uri, "reprice");
    pqxx::connection& connection = database.connection();
    read_times(connection);
    if (json_) {
        pqxx::work work(connection);
        for (const auto& row : rows(work, "{reprice,same,edited_by_hand,priced_by_metadata,no_rate}")) {
            fmt::print(out, "{}\n", row["json"].as<std::string>());
        }
    } else {
        show_plan(connection, out);
    }
    if (!apply_) {
        if (!json_) {
            fmt::print(out, "Nothing was changed. --apply writes the new costs.\n");
        }
        return exit_done;
    }
    return apply(connection, json_ ? stderr : out);
}

void RepriceCli::read_times(pqxx::connection& connection) {
    for (auto [name, text] : {std::pair{"--from", &from_}, std::pair{"--to", &to_}}) {
        try {
            pqxx::work work(connection);
            work.exec("SET LOCAL TIME ZONE 'UTC'");
            *text = work.exec_params1("SELECT $1::timestamptz", *text)[0].as<std::string>();
        } catch (const pqxx::sql_error& error) {
            throw std::runtime_error(fmt::format("{} \"{}\" is not a time: {}", name, *text, error.what()));
        }
    }
    pqxx::work work(connection);
    if (!work.exec_params1("SELECT $1::timestamptz < $2::timestamptz", from_, to_)[0].as<bool>()) {
        throw std::runtime_error(fmt::format("--from {} is not before --to {}", from_, to_));
    }
}

pqxx::result RepriceCli::rows(pqxx::transaction_base& work, const std::string& verdicts) const {
    return work.exec_params(std::string(queries::reprice::rows), gpu_, from_, to_, verdicts);
}

void RepriceCli::show_plan(pqxx::connection& connection, std::FILE* out) const {
    pqxx::work work(connection);
    fmt::print(out, "{}: settled runs that ended from {} to before {}\n", gpu_, from_, to_);
    std::int64_t runs_to_reprice = 0;
    std::map<std::string, std::int64_t> left;
    for (const auto& row : work.exec_params(std::string(queries::reprice::plan), gpu_, from_, to_)) {
        const auto verdict = row["verdict"].as<std::string>();
        const auto runs = row["runs"].as<std::int64_t>();
        if (verdict != "reprice") {
            left[verdict] += runs;
            continue;
        }
        runs_to_reprice += runs;
        fmt::print(out, "  {} at {} USD a second become {}: {} USD before, {} USD after: {}\n", runs,
                   row["rate_before"].as<std::string>(), row["rate_after"].as<std::string>(),
                   sum_of(row["sum_before"].as<std::string>(), row["known_before"].as<std::int64_t>(), runs),
                   sum_of(row["sum_after"].as<std::string>(), row["known_after"].as<std::int64_t>(), runs),
                   row["difference"].as<std::string>());
    }
    if (runs_to_reprice == 0) {
        fmt::print(out, "  no run has to be repriced\n");
    }
    for (const auto& [verdict, runs] : left) {
        fmt::print(out, "  {} left: {}\n", runs, sentence_of(verdict));
    }
    for (const auto& row : rows(work, "{edited_by_hand}")) {
        fmt::print(out, "    generation {} run {}: edited by hand; was settled at {}, would be {}\n",
                   row["generation_id"].as<std::string>(), row["run_id"].as<std::string>(),
                   row["cost_before"].as<std::string>(), row["cost_after"].as<std::string>());
    }
    if (list_) {
        for (const auto& row : rows(work, "{reprice}")) {
            fmt::print(out, "    generation {} run {} ended {}: {} -> {}\n", row["generation_id"].as<std::string>(),
                       row["run_id"].as<std::string>(), row["finished_at"].as<std::string>(),
                       row["cost_before"].as<std::string>(), row["cost_after"].as<std::string>());
        }
    }
}

int RepriceCli::apply(pqxx::connection& connection, std::FILE* out) const {
    std::vector<std::int64_t> generations;
    {
        pqxx::work work(connection);
        for (const auto& row : rows(work, "{reprice}")) {
            generations.push_back(row["generation_id"].as<std::int64_t>());
        }
    }
    std::int64_t written = 0;
    int exit_code = exit_done;
    for (std::size_t begin = 0; begin < generations.size(); begin += rows_a_transaction) {
        pqxx::work work(connection);
        begin_durably(work, write_bounds);
        std::int64_t written_now = 0;
        for (std::size_t i = begin; i < std::min(begin + rows_a_transaction, generations.size()); ++i) {
            const auto row = work.exec_params1(std::string(queries::reprice::write), generations[i], gpu_, from_, to_);
            const auto verdict = row[0].as<std::string>();
            if (verdict == "reprice") {
                ++written_now;
                continue;
            }
            if (verdict == "locked" || verdict == "failed") {
                exit_code = exit_run_again;
            }
            fmt::print(out, "  generation {} left: {} {}\n", generations[i], sentence_of(verdict),
                       row[1].as<std::string>());
        }
        work.commit();
        written += written_now;
    }
    fmt::print(out, "{} runs repriced, with an audit row for each.{}\n", written,
               exit_code == exit_run_again ? " Run it again for those that were locked or refused." : "");
    return exit_code;
}

}  // namespace runledger::tool
