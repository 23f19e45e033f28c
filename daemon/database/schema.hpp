// The database's schema and this build: applying migrations, and refusing to run on another version.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/adopt.hpp"
#include "daemon/database/database.hpp"

namespace runledger {

// The database can be reached, but its schema is not the one this build knows. what() says which command to run.
class SchemaMismatch : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The version that this build knows: that of its last migration.
[[nodiscard]] int known_schema_version() noexcept;

// Throws SchemaMismatch if the schema is missing, older or newer; what pqxx throws if it can't be asked.
void check_schema(pqxx::connection& connection);

// The migrating user may not make what a DBA has to make first. what() has the statements.
class RightsMissing : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Makes the roles that are missing, then applies what is missing, each migration in a transaction of its own, under an
// advisory lock: a second `migrate` waits for the first. Last, what was made becomes runledger_owner's, and each role
// gets its rights anew. Calls `report` with a sentence for each role and migration. Throws SchemaMismatch if the schema
// is newer than this build; RightsMissing before anything is done; what pqxx throws if a migration fails (those before
// it stay).
// With an adoption, the table that it names becomes generations; throws AdoptionRefused before anything is done.
void migrate(pqxx::connection& connection, const std::function<void(std::string_view)>& report,
             const Adoption* adoption = nullptr);

// In a transaction that waits a second for each lock, so that nobody queues behind it for longer, and is tried again
// for about a minute while it has none. Throws what pqxx throws.
void within_lock_timeout(pqxx::connection& connection, const std::function<void(pqxx::work&)>& step);

// The same, on the connection of a Database, for everybody outside this folder.
void check_schema(Database& database);
void migrate(Database& database, const std::function<void(std::string_view)>& report,
             const Adoption* adoption = nullptr);
[[nodiscard]] std::vector<std::string> plan_adoption(Database& database, const Adoption& adoption);

}  // namespace runledger
