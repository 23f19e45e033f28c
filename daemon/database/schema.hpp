// The database's schema and this build: making the one what the other needs, and refusing to run on another.
//
// What has state is made by migrations, each applied once. Functions, views and triggers have none: one file says what
// each is now, and all of them are made again where their joint digest is not the one that the database holds.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/adopt.hpp"
#include "daemon/database/transaction.hpp"
#include "schema_sql.hpp"

namespace runledger {

// The database can be reached, but its schema is not the one this build knows. what() says in what they differ and
// which command to run.
class SchemaMismatch : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What a schema is made of; views lists each one behind those that it reads.
struct SchemaSql {
    std::span<const schema_sql::Migration> migrations;
    std::span<const schema_sql::Definition> functions;
    std::span<const schema_sql::Definition> views;
    std::string_view triggers;
    std::string_view grants;
};

// This build's, from the folder sql/.
[[nodiscard]] SchemaSql known_schema() noexcept;

// XXH3-128, in hexadecimal, of the functions, views and triggers.
[[nodiscard]] std::string digest_of(const SchemaSql& schema);

// Throws SchemaMismatch if a migration is missing, unknown, or was another when it was applied, or the functions, views
// and triggers are others; what pqxx throws if it can't be asked.
void check_schema(pqxx::connection& connection, const SchemaSql& schema = known_schema());

// The migrating user may not make what a DBA has to make first. what() has the statements.
class RightsMissing : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Makes the roles that are missing, then applies each migration that is missing, whatever its number, in a transaction
// of its own. Then, in one transaction, makes all functions, views and triggers again where their digest differs, hands
// everything to runledger_owner and gives each role its rights anew. Holds an advisory lock meanwhile: a second
// `migrate` waits for the first. Calls `report` with a sentence for each step.
// Throws SchemaMismatch, before anything is done, if the database has a migration that this build does not know or
// knows with another text; RightsMissing and PoolerInTheWay, likewise; what pqxx throws if a step fails (those before
// it stay). With an adoption, the table that it names becomes generations; throws AdoptionRefused before anything is
// done.
void migrate(pqxx::connection& connection, const std::function<void(std::string_view)>& report,
             const Adoption* adoption = nullptr, const SchemaSql& schema = known_schema());

// Makes the tables and functions, empty, in a schema of another name, which has to be there. The roles, views, triggers
// and grants stay away.
void make_scratch_tables(const Statements& work, std::string_view schema_name);

// The statement with another schema's name in the place of ours, also in the channel on which settlements are told.
[[nodiscard]] std::string text_in(std::string_view schema_name, std::string_view sql);

// In a transaction that waits a second for each lock, so that nobody queues behind it for longer, and is tried again
// for about a minute while it has none. Throws what pqxx throws.
void within_lock_timeout(pqxx::connection& connection, const std::function<void(pqxx::work&)>& step);

// What the daemon needs to start: this build's schema, and a login with all rights of runledger_daemon. Throws
// SchemaMismatch; Refused if the login lacks a right or the server refuses it; what pqxx throws if it can't be asked.
void check_may_start(Database& database);

// The same, on the connection of a Database, for everybody outside this folder.
void check_schema(Database& database);
void migrate(Database& database, const std::function<void(std::string_view)>& report,
             const Adoption* adoption = nullptr);
[[nodiscard]] std::vector<std::string> plan_adoption(Database& database, const Adoption& adoption);

}  // namespace runledger
