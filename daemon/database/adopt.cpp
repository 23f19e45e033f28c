#include "daemon/database/adopt.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "daemon/database/schema.hpp"
#include "queries/adopt.hpp"

namespace runledger {
namespace {

struct Column {
    std::string_view name;
    std::string_view type;        // What a missing one is made as, and one that is there has to be.
    std::string_view definition;  // What comes behind the type. A constant default does not rewrite the table.
    bool is_required{false};
};

constexpr std::array columns{
    Column{"id", "bigint", "", true},
    Column{"metadata", "jsonb", "", true},
    Column{"request_timestamp", "timestamp with time zone", ""},
    Column{"response_timestamp", "timestamp with time zone", ""},
    Column{"request_payload", "jsonb", ""},
    Column{"response_payload", "jsonb", ""},
    Column{"status", "text", "NOT NULL DEFAULT 'pending'"},
    Column{"status_reason", "text", ""},
    Column{"duration_ms", "numeric", ""},
    Column{"cost_usd", "numeric", ""},
    Column{"cost_note", "text", ""},
    Column{"updated_at", "timestamp with time zone", "NOT NULL DEFAULT now()"},
};
constexpr std::array<std::string_view, 7> columns_of_ours{"run_id",     "telegram_chat_id", "adopted_at", "group_key",
                                                          "group_size", "account_key",      "tool_key"};

constexpr int rows_a_batch = 5000;

// The table's columns in their order, each with its type.
using Columns = std::vector<std::pair<std::string, std::string>>;

Columns columns_of(pqxx::transaction_base& work, const std::string& table) {
    Columns found;
    for (const auto& row : libpqxx::run(work, queries::adopt::find_columns, table)) {
        found.emplace_back(row[0].as<std::string>(), row[1].as<std::string>());
    }
    return found;
}

// Its type; nullptr: there is no such column.
const std::string* find_type(const Columns& found, std::string_view name) {
    const auto at = std::ranges::find_if(found, [name](const auto& column) { return column.first == name; });
    return at == found.end() ? nullptr : &at->second;
}

// The statement that gives the column the type; empty if PostgreSQL knows no way.
std::string statement_for(const std::string& table, std::string_view name, std::string_view from, std::string_view to) {
    const auto is_one_of = [from](std::initializer_list<std::string_view> types) {
        // A type may have its bounds: numeric(10,2), timestamp(3) without time zone.
        const std::string_view first_word = from.substr(0, from.find_first_of("( "));
        return std::ranges::find(types, first_word) != types.end();
    };
    const std::string change = fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE {}", table, name, to);
    if (to == "text" || from == "json") {
        return change;
    }
    if (is_one_of({"character", "text"})) {
        return fmt::format("ALTER TABLE {0} ALTER COLUMN {1} DROP DEFAULT, ALTER COLUMN {1} TYPE {2} USING {1}::{2}",
                           table, name, to);
    }
    if (to == "numeric" && is_one_of({"double", "real"})) {
        return fmt::format("{} USING {}::text::numeric", change, name);  // Else 15 digits are left.
    }
    if (to == "timestamp with time zone" && from.ends_with("without time zone")) {
        return fmt::format("{} USING {} AT TIME ZONE 'UTC'", change, name);
    }
    const bool is_cast = (to == "numeric" && is_one_of({"numeric", "smallint", "integer", "bigint"})) ||
                         (to == "bigint" && is_one_of({"numeric", "smallint"})) ||
                         (to == "timestamp with time zone" && is_one_of({"timestamp", "date"}));
    return is_cast ? change : "";
}

std::vector<std::string> faults_of_columns(const std::string& table, const Columns& found) {
    std::vector<std::string> faults;
    for (const Column& column : columns) {
        const std::string* type = find_type(found, column.name);
        if (type == nullptr) {
            if (column.is_required) {
                faults.push_back(fmt::format("it has no column {}, {}", column.name, column.type));
            }
            continue;
        }
        const bool fits = *type == column.type || (column.name == "id" && *type == "integer");
        if (!fits) {
            const std::string statement = statement_for(table, column.name, *type, column.type);
            const bool rewrites_nothing = column.type == "text" && type->starts_with("character varying");
            faults.push_back(fmt::format("its column {} is {}, not {}{}{}", column.name, *type, column.type,
                                         rewrites_nothing ? ", a change which rewrites nothing" : "",
                                         statement.empty() ? ", and PostgreSQL can't convert it: add a column that "
                                                             "fits under this name, and rename the old one"
                                                           : ": " + statement));
        }
    }
    for (const std::string_view name : columns_of_ours) {
        if (find_type(found, name) != nullptr) {
            faults.push_back(
                fmt::format("it has a column {0}, which the ledger makes and keeps by itself: ALTER TABLE {1} "
                            "RENAME COLUMN {0} TO application_{0}",
                            name, table));
        }
    }
    return faults;
}

// What the columns hold. Reads the whole table, at its reader's rights and locks.
std::vector<std::string> faults_of_rows(pqxx::transaction_base& work, const std::string& table, const Columns& found) {
    std::vector<std::string> faults;
    const auto count = [&](const std::string& condition) {
        return libpqxx::run1(work, fmt::format("SELECT count(*) FROM {} WHERE {}", table, condition))[0]
            .as<std::int64_t>();
    };
    const auto refuse = [&](std::string_view column, const std::string& condition, std::string_view sentence) {
        if (find_type(found, column) != nullptr) {
            if (const auto rows = count(condition); rows > 0) {
                faults.push_back(fmt::format("in {} of its rows {}", rows, sentence));
            }
        }
    };
    refuse("status", "status IS NULL OR status NOT IN ('pending', 'processing', 'completed', 'failed', 'cancelled')",
           "status is none of pending, processing, completed, failed, cancelled");
    refuse("duration_ms", "duration_ms < 0", "duration_ms is negative");
    refuse("cost_usd", "cost_usd < 0", "cost_usd is negative");
    refuse("cost_note", "cost_note IS NOT NULL", "cost_note is set, which is the ledger's to say");
    const auto shared = libpqxx::run1(
        work, fmt::format(
                  "SELECT count(*), min(run_id) FROM (SELECT metadata ->> 'run_id' AS run_id FROM {} WHERE "
                  "jsonb_typeof(metadata -> 'run_id') = 'string' AND octet_length(metadata ->> 'run_id') BETWEEN 1 AND "
                  "128 GROUP BY 1 HAVING count(*) > 1) AS shared",
                  table));
    if (const auto run_ids = shared[0].as<std::int64_t>(); run_ids > 0) {
        faults.push_back(fmt::format("{} run_ids stand in more than one of its rows, such as {}", run_ids,
                                     shared[1].as<std::string>()));
    }
    return faults;
}

[[noreturn]] void refuse(const std::string& table, const std::vector<std::string>& faults) {
    throw AdoptionRefused(fmt::format("{} can't be adopted:\n    {}", table, fmt::join(faults, "\n    ")));
}

}  // namespace

Adoption::Adoption(std::string_view table) {
    const std::size_t dot = table.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == table.size() ||
        table.find('.', dot + 1) != std::string_view::npos) {
        throw AdoptionRefused(fmt::format("\"{}\" does not name a table as schema.table", table));
    }
    schema_ = table.substr(0, dot);
    table_ = table.substr(dot + 1);
}

std::vector<std::string> Adoption::plan(pqxx::connection& connection) const {
    pqxx::work work(connection);
    secure_search_path(work);
    const std::string table = work.quote_name(schema_) + "." + work.quote_name(table_);
    const auto state = libpqxx::run1(work, queries::adopt::find_table, table);
    if (!state[0].as<bool>()) {
        refuse(table, {state[1].as<std::string>()});
    }
    const auto found = columns_of(work, table);
    auto faults = faults_of_columns(table, found);
    if (faults.empty()) {
        faults = faults_of_rows(work, table, found);
    }
    if (!faults.empty()) {
        refuse(table, faults);
    }
    std::vector<std::string_view> made;
    for (const Column& column : columns) {
        if (find_type(found, column.name) == nullptr) {
            made.push_back(column.name);
        }
    }
    std::vector<std::string> steps{
        fmt::format("move {} ({} rows, {}) to runledger.generations, in one transaction, without rewriting it", table,
                    libpqxx::run1(work, "SELECT count(*) FROM " + table)[0].as<std::int64_t>(),
                    state[2].as<std::string>()),
        fmt::format("add the columns {}{}{}", fmt::join(made, ", "), made.empty() ? "" : ", ",
                    fmt::join(columns_of_ours, ", ")),
        "keep run_id, telegram_chat_id, group_key, group_size, account_key and tool_key by a trigger, from metadata",
        fmt::format("leave a view {} of its columns, with its privileges, for the application's statements", table),
        fmt::format("fill these six of the rows that are there, {} at a time", rows_a_batch),
        "build the unique index on run_id concurrently",
        "notify nobody of a row that is there already",
        fmt::format("refuse, by the name {}: COPY, TRUNCATE, MERGE, ON CONFLICT ON CONSTRAINT, new foreign keys, ALTER "
                    "TABLE, CREATE INDEX and DROP TABLE, as of an ORM's migrations; all of them work on "
                    "runledger.generations (docs/dba.md, \"Adopt a table\")",
                    table),
    };
    if (find_type(found, "status") != nullptr) {
        const bool has_time = find_type(found, "response_timestamp") != nullptr;
        const auto without_time =
            libpqxx::run1(work,
                          fmt::format("SELECT count(*) FROM {} WHERE status IN ('completed', 'failed', 'cancelled'){}",
                                      table, has_time ? " AND response_timestamp IS NULL" : ""))[0]
                .as<std::int64_t>();
        if (without_time > 0) {
            steps.push_back(
                fmt::format("{} of its rows have ended but have no response_timestamp, so no view of costs "
                            "has them: set it when the table is adopted (docs/dba.md, \"Adopt a table\")",
                            without_time));
        }
    }
    if (const auto triggers = state[3].as<std::string>(); !triggers.empty()) {
        steps.push_back(fmt::format("its own triggers fire when rows are filled: {}", triggers));
    }
    return steps;
}

void Adoption::take_over(pqxx::work& work, std::string_view migration_sql) const {
    const std::string table = work.quote_name(schema_) + "." + work.quote_name(table_);
    const auto found = columns_of(work, table);
    std::vector<std::string> names;
    std::string added;
    for (const auto& [name, type] : found) {
        names.push_back(work.quote_name(name));
    }
    for (const Column& column : columns) {
        if (find_type(found, column.name) == nullptr) {
            added += fmt::format("ADD COLUMN {} {} {}, ", column.name, column.type, column.definition);
        }
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
    // A default that is one value for all rows is kept beside the table: nothing is rewritten.
    work.exec(
        fmt::format("ALTER TABLE runledger.generations {}ADD COLUMN run_id text COLLATE \"C\", ADD COLUMN "
                    "telegram_chat_id bigint, "
                    "ADD COLUMN adopted_at timestamptz DEFAULT now(), ADD COLUMN group_key text COLLATE \"C\", "
                    "ADD COLUMN group_size integer, ADD COLUMN account_key text COLLATE \"C\", "
                    "ADD COLUMN tool_key text COLLATE \"C\"",
                    added));
    libpqxx::run(work, queries::adopt::keep_columns);
    work.exec(fmt::format("CREATE VIEW {} AS SELECT {} FROM runledger.generations", table, fmt::join(names, ", ")));
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

void finish_adoption(pqxx::connection& connection, const std::function<void(std::string_view)>& report) {
    bool is_unfinished = false;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        is_unfinished = libpqxx::run1(work, queries::adopt::is_unfinished)[0].as<bool>();
    }
    if (!is_unfinished) {
        return;
    }
    std::int64_t last_id = 0;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        last_id =
            libpqxx::run1(work, "SELECT coalesce(min(id), 0) - 1 FROM runledger.generations")[0].as<std::int64_t>();
    }
    std::int64_t filled = 0;
    while (true) {
        pqxx::work work(connection);
        secure_search_path(work);
        const auto row = libpqxx::run1(work, queries::adopt::fill, last_id, rows_a_batch);
        if (row[0].is_null()) {
            break;
        }
        last_id = row[0].as<std::int64_t>();
        filled += row[1].as<std::int64_t>();
        work.commit();
    }
    report(fmt::format("filled the columns that are kept from metadata of {} rows", filled));
    {
        // No transaction, so no search path of ours either: these statements call no function and name no type, and the
        // operator classes are the types' own.
        pqxx::nontransaction session(connection);
        // An earlier attempt that failed leaves an index that is not valid.
        session.exec("DROP INDEX CONCURRENTLY IF EXISTS runledger.generations_run_id_unique");
        session.exec("CREATE UNIQUE INDEX CONCURRENTLY generations_run_id_unique ON runledger.generations (run_id)");
        session.exec(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS generations_telegram_chat_id_idx ON runledger.generations "
            "(telegram_chat_id) WHERE telegram_chat_id IS NOT NULL");
    }
    within_lock_timeout(connection, [](pqxx::work& work) {
        work.exec(
            "ALTER TABLE runledger.generations ADD CONSTRAINT generations_run_id_unique UNIQUE USING INDEX "
            "generations_run_id_unique");
    });
    for (const std::string_view constraint : {"generations_status_is_known", "generations_duration_is_not_negative",
                                              "generations_cost_is_not_negative", "generations_cost_note_is_known"}) {
        pqxx::work work(connection);
        secure_search_path(work);
        work.exec(fmt::format("ALTER TABLE runledger.generations VALIDATE CONSTRAINT {}", constraint));
        work.commit();
    }
    report("built the unique index on run_id");
}

}  // namespace runledger
