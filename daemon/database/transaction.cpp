#include "daemon/database/transaction.hpp"

#include <fmt/format.h>

namespace runledger {
namespace {

// By what the server, the database or the role may set otherwise, the meaning of a statement changes, or the text of
// its values. `{0}` is LOCAL or nothing. TimeZone is not among them: a trigger of the application's may depend on it,
// and of ours only what is written to an adopted updated_at without a zone. And no statement of ours is worth
// compiling: where many rows wait, the planner's estimates are high, and what reads ten rows is compiled for seconds.
constexpr std::string_view defaults_of_ours =
    "SET {0} row_security = off; SET {0} client_min_messages = warning; SET {0} datestyle = 'ISO, MDY'; "
    "SET {0} intervalstyle = 'postgres'; SET {0} bytea_output = 'hex'; SET {0} extra_float_digits = 1; "
    "SET {0} array_nulls = on; SET {0} transform_null_equals = off; SET {0} quote_all_identifiers = off; "
    "SET {0} standard_conforming_strings = on; SET {0} jit = off";

const std::string& local_defaults() {
    static const std::string text =
        fmt::format(fmt::runtime(defaults_of_ours), "LOCAL") + "; SET LOCAL search_path = pg_catalog, pg_temp";
    return text;
}

// The isolation is said, too: under another default, a statement would not see what was committed before it.
constexpr const char* transaction_modes = "READ COMMITTED, READ WRITE, NOT DEFERRABLE";
constexpr const char* snapshot_modes = "REPEATABLE READ, READ ONLY, NOT DEFERRABLE";

// SET LOCAL, so that nothing sticks to a pooled session. synchronous_commit `on` waits for synchronous replicas where
// there are any. Under row-level security that would hide rows, a statement fails instead. A warning of COMMIT always
// comes.
std::string transaction_settings(const TransactionBounds& bounds) {
    return fmt::format(
        "{0}; SET LOCAL synchronous_commit = {1}; SET LOCAL statement_timeout = {2}; "
        "SET LOCAL idle_in_transaction_session_timeout = {2}; SET LOCAL lock_timeout = {3}{4}",
        local_defaults(), bounds.is_durable ? "on" : "off", bounds.statement_timeout.count(),
        bounds.lock_timeout.count(), bounds.plans_once ? "; SET LOCAL plan_cache_mode = force_generic_plan" : "");
}

std::string snapshot_settings() {
    return local_defaults() +
           "; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; "
           "SET LOCAL idle_in_transaction_session_timeout = 0";
}

}  // namespace

const std::string* Statements::prepared_name(std::string_view query) const {
    if (transaction_ == nullptr || !transaction_->own_backend()) {
        return nullptr;
    }
    return &transaction_->prepared(query);
}

void secure_search_path(const Statements& work) {
    // pg_temp would come first unless it is named.
    work.run("SET LOCAL search_path = pg_catalog, pg_temp");
}

void begin_durably(const Statements& work, const TransactionBounds& bounds) {
    work.run(fmt::format("SET TRANSACTION ISOLATION LEVEL {}; {}", transaction_modes, transaction_settings(bounds)));
}

void begin_own_session(pqxx::connection& connection) {
    pqxx::nontransaction session(connection);
    // Before anything sticks to a session that may be somebody else's next.
    if (libpqxx::run1(session, "SELECT pg_catalog.pg_backend_pid()")[0].as<int>() != connection.backendpid()) {
        throw PoolerInTheWay(
            "this connection comes through a pooler, such as pgbouncer, and a session of its own is needed: name the "
            "server itself in [postgres] direct_uri");
    }
    session.exec(fmt::format(fmt::runtime(defaults_of_ours), "SESSION"));
    session.exec(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE; "
        "SET idle_in_transaction_session_timeout = 0");
    session.exec(
        "SET idle_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = 0; SET synchronous_commit = on");
}

Transaction::Transaction(Database& database, const TransactionBounds& bounds)
    : database_(database),
      work_(std::make_unique<libpqxx::Work>(database.living_connection(), transaction_modes,
                                            transaction_settings(bounds))) {
    run_in(*work_, this);
    database.answered();
}

Transaction::~Transaction() = default;

// A pooler answers a connection with a process id of its own making, a server with the session's.
std::optional<int> Transaction::own_backend() {
    const int backend = work_->conn().backendpid();
    if (!database_.is_own_session_) {
        database_.is_own_session_ = run1("SELECT pg_catalog.pg_backend_pid()")[0].as<int>() == backend;
    }
    return *database_.is_own_session_ ? std::optional(backend) : std::nullopt;
}

const std::string& Transaction::prepared(std::string_view query) {
    auto& names = database_.prepared_;
    const auto [known, is_new] = names.try_emplace(query.data());
    if (is_new) {
        known->second = fmt::format("runledger_{}", names.size());
        work_->conn().prepare(known->second, std::string(query));
    }
    return known->second;
}

Snapshot::Snapshot(Database& database)
    : work_(std::make_unique<libpqxx::Work>(database.living_connection(), snapshot_modes, snapshot_settings())) {
    run_in(*work_, nullptr);
    database.answered();
}

Snapshot::~Snapshot() = default;

void Snapshot::end() { work_->commit(); }

Savepoint::Savepoint(const Statements& within)
    : work_(std::make_unique<pqxx::subtransaction>(dynamic_cast<pqxx::dbtransaction&>(*within.work_), "savepoint")) {
    run_in(*work_, nullptr);
}

Savepoint::~Savepoint() = default;

void Savepoint::release() { work_->commit(); }

}  // namespace runledger
