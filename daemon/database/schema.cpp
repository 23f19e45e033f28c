#include "daemon/database/schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <iterator>
#include <thread>
#include <vector>

#include "common/digest.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "daemon/database/transaction.hpp"
#include "queries/migrate.hpp"
#include "queries/start.hpp"

namespace runledger {
namespace {

// "runledge" in ASCII: any fixed number that nobody else is likely to lock.
constexpr std::int64_t migrate_lock = 0x72756e6c65646765;

// The migration that creates the schema, and the one that creates generations, whose place an adoption takes.
constexpr int schema_version = 1;
constexpr int generations_version = 2;

constexpr int indexes_version = 3;  // The one that makes their indexes.

// What generated columns and an adopted table's triggers call: they are made before each migration, which may create
// such a column.
constexpr std::array<std::string_view, 3> column_functions{"generated_columns", "recipients", "adopted_columns"};

constexpr std::string_view command = "run `runledger --config FILE migrate` first";

// What a database says of its schema.
struct StoredMigration {
    std::string name;
    std::string digest;  // Of its file, as it was applied; empty: a build applied it that wrote none down.
};
struct StoredSchema {
    std::vector<StoredMigration> migrations;
    std::string digest;       // Empty: nothing was defined yet.
    std::string views{"{}"};  // What was defined, as array literals of their names; routines with their arguments.
    std::string routines{"{}"};
    bool is_there{false};
};

std::string digest_of_text(std::string_view text) {
    return fmt::format("{:02x}", fmt::join(digest128(std::as_bytes(std::span(text))), ""));
}

// Throws SchemaMismatch if the database is not in UTF-8.
StoredSchema stored_schema(pqxx::transaction_base& work) {
    const auto encoding = libpqxx::run1(work, "SELECT current_setting('server_encoding')")[0].as<std::string>();
    if (encoding != "UTF8") {
        throw SchemaMismatch(
            fmt::format("the database's encoding is {}, and runledger needs UTF8: make the database with CREATE "
                        "DATABASE … ENCODING 'UTF8' TEMPLATE template0",
                        encoding));
    }
    StoredSchema stored;
    const auto row = libpqxx::run1(work,
                                   "SELECT to_regclass('runledger.schema_migrations') IS NOT NULL, "
                                   "to_regclass('runledger.schema_definitions') IS NOT NULL");
    stored.is_there = row[0].as<bool>();
    if (stored.is_there) {
        // By way of JSON: the column digest is younger than the table.
        for (const auto& migration : work.exec("SELECT m.name, coalesce(to_jsonb(m) ->> 'digest', '') "
                                               "FROM runledger.schema_migrations AS m ORDER BY m.version")) {
            stored.migrations.push_back(
                {.name = migration[0].as<std::string>(), .digest = migration[1].as<std::string>()});
        }
    }
    if (row[1].as<bool>()) {
        const auto names = [](std::string_view column) {
            return fmt::format("ARRAY(SELECT jsonb_array_elements_text(coalesce(to_jsonb(d) -> '{}', '[]')))::text",
                               column);
        };
        for (const auto& definitions :
             work.exec(fmt::format("SELECT d.digest, {}, {} FROM runledger.schema_definitions AS d", names("views"),
                                   names("routines")))) {
            stored.digest = definitions[0].as<std::string>();
            stored.views = definitions[1].as<std::string>();
            stored.routines = definitions[2].as<std::string>();
        }
    }
    return stored;
}

std::vector<schema_sql::Migration> missing_of(const SchemaSql& schema, const StoredSchema& stored) {
    std::vector<schema_sql::Migration> missing;
    for (const auto& migration : schema.migrations) {
        if (std::ranges::find(stored.migrations, migration.name, &StoredMigration::name) == stored.migrations.end()) {
            missing.push_back(migration);
        }
    }
    return missing;
}

// A migration that this build does not know, or knows with another text. Throws SchemaMismatch.
void refuse_foreign(const SchemaSql& schema, const StoredSchema& stored) {
    std::vector<std::string> unknown;
    std::vector<std::string> different;
    for (const auto& [name, digest] : stored.migrations) {
        const auto known = std::ranges::find(schema.migrations, name, &schema_sql::Migration::name);
        if (known == schema.migrations.end()) {
            unknown.push_back(name);
        } else if (digest != digest_of_text(known->sql)) {
            different.push_back(name);
        }
    }
    // First: what they have in common may be the same in all newer builds.
    if (!different.empty()) {
        throw SchemaMismatch(
            fmt::format("this database was made by another build, an unreleased one: its migrations {} are not those "
                        "of this build, so it can't be upgraded: run the build that made it, or make a new database",
                        fmt::join(different, ", ")));
    }
    if (!unknown.empty()) {
        throw SchemaMismatch(
            fmt::format("the database's schema is newer than this build, which does not know its migrations {}: "
                        "install the newer runledger",
                        fmt::join(unknown, ", ")));
    }
}

// Roles belong to the cluster: another database's migrate may make them in the same moment.
void make_roles(pqxx::connection& connection, const std::function<void(std::string_view)>& report) {
    std::vector<std::string> statements;
    std::string user;
    bool may_run_them = true;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        for (const auto& row : libpqxx::run(work, queries::migrate::find_missing_rights)) {
            statements.push_back(row[0].as<std::string>());
            may_run_them = may_run_them && row[1].as<bool>();
        }
        user = libpqxx::run1(work, "SELECT current_user")[0].as<std::string>();
    }
    if (!may_run_them) {
        std::string sentence = fmt::format(
            "the user {} may not make the roles that runledger needs; let a superuser run this, then migrate again:",
            user);
        for (const std::string& statement : statements) {
            sentence += fmt::format("\n    {};", statement);
        }
        throw RightsMissing(sentence);
    }
    for (const std::string& statement : statements) {
        try {
            pqxx::work work(connection);
            secure_search_path(work);
            work.exec(statement);
            work.commit();
            if (statement.starts_with("CREATE ROLE")) {
                report(fmt::format("made the role {}", statement.substr(std::string_view("CREATE ROLE ").size())));
            }
        } catch (const pqxx::sql_error& error) {
            // duplicate_object, unique_violation, and a row that both updated: the other one has done it.
            if (error.sqlstate() != "42710" && error.sqlstate() != "23505" && error.sqlstate() != "XX000") {
                throw;
            }
        }
    }
}

std::string_view text_of(std::span<const schema_sql::Definition> definitions, std::string_view name) {
    const auto at = std::ranges::find(definitions, name, &schema_sql::Definition::name);
    assert(at != definitions.end());
    return at->sql;
}

void make_columns_functions(pqxx::work& work, const SchemaSql& schema) {
    for (const std::string_view functions : column_functions) {
        work.exec(std::string(text_of(schema.functions, functions)));
    }
}

std::vector<std::string> first_column(const pqxx::result& rows) {
    std::vector<std::string> texts;
    for (const auto& row : rows) {
        texts.push_back(row[0].as<std::string>());
    }
    return texts;
}

std::string array_of(const std::vector<std::string>& texts) {
    ArrayLiteral array;
    for (const std::string& text : texts) {
        array.add(std::string_view(text));
    }
    return array.str();
}

void make_functions_and_views(pqxx::transaction_base& work, const SchemaSql& schema) {
    for (const auto& definitions : {schema.functions, schema.views}) {
        for (const auto& definition : definitions) {
            work.exec(std::string(definition.sql));
        }
    }
}

// False: CREATE OR REPLACE refuses a change: a function returns something else, or its arguments have other names; a
// view has other columns, or in another order; a call fits both a function and the one that takes its place.
bool replace_functions_and_views(pqxx::work& work, const SchemaSql& schema) {
    try {
        pqxx::subtransaction attempt(work, "definitions");
        make_functions_and_views(attempt, schema);
        attempt.commit();
        return true;
    } catch (const pqxx::sql_error& error) {
        if (!sqlstate_of(error).starts_with("42")) {  // Syntax error or access rule violation.
            throw;
        }
        return false;
    }
}

// Views first: no function is made of a view. Those of a kind in one statement, so in any order.
void drop(pqxx::work& work, const std::vector<std::string>& views, const std::vector<std::string>& routines) {
    if (!views.empty()) {
        work.exec(fmt::format("DROP VIEW {}", fmt::join(views, ", ")));
    }
    if (!routines.empty()) {
        work.exec(fmt::format("DROP ROUTINE {}", fmt::join(routines, ", ")));
    }
}

// Refused, with the name, where a view or function of somebody else's uses one of ours: that one is theirs to drop.
// What a column, an index or a trigger calls stays, and is replaced.
void make_functions_and_views_anew(pqxx::work& work, const SchemaSql& schema, const StoredSchema& stored) {
    const auto views = first_column(libpqxx::run(work, queries::migrate::find_views, stored.views, "{}"));
    const auto routines = first_column(libpqxx::run(work, queries::migrate::find_replaceable, stored.routines, "{}"));
    std::vector<std::string> privileges;
    for (const auto& row : libpqxx::run(work, queries::migrate::find_privileges, array_of(views), array_of(routines))) {
        privileges.push_back(row[0].as<std::string>());
    }
    drop(work, views, routines);
    make_functions_and_views(work, schema);
    for (const std::string& privilege : privileges) {
        work.exec(privilege);
    }
}

void define(pqxx::work& work, const SchemaSql& schema, const std::string& digest, const StoredSchema& stored) {
    const auto before = array_of(first_column(libpqxx::run(work, queries::migrate::find_routines, "{}")));
    std::vector<std::string> views;
    std::ranges::transform(schema.views, std::back_inserter(views),
                           [](const auto& view) { return fmt::format("runledger.{}", view.name); });
    if (!replace_functions_and_views(work, schema)) {
        make_functions_and_views_anew(work, schema, stored);
    }
    work.exec(std::string(schema.triggers));
    std::vector<std::string> routines;
    for (const auto& row : libpqxx::run(work, queries::migrate::find_routines, before)) {
        routines.push_back(row[1].as<std::string>());
    }
    // What an earlier build defined and this one does not.
    drop(work, first_column(libpqxx::run(work, queries::migrate::find_views, stored.views, array_of(views))),
         first_column(libpqxx::run(work, queries::migrate::find_replaceable, stored.routines, array_of(routines))));
    libpqxx::run(work,
                 "INSERT INTO runledger.schema_definitions (digest, views, routines) VALUES ($1, $2, $3) "
                 "ON CONFLICT (is_the_row) DO UPDATE SET digest = EXCLUDED.digest, views = EXCLUDED.views, "
                 "routines = EXCLUDED.routines, defined_at = EXCLUDED.defined_at",
                 digest, array_of(views), array_of(routines));
}

void apply_migration(pqxx::connection& connection, const SchemaSql& schema, const schema_sql::Migration& migration,
                     const Adoption* adoption) {
    within_lock_timeout(connection, [&](pqxx::work& work) {
        if (migration.version != schema_version) {
            make_columns_functions(work, schema);
        }
        if (adoption != nullptr) {
            adoption->take_over(work, migration.sql);
        } else {
            work.exec(std::string(migration.sql));
        }
        libpqxx::run(work, "INSERT INTO runledger.schema_migrations (version, name, digest) VALUES ($1, $2, $3)",
                     migration.version, std::string(migration.name), digest_of_text(migration.sql));
    });
}

}  // namespace

SchemaSql known_schema() noexcept {
    return {.migrations = schema_sql::migrations,
            .functions = schema_sql::functions,
            .views = schema_sql::views,
            .triggers = schema_sql::triggers,
            .grants = schema_sql::grants};
}

std::string digest_of(const SchemaSql& schema) {
    std::string text;
    const auto add = [&text](std::string_view part) { (text += part).push_back('\0'); };
    for (const auto& definitions : {schema.functions, schema.views}) {
        for (const auto& [name, sql] : definitions) {
            add(name);
            add(sql);
        }
    }
    add(schema.triggers);
    return digest_of_text(text);
}

void check_schema(pqxx::connection& connection, const SchemaSql& schema) {
    pqxx::work work(connection);
    begin_durably(work, {});  // A migration that is under way must not hold up a signal for long.
    const StoredSchema stored = stored_schema(work);
    if (!stored.is_there) {
        throw SchemaMismatch(fmt::format("the database has no schema runledger: {}", command));
    }
    refuse_foreign(schema, stored);
    if (const auto missing = missing_of(schema, stored); !missing.empty()) {
        std::vector<std::string_view> names;
        std::ranges::transform(missing, std::back_inserter(names), &schema_sql::Migration::name);
        throw SchemaMismatch(
            fmt::format("the database's schema lacks the migrations {}: {}", fmt::join(names, ", "), command));
    }
    if (const std::string digest = digest_of(schema); stored.digest != digest) {
        throw SchemaMismatch(
            fmt::format("the database's functions, views and triggers are not this build's (their digest is {}, this "
                        "build's is {}): {}",
                        stored.digest.empty() ? "missing" : stored.digest, digest, command));
    }
}

void within_lock_timeout(pqxx::connection& connection, const std::function<void(pqxx::work&)>& step) {
    constexpr int attempts_max = 40;
    for (int attempt = 1;; ++attempt) {
        try {
            pqxx::work work(connection);
            secure_search_path(work);
            work.exec("SET LOCAL lock_timeout = '1s'");
            step(work);
            work.commit();
            return;
        } catch (const pqxx::sql_error& error) {
            if (error.sqlstate() != "55P03" || attempt == attempts_max) {
                throw;
            }
            // Whoever queued behind the lock goes first.
            std::this_thread::sleep_for(std::chrono::milliseconds{500});
        }
    }
}

void migrate(pqxx::connection& connection, const std::function<void(std::string_view)>& report,
             const Adoption* adoption, const SchemaSql& schema) {
    begin_own_session(connection);
    if (adoption != nullptr) {
        (void)adoption->plan(connection);  // Refuses before anything is done.
    }
    {
        pqxx::work work(connection);
        secure_search_path(work);
        // Until this connection ends: migrations commit one by one, the lock spans them all.
        work.exec(fmt::format("SELECT pg_advisory_lock({})", migrate_lock));
        work.commit();
    }
    StoredSchema stored;
    {
        pqxx::work work(connection);
        secure_search_path(work);
        stored = stored_schema(work);
    }
    refuse_foreign(schema, stored);  // Before anything is made.
    make_roles(connection, report);
    const auto indexes = std::ranges::find(schema.migrations, indexes_version, &schema_sql::Migration::version);
    const std::string_view index_migration = indexes == schema.migrations.end() ? "" : indexes->sql;
    finish_adoption(connection, index_migration, report);  // One that was interrupted.
    for (const auto& migration : missing_of(schema, stored)) {
        const bool is_adopted = migration.version == generations_version && adoption != nullptr;
        apply_migration(connection, schema, migration, is_adopted ? adoption : nullptr);
        if (is_adopted) {
            report(fmt::format("adopted, in the place of {}", migration.name));
            finish_adoption(connection, index_migration, report);
        } else {
            report(fmt::format("applied {}", migration.name));
        }
    }
    const std::string digest = digest_of(schema);
    within_lock_timeout(connection, [&](pqxx::work& work) {
        if (stored.digest != digest) {
            define(work, schema, digest, stored);
        }
        work.exec(std::string(schema.grants));
    });
    if (stored.digest != digest) {
        report(fmt::format("defined the functions, views and triggers, digest {}", digest));
    }
    report(fmt::format("the schema is this build's: {} migrations, digest {}", schema.migrations.size(), digest));
}

void make_scratch_tables(const Statements& work, std::string_view schema_name) {
    const SchemaSql schema = known_schema();
    for (const std::string_view functions : column_functions) {
        work.run(text_in(schema_name, text_of(schema.functions, functions)));
    }
    for (const auto& migration : schema.migrations) {
        if (migration.version != schema_version) {
            work.run(text_in(schema_name, migration.sql));
        }
    }
    for (const auto& function : schema.functions) {
        work.run(text_in(schema_name, function.sql));
    }
}

std::string text_in(std::string_view schema_name, std::string_view sql) {
    std::string text(sql);
    if (schema_name == "runledger") {
        return text;
    }
    for (const std::string_view behind : {".", "_settled", "_group", "_news", "_progress"}) {
        const std::string ours = fmt::format("runledger{}", behind);
        const std::string theirs = fmt::format("{}{}", schema_name, behind);
        for (std::size_t at = text.find(ours); at != std::string::npos; at = text.find(ours, at + theirs.size())) {
            text.replace(at, ours.size(), theirs);
        }
    }
    return text;
}

void check_may_start(Database& database) {
    const auto cure = [&database] {
        const char* user = database.connection().username();
        return fmt::format("GRANT runledger_daemon TO \"{}\"", user == nullptr ? "" : user);
    };
    std::string lacking;
    try {
        check_schema(database.connection());
        Transaction work(database, {});
        if (const auto rows = work.run(queries::start::lacks_rights); !rows.empty()) {
            lacking = rows[0][0].as<std::string>();
        }
    } catch (const pqxx::insufficient_privilege& error) {
        throw Refused(std::string(sqlstate_of(error)), error.what(), cure());
    }
    if (!lacking.empty()) {
        throw Refused("42501", fmt::format("the login lacks rights, such as {}", lacking), cure());
    }
}

void check_schema(Database& database) { check_schema(database.connection()); }

void migrate(Database& database, const std::function<void(std::string_view)>& report, const Adoption* adoption) {
    migrate(database.connection(), report, adoption);
}

std::vector<std::string> plan_adoption(Database& database, const Adoption& adoption) {
    begin_own_session(database.connection());
    return adoption.plan(database.connection());
}

}  // namespace runledger
