#include "daemon/tool/forget.hpp"

#include <fmt/format.h>
#include <pqxx/pqxx>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "daemon/database/database.hpp"

namespace runledger::tool {
namespace {

constexpr int exit_done = 0;
constexpr int exit_nothing = 3;
// Apply waits while a generation is forgotten, and forget waits for apply's turns that are under way.
constexpr TransactionBounds forget_bounds{.statement_timeout = std::chrono::minutes{5},
                                          .lock_timeout = std::chrono::seconds{30}};

// Table and action, to how many rows.
using Tally = std::map<std::pair<std::string, std::string>, std::uint64_t>;

class Forgetter {
public:
    Forgetter(const std::string& uri, bool dry_run) : database_(uri, "forget"), dry_run_(dry_run) {}

    // One transaction; rolled back in a dry run, which so says exactly what would be done.
    void forget(const std::string& call, std::int64_t id) {
        pqxx::work work(database_.connection());
        begin_durably(work, forget_bounds);
        Tally now;
        for (const auto& row :
             work.exec_params("SELECT table_name, action, row_count FROM runledger." + call + "($1)", id)) {
            now[{row[0].as<std::string>(), row[1].as<std::string>()}] += row[2].as<std::uint64_t>();
        }
        if (!dry_run_) {
            database_.commit(work);
        }
        for (const auto& [what, rows] : now) {
            tally_[what] += rows;
        }
    }

    // The chat's own id, and those that Telegram gave the group before and after.
    std::set<std::int64_t> ids_of(std::int64_t chat) {
        pqxx::work work(database_.connection());
        std::set<std::int64_t> ids{chat};
        if (work.exec1("SELECT to_regclass('runledger.telegram_chats') IS NOT NULL")[0].as<bool>()) {
            for (const auto& row : work.exec_params(
                     "SELECT chat_id, migrated_to FROM runledger.telegram_chats WHERE chat_id = $1 OR migrated_to = $1",
                     chat)) {
                ids.insert(row[0].as<std::int64_t>());
                if (!row[1].is_null()) {
                    ids.insert(row[1].as<std::int64_t>());
                }
            }
        }
        return ids;
    }

    // By the messages too: metadata may have been changed since they were made.
    std::vector<std::int64_t> generations_of(const std::set<std::int64_t>& chats) {
        ArrayLiteral array;
        for (const std::int64_t chat : chats) {
            array.add(chat);
        }
        pqxx::work work(database_.connection());
        std::vector<std::int64_t> ids;
        for (const auto& row :
             work.exec_params("SELECT id FROM runledger.generations WHERE telegram_chat_id = ANY ($1::bigint[]) UNION "
                              "SELECT g.id FROM runledger.notifications AS n JOIN runledger.generations AS g ON g.id = "
                              "n.generation_id WHERE n.chat_id = ANY ($1::bigint[]) ORDER BY 1",
                              array.str())) {
            ids.push_back(row[0].as<std::int64_t>());
        }
        return ids;
    }

    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

private:
    Database database_;
    bool dry_run_;
    Tally tally_;
};

}  // namespace

ForgetCli::ForgetCli(CLI::App& app)
    : command_(
          app.add_subcommand("forget", "Remove a person's data from the ledger; exit code 0: done, 3: there is none")) {
    CLI::Option_group* whom = command_->add_option_group("whom");
    generation_option_ = whom->add_option("--generation", generation_, "The generation with this id");
    whom->add_option("--chat", chat_, "Every generation of this Telegram chat, and the chat");
    whom->require_option(1);
    command_->add_flag("--dry-run", dry_run_, "Show what would be done, and change nothing");
    command_->add_flag("--json", json_, "Print one JSON object on each line");
}

int ForgetCli::run(const std::string& postgres_uri, std::FILE* out) const {
    Forgetter forgetter(postgres_uri, dry_run_);
    std::vector<std::int64_t> generations{generation_};
    std::set<std::int64_t> chats;
    if (generation_option_->count() == 0) {
        chats = forgetter.ids_of(chat_);
        generations = forgetter.generations_of(chats);
    }
    for (const std::int64_t generation : generations) {
        forgetter.forget("forget_generation", generation);
    }
    for (const std::int64_t chat : chats) {
        forgetter.forget("forget_chat", chat);
    }
    std::uint64_t rows_in_all = 0;
    for (const auto& [what, rows] : forgetter.tally()) {
        rows_in_all += rows;
    }
    if (rows_in_all == 0) {
        fmt::print(stderr, "runledger: nothing is stored about {} {}\n", chats.empty() ? "generation" : "chat",
                   chats.empty() ? generation_ : chat_);
        return exit_nothing;
    }
    for (const auto& [what, rows] : forgetter.tally()) {
        if (json_) {
            fmt::print(out, "{{\"table\":\"{}\",\"action\":\"{}\",\"rows\":{},\"dry_run\":{}}}\n", what.first,
                       what.second, rows, dry_run_);
        } else if (rows > 0) {
            fmt::print(out, "{:<24} {:>8} {}\n", what.first, rows, what.second);
        }
    }
    if (!json_) {
        fmt::print(out, "{}\n",
                   dry_run_ ? "dry run: nothing was changed"
                            : "forgotten; edges and backups are not reached: docs/dba.md, \"Forget\"");
    }
    return exit_done;
}

}  // namespace runledger::tool
