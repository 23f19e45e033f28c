// Transactions, and the statements in them.
//
// Invariant: every transaction says its isolation, durability and bounds before anything else, and leaves nothing in
// the session, which may be a pooler's. Used by the thread that owns the Database.
#pragma once

#include <pqxx/pqxx>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"

namespace runledger {

// The first statements of every transaction: they set durability and timeouts.
// `statement_timeout` bounds each statement and each pause between two, `lock_timeout` each wait for a lock; 0: no
// bound. `plans_once`: PostgreSQL makes one generic plan for each prepared statement, including those in functions. For
// statements whose best plan does not depend on the parameters. `is_durable`: COMMIT waits for the disk, and for
// synchronous replicas. Without it others see what was committed at once, but a crash of PostgreSQL, not of the daemon,
// may undo the transactions of its last second.
struct TransactionBounds {
    std::chrono::milliseconds statement_timeout{std::chrono::seconds{60}};
    std::chrono::milliseconds lock_timeout{std::chrono::seconds{10}};
    bool plans_once{false};
    bool is_durable{true};
};

// For the operator's commands: whoever runs one waits, or interrupts it.
inline constexpr TransactionBounds unbounded{.statement_timeout = std::chrono::milliseconds{0},
                                             .lock_timeout = std::chrono::milliseconds{0}};

class Transaction;

// Where statements run: a transaction, or a savepoint in one. All that takes part in somebody else's transaction takes
// this. Throws what pqxx throws; after a pqxx::sql_error, the transaction or savepoint can only be given up.
class Statements {
public:
    // A transaction of libpqxx's own. Not explicit: tests begin theirs with it.
    Statements(pqxx::transaction_base& work) : work_(&work) {}  // NOLINT(google-explicit-constructor)

    // Executes a statement, or, without values, several. A null `const char*` or an empty std::optional is NULL.
    template <class... Values>
    pqxx::result run(std::string_view statement, const Values&... values) const {
        return libpqxx::run(*work_, statement, values...);
    }
    // The same, for one that answers with one row. Throws pqxx::unexpected_rows where it does not.
    template <class... Values>
    pqxx::row run1(std::string_view statement, const Values&... values) const {
        return libpqxx::only_row(run(statement, values...), statement);
    }

    // Executes a query that is asked again and again: parsed once for each session that can keep it. `query`: a
    // constant of queries::, which is known by its address.
    template <class... Values>
    pqxx::result ask(std::string_view query, const Values&... values) const {
        if (const std::string* name = prepared_name(query)) {
            return libpqxx::run_prepared(*work_, *name, values...);
        }
        return libpqxx::run(*work_, query, values...);
    }

protected:
    Statements() = default;
    // Before the first statement. `transaction`: whose session keeps queries; null: none does.
    void run_in(pqxx::transaction_base& work, Transaction* transaction) noexcept {
        work_ = &work;
        transaction_ = transaction;
    }

private:
    friend class RowCopy;
    friend class Savepoint;
    // The name under which this session has the query prepared, preparing it the first time. Null where it can't keep
    // it: behind a pooler, whose next transaction may run in another session, or in no Transaction.
    [[nodiscard]] const std::string* prepared_name(std::string_view query) const;

    pqxx::transaction_base* work_{nullptr};
    Transaction* transaction_{nullptr};
};

template <class... Values>
pqxx::result ask(const Statements& work, std::string_view query, const Values&... values) {
    return work.ask(query, values...);
}
// The same, for one that answers with one row. Throws pqxx::unexpected_rows where it does not.
template <class... Values>
pqxx::row ask1(const Statements& work, std::string_view query, const Values&... values) {
    return libpqxx::only_row(work.ask(query, values...), query);
}

// Until the transaction ends, names are looked up in pg_catalog alone: a role that may create in `public`, or an ALTER
// DATABASE … SET search_path, puts no function, operator or type of its own in the place of PostgreSQL's. A Transaction
// and a Snapshot begin with it.
void secure_search_path(const Statements& work);

// The first statements of a Transaction: whatever defaults the server, the database and the role have, its statements
// mean what they say.
void begin_durably(const Statements& work, const TransactionBounds& bounds);

// The same for a session that is ours alone and that no Transaction is used for: migrations, LISTEN. It bounds nothing.
// Throws PoolerInTheWay, before it sets anything, if the session is a pooler's.
void begin_own_session(pqxx::connection& connection);

// A transaction that writes; Database::commit commits it, and without that it is rolled back.
class Transaction : public Statements {
public:
    // Throws what connecting and beginning throw.
    Transaction(Database& database, const TransactionBounds& bounds);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    // The server's process, where the session is ours alone; asks for it once in a session.
    [[nodiscard]] std::optional<int> own_backend();

private:
    friend class Database;
    friend class Statements;
    [[nodiscard]] const std::string& prepared(std::string_view query);

    Database& database_;
    std::unique_ptr<libpqxx::Work> work_;
};

// A read-only transaction in which all statements see the database as it was at the first one.
class Snapshot : public Statements {
public:
    // Throws what connecting and beginning throw. No statement is bounded.
    explicit Snapshot(Database& database);
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot();

    // Ends it before the object does.
    void end();

private:
    std::unique_ptr<libpqxx::Work> work_;
};

// A part of a transaction that can fail alone: what it has written is undone unless it is released.
class Savepoint : public Statements {
public:
    explicit Savepoint(const Statements& within);
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;
    ~Savepoint();

    void release();

private:
    std::unique_ptr<pqxx::subtransaction> work_;
};

// COPY into a table. Nothing else may run in the transaction until it is completed.
class RowCopy {
public:
    RowCopy(const Statements& within, const std::string& table, const std::vector<std::string>& columns)
        : stream_(libpqxx::stream_into(*within.work_, table, columns)) {}

    // A value for each column.
    template <class... Values>
    void add(const Values&... values) {
        stream_ << std::tuple<const Values&...>(values...);
    }
    // Throws what the server says of the rows.
    void complete() { stream_.complete(); }

private:
    libpqxx::TableStream stream_;
};

}  // namespace runledger
