#include "daemon/schema.hpp"

#include <fmt/format.h>

#include "daemon/database.hpp"
#include "migrations.hpp"

namespace runledger {
namespace {

// "runledge" in ASCII: any fixed number that nobody else is likely to lock.
constexpr std::int64_t migrate_lock = 0x72756e6c65646765;

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

void migrate(pqxx::connection& connection, const std::function<void(std::string_view)>& report) {
    {
        pqxx::work work(connection);
        // Until this connection ends: migrations commit one by one, the lock spans them all.
        work.exec(fmt::format("SELECT pg_advisory_lock({})", migrate_lock));
        work.commit();
    }
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
    for (const auto& migration : migrations::all) {
        if (migration.version <= stored) {
            continue;
        }
        pqxx::work work(connection);
        work.exec(std::string(migration.sql));
        work.exec_params("INSERT INTO runledger.schema_migrations (version, name) VALUES ($1, $2)", migration.version,
                         std::string(migration.name));
        work.commit();
        report(fmt::format("applied {}", migration.name));
    }
    report(fmt::format("the schema has version {}", known_schema_version()));
}

}  // namespace runledger
