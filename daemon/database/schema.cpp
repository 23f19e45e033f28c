#include "daemon/database/schema.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "migrations.hpp"
#include "queries/migrate.hpp"

namespace runledger {
namespace {

// "runledge" in ASCII: any fixed number that nobody else is likely to lock.
constexpr std::int64_t migrate_lock = 0x72756e6c65646765;

// The migration that creates generations, and which an adoption takes the place of.
constexpr int generations_version = 2;

// 0: no schema at all.
int stored_version(pqxx::transaction_base& transaction) {
    const auto table = transaction.exec1("SELECT to_regclass('runledger.schema_migrations') IS NOT NULL");
    if (!table[0].as<bool>()) {
        return 0;
    }
    return transaction.exec1("SELECT coalesce(max(version), 0) FROM runledger.schema_migrations")[0].as<int>();
}

SchemaMismatch newer(int stored) {
    return SchemaMismatch(
        fmt::format("the database's schema has version {}, newer than this build's {}: install the newer runledger",
                    stored, known_schema_version()));
}

// Roles belong to the cluster: another database's migrate may make them in the same moment.
void make_roles(pqxx::connection& connection, const std::function<void(std::string_view)>& report) {
    std::vector<std::string> statements;
    std::string user;
    bool may_make_roles = false;
    {
        pqxx::work work(connection);
        for (const auto& row : work.exec(std::string(queries::migrate::find_missing_rights))) {
            statements.push_back(row[0].as<std::string>());
        }
        const auto row = work.exec1(
            "SELECT current_user, rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user");
        user = row[0].as<std::string>();
        may_make_roles = row[1].as<bool>();
    }
    if (!may_make_roles && !statements.empty()) {
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

void give_rights(pqxx::connection& connection) {
    pqxx::work work(connection);
    work.exec(std::string(queries::migrate::give_to_owner));
    work.exec(std::string(queries::migrate::grant));
    work.commit();
}

}  // namespace

int known_schema_version() noexcept { return migrations::all.back().version; }

void check_schema(pqxx::connection& connection) {
    pqxx::work work(connection);
    begin_durably(work, {});  // A migration that is under way must not hold up a signal for long.
    const int stored = stored_version(work);
    if (stored > known_schema_version()) {
        throw newer(stored);
    }
    if (stored < known_schema_version()) {
        throw SchemaMismatch(fmt::format(
            "the database's schema has version {}, this build needs {}: run `runledger --config FILE migrate` first",
            stored, known_schema_version()));
    }
}

void within_lock_timeout(pqxx::connection& connection, const std::function<void(pqxx::work&)>& step) {
    constexpr int attempts_max = 40;
    for (int attempt = 1;; ++attempt) {
        try {
            pqxx::work work(connection);
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
             const Adoption* adoption) {
    if (adoption != nullptr) {
        (void)adoption->plan(connection);  // Refuses before anything is done.
    }
    {
        pqxx::work work(connection);
        // Until this connection ends: migrations commit one by one, the lock spans them all.
        work.exec(fmt::format("SELECT pg_advisory_lock({})", migrate_lock));
        work.commit();
    }
    make_roles(connection, report);
    int stored = 0;
    {
        pqxx::work work(connection);
        // Looked at first: an owner without CREATE on the database may still migrate a schema made for it.
        if (!work.exec1("SELECT to_regnamespace('runledger') IS NOT NULL")[0].as<bool>()) {
            work.exec("CREATE SCHEMA runledger");
        }
        work.exec(
            "CREATE TABLE IF NOT EXISTS runledger.schema_migrations ("
            "version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
        work.exec(
            "COMMENT ON TABLE runledger.schema_migrations IS "
            "'Which migrations were applied, and when. Written by `runledger migrate`.'");
        work.exec("COMMENT ON COLUMN runledger.schema_migrations.version IS 'The number in the file''s name.'");
        work.exec("COMMENT ON COLUMN runledger.schema_migrations.name IS 'The file''s name.'");
        work.exec("COMMENT ON COLUMN runledger.schema_migrations.applied_at IS 'The time of its transaction.'");
        stored = stored_version(work);
        work.commit();
    }
    if (stored > known_schema_version()) {
        throw newer(stored);
    }
    finish_adoption(connection, report);  // One that was interrupted.
    for (const auto& migration : migrations::all) {
        if (migration.version <= stored) {
            continue;
        }
        if (migration.version == generations_version && adoption != nullptr) {
            adoption->take_over(connection, migration.version, migration.name, migration.sql);
            report(fmt::format("adopted, in the place of {}", migration.name));
            finish_adoption(connection, report);
            continue;
        }
        within_lock_timeout(connection, [&](pqxx::work& work) {
            work.exec(std::string(migration.sql));
            work.exec_params("INSERT INTO runledger.schema_migrations (version, name) VALUES ($1, $2)",
                             migration.version, std::string(migration.name));
        });
        report(fmt::format("applied {}", migration.name));
    }
    give_rights(connection);
    report(fmt::format("the schema has version {}", known_schema_version()));
}

void check_schema(Database& database) { check_schema(database.connection()); }

void migrate(Database& database, const std::function<void(std::string_view)>& report, const Adoption* adoption) {
    migrate(database.connection(), report, adoption);
}

std::vector<std::string> plan_adoption(Database& database, const Adoption& adoption) {
    return adoption.plan(database.connection());
}

}  // namespace runledger
