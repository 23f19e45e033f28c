#include "daemon/database/adopt.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "daemon/database/obstacles.hpp"
#include "daemon/database/schema.hpp"
#include "queries/adopt.hpp"

namespace runledger {
namespace {

// Some thousands of rows: the application waits for none of them for longer than their update takes.
constexpr std::int64_t pages_a_batch = 128;

// The columns that keep_generated_columns sets from metadata, each with the function that it calls.
struct MetadataColumn {
    std::string_view name;
    std::string_view function;
};
constexpr std::array metadata_columns{
    MetadataColumn{"run_id", "run_id_of"},           MetadataColumn{"telegram_chat_id", "chat_id_of"},
    MetadataColumn{"group_key", "group_key_of"},     MetadataColumn{"group_size", "group_size_of"},
    MetadataColumn{"account_key", "account_key_of"}, MetadataColumn{"tool_key", "tool_key_of"},
};

std::vector<TableColumn> read_columns(pqxx::transaction_base& work, const std::string& table) {
    std::vector<TableColumn> found;
    for (const auto& row : libpqxx::run(work, queries::adopt::find_columns, table)) {
        found.push_back({.name = row[0].as<std::string>(),
                         .type = row[1].as<std::string>(),
                         .is_not_null = row[2].as<bool>(),
                         .is_generated = row[3].as<bool>(),
                         .is_enum = row[4].as<bool>()});
    }
    return found;
}

[[noreturn]] void refuse(const std::string& table, const std::vector<Obstacle>& obstacles) {
    std::string sentence = fmt::format("{} can't be adopted:", table);
    for (const Obstacle& obstacle : obstacles) {
        sentence += "\n    " + obstacle.sentence;
        if (!obstacle.statement.empty()) {
            sentence += fmt::format("\n        {};", obstacle.statement);
        }
    }
    throw AdoptionRefused(sentence);
}

// A status that no word has is written with the ledger's own word.
void complete_words(std::vector<StatusWord>& words) {
    if (words.empty()) {
        return;
    }
    for (const std::string_view status : ledger_statuses) {
        if (std::ranges::any_of(
                words, [status](const StatusWord& word) { return word.status == status && word.is_written; })) {
            continue;
        }
        if (std::ranges::find(words, status, &StatusWord::word) != words.end()) {
            throw AdoptionRefused(fmt::format(
                "no word means {0}, and the word {0} means something else: give {0} a word of its own", status));
        }
        words.push_back({.word = std::string(status), .status = status, .is_written = true});
    }
}

// Which triggers come first: of those below, some read status and metadata as these leave them.
int place_of(std::string_view column) { return column == "id" || column == "status" ? 1 : 2; }

void make_trigger(pqxx::work& work, std::string_view column) {
    work.exec(
        fmt::format("CREATE TRIGGER zz_runledger_{}_keep_{} BEFORE INSERT OR UPDATE ON runledger.generations "
                    "FOR EACH ROW EXECUTE FUNCTION runledger.keep_adopted_{}()",
                    place_of(column), column, column));
}

// What an UPDATE of the rows that were there has to set, and of which rows.
struct Filling {
    std::vector<std::string> assignments;
    std::vector<std::string> conditions;

    [[nodiscard]] std::string condition() const { return fmt::format("({})", fmt::join(conditions, " OR ")); }
    void add(std::string_view column, const std::string& is_concerned, const std::string& value) {
        assignments.push_back(
            fmt::format("{0} = CASE WHEN g.{0} IS NULL AND {1} THEN {2} ELSE g.{0} END", column, is_concerned, value));
        conditions.push_back(fmt::format("(g.{0} IS NULL AND {1} AND {2} IS NOT NULL)", column, is_concerned, value));
    }
};

Filling filling_of(pqxx::work& work) {
    std::vector<std::string> kept;
    for (const auto& row : libpqxx::run(work, queries::adopt::find_kept_columns)) {
        kept.push_back(row[0].as<std::string>());
    }
    const auto is_kept = [&kept](std::string_view column) { return std::ranges::find(kept, column) != kept.end(); };
    const auto said = [](std::string_view function, std::string_view column) {
        return fmt::format("runledger.{}(g.{}::text)", function, column);
    };
    const auto first_time = [&](std::string_view column, std::string_view terms) {
        std::vector<std::string> times;
        for (const auto& row : libpqxx::run(work, queries::adopt::find_times, std::string(terms),
                                            is_kept(column) ? fmt::format("application_{}", column) : "")) {
            times.push_back(row[0].as<std::string>());
        }
        return times.empty() ? std::string{} : fmt::format("coalesce({})", fmt::join(times, ", "));
    };

    Filling filling;
    const std::string is_adopted = "g.adopted_at IS NOT NULL";
    if (is_kept("metadata")) {
        filling.add("metadata", is_adopted, said("json_said", "application_metadata"));
    } else {
        filling.assignments.emplace_back("metadata = g.metadata");  // The triggers do the rest.
    }
    for (const MetadataColumn& column : metadata_columns) {
        filling.conditions.push_back(
            fmt::format("g.{} IS DISTINCT FROM runledger.{}(g.metadata)", column.name, column.function));
    }
    if (is_kept("id")) {
        filling.conditions.emplace_back("g.id IS NULL");
    }
    std::string status = "g.status";
    if (is_kept("status")) {
        const std::string meant = said("status_meant", "application_status");
        status = fmt::format("(CASE WHEN {} AND g.status = 'pending' THEN coalesce({}, g.status) ELSE g.status END)",
                             is_adopted, meant);
        filling.assignments.push_back("status = " + status);
        filling.conditions.push_back(
            fmt::format("({} AND g.status = 'pending' AND {} <> 'pending')", is_adopted, meant));
    }
    const std::string has_ended = fmt::format("{} AND {} IN ('completed', 'failed', 'cancelled')", is_adopted, status);
    if (const std::string asked = first_time("request_timestamp", "requested_at"); !asked.empty()) {
        filling.add("request_timestamp", is_adopted, asked);
    }
    if (const std::string ended = first_time("response_timestamp", "ended_at"); !ended.empty()) {
        filling.add("response_timestamp", has_ended, ended);
    }
    if (is_kept("request_payload")) {
        filling.add("request_payload", is_adopted, said("json_said", "application_request_payload"));
    }
    if (is_kept("response_payload")) {
        filling.add("response_payload", has_ended, said("json_said", "application_response_payload"));
    }
    for (const std::string_view column : {"cost_usd", "duration_ms"}) {
        if (is_kept(column)) {
            filling.add(column, has_ended, said("number_said", fmt::format("application_{}", column)));
        }
    }
    return filling;
}

// Some pages of the table at a time, and of them the rows that nobody has locked; again for those.
std::int64_t fill(pqxx::connection& connection, const std::function<void(std::string_view)>& report) {
    constexpr int tries_max = 120;
    constexpr std::chrono::milliseconds pause{500};
    Filling filling;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        filling = filling_of(work);
    }
    const std::string of_a_batch = fmt::format(
        "WITH batch AS MATERIALIZED (SELECT g.ctid AS place FROM runledger.generations AS g WHERE g.ctid >= $1::tid "
        "AND "
        "g.ctid < $2::tid AND {0} FOR NO KEY UPDATE SKIP LOCKED) UPDATE runledger.generations AS g SET {1} FROM batch "
        "WHERE g.ctid >= $1::tid AND g.ctid < $2::tid AND g.ctid = batch.place",
        filling.condition(), fmt::join(filling.assignments, ", "));
    const std::string is_left =
        fmt::format("SELECT EXISTS (SELECT FROM runledger.generations AS g WHERE {})", filling.condition());
    std::int64_t filled = 0;
    for (int attempt = 1;; ++attempt) {
        std::int64_t pages = 0;
        {
            pqxx::work work(connection);
            secure_search_path(work);
            if (!libpqxx::run1(work, is_left)[0].as<bool>()) {
                return filled;
            }
            pages = libpqxx::run1(work,
                                  "SELECT pg_relation_size('runledger.generations') / "
                                  "current_setting('block_size')::bigint")[0]
                        .as<std::int64_t>();
        }
        if (attempt > 1) {
            if (attempt > tries_max) {
                throw std::runtime_error(
                    "the application has rows of the table locked for longer than a minute, so they can't be filled: "
                    "end those transactions, and migrate again, which goes on from here");
            }
            if (attempt == 3) {
                report("some rows are locked by the application; they are filled when it lets them go");
            }
            std::this_thread::sleep_for(pause);
        }
        for (std::int64_t page = 0; page < pages; page += pages_a_batch) {
            pqxx::work work(connection);
            secure_search_path(work);
            filled += static_cast<std::int64_t>(
                libpqxx::run(work, of_a_batch, fmt::format("({},0)", page), fmt::format("({},0)", page + pages_a_batch))
                    .affected_rows());
            work.commit();
        }
    }
}

// The statements of a migration that create indexes, so that they don't stop writers.
std::vector<std::string> concurrent_indexes_of(std::string_view migration) {
    constexpr std::string_view begins = "CREATE INDEX IF NOT EXISTS ";
    std::vector<std::string> statements;
    for (std::size_t at = migration.find(begins); at != std::string_view::npos; at = migration.find(begins, at)) {
        const std::size_t end = migration.find(';', at);
        statements.push_back(fmt::format("CREATE INDEX CONCURRENTLY IF NOT EXISTS {}",
                                         migration.substr(at + begins.size(), end - at - begins.size())));
        at = end;
    }
    return statements;
}

}  // namespace

Adoption::Adoption(AdoptionTerms terms) : terms_(std::move(terms)) {
    const std::string_view table = terms_.table;
    const std::size_t dot = table.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == table.size() ||
        table.find('.', dot + 1) != std::string_view::npos) {
        throw AdoptionRefused(fmt::format("\"{}\" does not name a table as schema.table", table));
    }
    schema_ = table.substr(0, dot);
    table_ = table.substr(dot + 1);
    complete_words(terms_.status_words);
}

Adoption::Columns Adoption::columns_of(pqxx::transaction_base& work, const std::string& table) const {
    Columns columns{.found = read_columns(work, table), .adopted = {}};
    ColumnTerms terms{.has_status_words = !terms_.status_words.empty()};
    if (find_column(columns.found, "cost_note") != nullptr && may_read(work, table)) {
        terms.has_cost_notes =
            libpqxx::run1(work, fmt::format("SELECT EXISTS (SELECT FROM {} WHERE cost_note IS NOT NULL)", table))[0]
                .as<bool>();
    }
    columns.adopted = adopt_columns(columns.found, terms);
    return columns;
}

std::vector<std::string> Adoption::plan(pqxx::connection& connection) const {
    pqxx::work work(connection);
    secure_search_path(work);
    const std::string table = work.quote_name(schema_) + "." + work.quote_name(table_);
    const auto state = libpqxx::run1(work, queries::adopt::find_table, table);
    if (!state[0].is_null()) {
        refuse(table, {Obstacle{.sentence = state[0].as<std::string>()}});
    }
    const Columns columns = columns_of(work, table);
    const auto obstacles = find_obstacles(work, {.name = table,
                                                 .columns = columns.found,
                                                 .adopted = columns.adopted,
                                                 .status_words = terms_.status_words,
                                                 .requested_at = terms_.requested_at,
                                                 .ended_at = terms_.ended_at});
    if (!obstacles.empty()) {
        refuse(table, obstacles);
    }
    std::vector<std::string_view> by_metadata;
    std::ranges::transform(metadata_columns, std::back_inserter(by_metadata), &MetadataColumn::name);
    std::vector<std::string_view> made;
    std::ranges::transform(columns.adopted.added, std::back_inserter(made), &LedgerColumn::name);
    std::vector<std::string> steps{
        fmt::format("move {} ({} rows, {}) to runledger.generations, in one transaction, without rewriting it", table,
                    libpqxx::run1(work, "SELECT count(*) FROM " + table)[0].as<std::int64_t>(),
                    state[1].as<std::string>()),
        fmt::format("add the columns {}", fmt::join(made, ", "))};
    for (const AdoptedColumn* kept : columns.adopted.renamed) {
        steps.push_back(fmt::format("keep its column {} ({}) beside the ledger's, as {}{}", kept->column->name,
                                    kept->column->type, kept->kept_as,
                                    kept->has_trigger ? ", in step by a trigger" : ", which the ledger does not read"));
    }
    for (const StatusWord& word : terms_.status_words) {
        steps.push_back(fmt::format("take its status {} for {}{}{}", word.word, word.status,
                                    word.is_written ? ", and write it" : "",
                                    word.is_kept ? ", and never replace it" : ""));
    }
    if (columns.adopted.has_own_key) {
        steps.emplace_back(
            "number its rows for the ledger, which names them by the application's key to the application");
    }
    steps.insert(
        steps.end(),
        {fmt::format("keep {} by a trigger, from metadata", fmt::join(by_metadata, ", ")),
         fmt::format("leave a view {} of its columns, with its privileges, for the application's statements", table),
         "fill the ledger's columns of the rows that are there, some thousands at a time, but no row while it is "
         "locked",
         "build the indexes concurrently", "notify nobody of a row that is there already",
         fmt::format(
             "refuse, by the name {}: COPY, TRUNCATE, MERGE, ON CONFLICT ON CONSTRAINT, new foreign keys, ALTER "
             "TABLE, CREATE INDEX and DROP TABLE, as of an ORM's migrations; all of them work on "
             "runledger.generations (docs/dba.md, \"Adopt a table\")",
             table)});
    if (find_column(columns.found, "status") != nullptr && terms_.ended_at.empty()) {
        std::vector<std::string> ended;
        for (const StatusWord& word : terms_.status_words) {
            if (word.status != "pending" && word.status != "processing") {
                ended.push_back(work.quote(word.word));
            }
        }
        const bool has_time = find_column(columns.found, "response_timestamp") != nullptr;
        const auto without_time =
            libpqxx::run1(work, fmt::format("SELECT count(*) FROM {} WHERE status::text IN ({}){}", table,
                                            ended.empty() ? "'completed', 'failed', 'cancelled'"
                                                          : fmt::format("{}", fmt::join(ended, ", ")),
                                            has_time ? " AND response_timestamp IS NULL" : ""))[0]
                .as<std::int64_t>();
        if (without_time > 0) {
            steps.push_back(
                fmt::format("{} of its rows have ended but have no response_timestamp, so no view of costs "
                            "has them: name the columns that tell the time, with --ended-at",
                            without_time));
        }
    }
    if (const auto triggers = state[2].as<std::string>(); !triggers.empty()) {
        steps.push_back(fmt::format("its own triggers fire when rows are filled: {}", triggers));
    }
    return steps;
}

void Adoption::take_over(pqxx::work& work, std::string_view migration_sql) const {
    const std::string table = work.quote_name(schema_) + "." + work.quote_name(table_);
    // Nobody changes the columns from here on.
    work.exec(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table));
    const auto [found, adopted] = columns_of(work, table);
    std::vector<std::string> shown;
    for (const AdoptedColumn& column : adopted.theirs) {
        shown.push_back(column.is_renamed()
                            ? work.quote_name(column.kept_as) + " AS " + work.quote_name(column.column->name)
                            : work.quote_name(column.column->name));
    }
    std::vector<std::string> added;
    for (const LedgerColumn* column : adopted.added) {
        added.push_back(fmt::format("ADD COLUMN {} {} {}", column->name, column->type, column->definition));
    }
    // What may be done with the view: what might be with the table.
    std::vector<std::string> privileges;
    for (const auto& row : libpqxx::run(work, queries::adopt::find_privileges, table)) {
        privileges.push_back(row[0].as<std::string>());
    }
    work.exec(fmt::format("ALTER TABLE {} SET SCHEMA runledger", table));
    if (table_ != "generations") {
        work.exec(fmt::format("ALTER TABLE runledger.{} RENAME TO generations", work.quote_name(table_)));
    }
    // Before anything is granted: a grant to the owner of today would go to the next one.
    work.exec("GRANT USAGE, CREATE ON SCHEMA runledger TO runledger_owner");
    work.exec("ALTER TABLE runledger.generations OWNER TO runledger_owner");
    for (const AdoptedColumn* column : adopted.renamed) {
        work.exec(fmt::format("ALTER TABLE runledger.generations RENAME COLUMN {} TO {}",
                              work.quote_name(column->column->name), work.quote_name(column->kept_as)));
    }
    // A default that is one value for all rows is kept beside the table: nothing is rewritten.
    work.exec(fmt::format("ALTER TABLE runledger.generations {}", fmt::join(added, ", ")));
    libpqxx::run(work, queries::adopt::keep_columns);
    if (adopted.has_own_key) {
        libpqxx::run(work, queries::adopt::number_rows);
        make_trigger(work, "id");
    }
    for (const AdoptedColumn& column : adopted.theirs) {
        if (column.has_trigger && column.column->name != "id") {
            make_trigger(work, column.column->name);
        }
    }
    const auto kept_names = [&adopted = adopted](const std::vector<std::string>& names) {
        std::vector<std::string> kept;
        for (const std::string& name : names) {
            const auto at = std::ranges::find(adopted.theirs, name,
                                              [](const AdoptedColumn& column) { return column.column->name; });
            kept.push_back(at == adopted.theirs.end() ? name : at->kept_as);
        }
        return kept;
    };
    libpqxx::run(
        work, "INSERT INTO runledger.adoption (table_name, requested_at, ended_at) VALUES ($1, $2::text[], $3::text[])",
        table, array_of(kept_names(terms_.requested_at)), array_of(kept_names(terms_.ended_at)));
    for (const StatusWord& word : terms_.status_words) {
        libpqxx::run(work,
                     "INSERT INTO runledger.status_words (word, status, is_written, is_kept) VALUES ($1, $2, $3, $4)",
                     word.word, std::string(word.status), word.is_written, word.is_kept);
    }
    work.exec("SELECT runledger.use_status_words()");  // The trigger that does this is made later.
    work.exec(fmt::format("CREATE VIEW {} AS SELECT {} FROM runledger.generations", table, fmt::join(shown, ", ")));
    work.exec(
        fmt::format("COMMENT ON VIEW {} IS 'runledger.generations under the name that it had before it was "
                    "adopted; can be dropped when nothing uses it.'",
                    table));
    for (const std::string& privilege : privileges) {
        work.exec(privilege);
    }
    // The comments on table and columns are those of the migration.
    work.exec(std::string(migration_sql.substr(migration_sql.find("COMMENT ON TABLE runledger.generations"))));
}

void finish_adoption(pqxx::connection& connection, std::string_view index_migration,
                     const std::function<void(std::string_view)>& report) {
    bool has_own_key = false;
    std::vector<std::string> half_built;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        if (!libpqxx::run1(work, "SELECT to_regclass('runledger.adoption') IS NOT NULL")[0].as<bool>() ||
            !libpqxx::run1(work, queries::adopt::is_unfinished)[0].as<bool>()) {
            return;
        }
        has_own_key =
            libpqxx::run1(work, "SELECT to_regclass('runledger.generations_ledger_id_seq') IS NOT NULL")[0].as<bool>();
        for (const auto& row : libpqxx::run(work, queries::adopt::find_half_built)) {
            half_built.push_back(row[0].as<std::string>());
        }
    }
    report(fmt::format("filled the ledger's columns of {} rows", fill(connection, report)));
    {
        // No transaction, so no search path of ours either: these statements call no function and name no type, and the
        // operator classes are the types' own.
        pqxx::nontransaction session(connection);
        for (const std::string& index : half_built) {
            session.exec("DROP INDEX CONCURRENTLY IF EXISTS " + index);
        }
        session.exec(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS generations_run_id_unique ON runledger.generations "
            "(run_id)");
        if (has_own_key) {
            session.exec(
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS generations_id_unique ON runledger.generations (id)");
        }
        for (const std::string& statement : concurrent_indexes_of(index_migration)) {
            session.exec(statement);
        }
    }
    std::vector<std::string> constraints{"generations_status_is_known",      "generations_duration_is_not_negative",
                                         "generations_cost_is_not_negative", "generations_duration_is_finite",
                                         "generations_cost_is_finite",       "generations_times_are_of_1970_to_9999",
                                         "generations_cost_note_is_known"};
    if (has_own_key) {
        constraints.emplace_back("generations_id_is_set");
    }
    for (const std::string& constraint : constraints) {
        pqxx::work work(connection);
        secure_search_path(work);
        work.exec(fmt::format("ALTER TABLE runledger.generations VALIDATE CONSTRAINT {}", constraint));
        work.commit();
    }
    within_lock_timeout(connection, [has_own_key](pqxx::work& work) {
        if (has_own_key) {
            work.exec(
                "ALTER TABLE runledger.generations ALTER COLUMN id SET NOT NULL, ADD CONSTRAINT generations_id_unique "
                "UNIQUE USING INDEX generations_id_unique");
        }
        work.exec(
            "ALTER TABLE runledger.generations ADD CONSTRAINT generations_run_id_unique UNIQUE USING INDEX "
            "generations_run_id_unique; UPDATE runledger.adoption SET finished_at = clock_timestamp()");
    });
    report("built the indexes, and checked the constraints");
}

}  // namespace runledger
