#include "daemon/tool/forget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "common/wire.hpp"
#include "daemon/database/generation_name.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/ingest/late_events.hpp"
#include "daemon/ingest/turn_rows.hpp"
#include "daemon/tool/output/chat_option.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "queries/forget.hpp"

namespace runledger::tool {
namespace {

// Apply waits while a generation is forgotten, and forget waits for apply's turns that are under way.
constexpr TransactionBounds forget_bounds{.statement_timeout = std::chrono::minutes{5},
                                          .lock_timeout = std::chrono::seconds{30}};
// Apply waits for a whole dry run, however many generations the chat has.
constexpr std::chrono::seconds dry_run_max{20};  // Then no further step is begun.
constexpr TransactionBounds dry_run_bounds{.statement_timeout = std::chrono::seconds{10},
                                           .lock_timeout = std::chrono::seconds{5}};

// Table and action, to how many rows.
using Tally = std::map<std::pair<std::string, std::string>, std::uint64_t>;

class Forgetter {
public:
    Forgetter(const std::string& uri, bool dry_run, Output& out)
        : database_(uri, "forget"), dry_run_(dry_run), out_(out) {}

    // A transaction for each, so that apply waits for one at a time. A dry run is one transaction, which is rolled
    // back: each step sees what those before it have done, as in the run, and so counts the same. What is about chats,
    // and the news, come last in each transaction: so they do in a dry run as a whole.
    void forget(const std::vector<std::int64_t>& generations, const std::set<std::int64_t>& chats) {
        if (dry_run_) {
            try_forgetting(generations, chats);
            return;
        }
        std::uint64_t done = 0;
        for (const std::int64_t generation : generations) {
            out_.show_progress("forgetting generations", done++, generations.size());
            in_a_transaction([&](const Statements& work, Tally& now) {
                scrub_batches(work, runs_of(work, generation), now);
                add(work.run(queries::forget::generation, generation), now);
            });
        }
        for (const std::int64_t chat : chats) {
            in_a_transaction(
                [&](const Statements& work, Tally& now) { add(work.run(queries::forget::chat, chat), now); });
        }
    }

    // The generation of this key. Throws NotThere, and Misused if it names two.
    std::int64_t generation_of(const ForgetCli::Key& key) {
        const Snapshot work(database_);
        std::vector<std::int64_t> ids;
        std::string candidates;
        for (const KeyedGeneration& generation : generations_by_key(work, key.text)) {
            const bool may_be = generation.is_by_application_id ? key.may_be_the_applications : key.may_be_a_number;
            if (may_be && std::find(ids.begin(), ids.end(), generation.id) == ids.end()) {
                ids.push_back(generation.id);
                candidates += fmt::format("; {} {} is generation {}",
                                          generation.is_by_application_id ? "--application-id" : "--generation-number",
                                          key.text, generation.name);
            }
        }
        if (ids.empty()) {
            throw NotThere(fmt::format("nothing is stored about generation {}", key.text));
        }
        if (ids.size() > 1) {
            throw Misused(
                fmt::format("\"{}\" is a key of two generations, and nothing was forgotten{}", key.text, candidates));
        }
        return ids[0];
    }

    // The chat's own id, and those that Telegram gave the group before and after.
    std::set<std::int64_t> ids_of(const std::string& named) {
        const Snapshot work(database_);
        const auto chat = named.starts_with('@')
                              ? work.run1("SELECT runledger.chat_named($1)", named)[0].as<std::int64_t>()
                              : std::stoll(named);  // At most 18 digits: is_chat().
        std::set<std::int64_t> ids{chat};
        if (work.run1("SELECT to_regclass('runledger.telegram_chats') IS NOT NULL")[0].as<bool>()) {
            for (const auto& row : work.run(
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

    std::vector<std::int64_t> generations_of(const std::set<std::int64_t>& chats) {
        const Snapshot work(database_);
        std::vector<std::int64_t> ids;
        for (const auto& row : work.run(queries::forget::find_generations, array_of(chats))) {
            ids.push_back(row[0].as<std::int64_t>());
        }
        return ids;
    }

    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

private:
    struct ForgottenRuns {
        std::string ids;  // An array.
        Pseudonyms pseudonyms;
        std::vector<std::string> escaped;  // Their ids, as JSON may write them.
    };

    void try_forgetting(const std::vector<std::int64_t>& generations, const std::set<std::int64_t>& chats) {
        const auto give_up_at = std::chrono::steady_clock::now() + dry_run_max;
        const Transaction work(database_, dry_run_bounds);
        ArrayLiteral named_chats;
        ArrayLiteral all_runs;
        ArrayLiteral groups;
        std::uint64_t done = 0;
        for (const std::int64_t generation : generations) {
            out_.show_progress("forgetting generations", done++, generations.size());
            if (std::chrono::steady_clock::now() > give_up_at) {
                throw std::runtime_error(fmt::format(
                    "the dry run is given up after {} s, because the daemon's apply waits for it; count one "
                    "--generation at a time",
                    dry_run_max.count()));
            }
            const ForgottenRuns runs = runs_of(work, generation);
            for (const auto& [run, pseudonym] : runs.pseudonyms) {
                all_runs.add(run);
            }
            for (const auto& row : work.run(queries::forget::chats, generation)) {
                named_chats.add(row[0].as<std::int64_t>());
            }
            for (const auto& row : work.run(queries::forget::groups, generation)) {
                groups.add(row[0].as<std::string>());
            }
            scrub_batches(work, runs, tally_);
            add(work.run(queries::forget::rows, generation, runs.ids), tally_);
        }
        add(work.run(queries::forget::chats_and_news, named_chats.str(), array_of(chats), all_runs.str(), groups.str()),
            tally_);
    }

    template <class Step>
    void in_a_transaction(Step step) {
        Tally now;
        Transaction work(database_, forget_bounds);
        step(work, now);
        database_.commit(work);
        for (const auto& [what, rows] : now) {
            tally_[what] += rows;
        }
    }

    static void add(const pqxx::result& rows, Tally& tally) {
        for (const auto& row : rows) {
            tally[{row[0].as<std::string>(), row[1].as<std::string>()}] += row[2].as<std::uint64_t>();
        }
    }

    static std::string array_of(const std::set<std::int64_t>& numbers) {
        ArrayLiteral array;
        for (const std::int64_t number : numbers) {
            array.add(number);
        }
        return array.str();
    }

    static ForgottenRuns runs_of(const Statements& work, std::int64_t generation) {
        ForgottenRuns runs;
        ArrayLiteral ids;
        for (const auto& row : work.run(queries::forget::runs, generation)) {
            ids.add(row[0].as<std::string>());
            runs.pseudonyms.emplace(row[0].as<std::string>(), row[1].as<std::string>());
            runs.escaped.push_back(row[2].as<std::string>());
        }
        runs.ids = ids.str();
        return runs;
    }

    // Before the generation is forgotten, which can't read a frame and empties what still mentions one of the runs.
    static void scrub_batches(const Statements& work, const ForgottenRuns& runs, Tally& now) {
        for (const auto& row : work.run(queries::forget::find_batches, runs.ids)) {
            const auto id = row[0].as<std::int64_t>();
            const std::string frame = bytes_of_hex(work.run1(queries::forget::get_batch, id)[0].as<std::string>());
            auto decoded = wire::decode_batch(std::as_bytes(std::span(frame)));
            if (auto* batch = std::get_if<wire::Batch>(&decoded)) {
                std::deque<std::string> bodies;
                static_cast<void>(scrub_batch(work, *batch, runs.pseudonyms, bodies));
                empty_what_mentions(runs, *batch);
                work.run(queries::forget::write_batch, id, frame_hex(*batch));
                ++now[{"quarantine", "scrubbed"}];
            }
        }
    }

    // Events of the batch that can't be read, or that are of another run and name one of these.
    static void empty_what_mentions(const ForgottenRuns& runs, wire::Batch& batch) {
        for (wire::Event& event : batch.events) {
            const auto is_in_body = [&event](std::string_view id) {
                return event.body.find(id) != std::string_view::npos;
            };
            if (std::any_of(runs.escaped.begin(), runs.escaped.end(), is_in_body) ||
                std::any_of(runs.pseudonyms.begin(), runs.pseudonyms.end(),
                            [&](const auto& run) { return is_in_body(run.first); })) {
                event.body = "{}";
            }
        }
    }

    Database database_;
    bool dry_run_;
    Output& out_;
    Tally tally_;
};

}  // namespace

ForgetCli::ForgetCli(CLI::App& app) : command_(app.add_subcommand("forget", "Remove a person's data from the ledger")) {
    CLI::Option_group* whom = command_->add_option_group("whom");
    whom->add_option_function<std::string>(
        "--generation", [this](const std::string& text) { generation_ = Key{.text = text}; },
        "The generation with this key, the application's own or the ledger's number; refused if that is two");
    whom->add_option_function<std::string>(
        "--application-id",
        [this](const std::string& text) { generation_ = Key{.text = text, .may_be_a_number = false}; },
        "The generation with this key of the application, in an adopted table whose key is no number");
    whom->add_option_function<std::string>(
        "--generation-number",
        [this](const std::string& text) { generation_ = Key{.text = text, .may_be_the_applications = false}; },
        "The generation with this number of the ledger");
    whom->add_option("--chat", chat_, "Every generation of this Telegram chat, and the chat")->check(is_chat());
    whom->require_option(1);
    command_->add_flag(
        "--dry-run", dry_run_,
        fmt::format("Show what would be done, and change nothing; apply waits meanwhile, so it is given up "
                    "after {} s",
                    dry_run_max.count()));
}

int ForgetCli::run(const std::string& postgres_uri, Output& out) const {
    Forgetter forgetter(postgres_uri, dry_run_, out);
    std::vector<std::int64_t> generations;
    std::set<std::int64_t> chats;
    if (generation_) {
        generations = {forgetter.generation_of(*generation_)};
    } else {
        chats = forgetter.ids_of(chat_);
        generations = forgetter.generations_of(chats);
    }
    forgetter.forget(generations, chats);
    std::uint64_t rows_in_all = 0;
    for (const auto& [what, rows] : forgetter.tally()) {
        rows_in_all += rows;
    }
    if (rows_in_all == 0) {
        throw NotThere(fmt::format("nothing is stored about {}",
                                   generation_ ? "generation " + generation_->text : "chat " + chat_));
    }
    for (const auto& [what, rows] : forgetter.tally()) {
        if (out.as_json) {
            JsonObject object;
            object.add("table", what.first).add("action", what.second).add("rows", rows).add("dry_run", dry_run_);
            out.print(object);
        } else if (rows > 0) {
            out.print("{:<24} {:>8} {}\n", what.first, rows, what.second);
        }
    }
    if (!out.as_json) {
        out.print("{}\n", dry_run_
                              ? "dry run: nothing was changed"
                              : "forgotten; not reached: edges' spools, backups, replicas, logs, sent messages, the "
                                "provider: docs/dba.md, \"Forget\"");
    }
    return exit_yes;
}

}  // namespace runledger::tool
