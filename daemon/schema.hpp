// The database's schema and this build: applying migrations, and refusing to run on another version.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace runledger {

// The database can be reached, but its schema is not the one this build knows. what() says which command to run.
class SchemaMismatch : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The version that this build knows: that of its last migration.
[[nodiscard]] int known_schema_version() noexcept;

// Throws SchemaMismatch if the schema is missing, older or newer; what pqxx throws if it can't be asked.
void check_schema(pqxx::connection& connection);

// Applies what is missing, each migration in a transaction of its own, under an advisory lock: a second `migrate`
// waits for the first. Calls `report` with a sentence for each. Throws SchemaMismatch if the schema is newer than
// this build; what pqxx throws if a migration fails (those before it stay).
void migrate(pqxx::connection& connection, const std::function<void(std::string_view)>& report);

}  // namespace runledger
