// One connection to PostgreSQL, through libpqxx, for one thread.
//
// libpqxx 6 silently re-opens a lost connection, which would split a transaction. This class forbids it. After an error
// a stage drops the connection, waits and begins its turn anew.
#pragma once

#include <pqxx/pqxx>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace runledger {

// COMMIT came back with a warning (PostgreSQL: "canceling wait for synchronous replication"): the transaction
// may be lost with this server. Treat it as not committed; trying again is safe.
class CommitDoubtful : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Database {
public:
    // Connects later. application_name is "runledgerd <purpose>", or with the URI's own name as the first word. No
    // state is left in a session that may be a pooler's.
    Database(std::string uri, std::string_view purpose);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    // The open connection; connects if there is none. Throws pqxx::broken_connection and the like.
    [[nodiscard]] pqxx::connection& connection();

    // Drops the connection; the next call of connection() makes a new one.
    void disconnect() noexcept;

    // Commits; a warning counts as a failure. Throws CommitDoubtful, pqxx::in_doubt_error, pqxx::failure.
    void commit(pqxx::work& work);

private:
    friend class Transaction;
    class NoticeWatch;
    std::string uri_;
    std::string purpose_;
    std::unique_ptr<pqxx::connection> connection_;
    std::unique_ptr<NoticeWatch> notices_;
    std::optional<bool> is_own_session_;                       // Of this connection; not asked yet.
    std::unordered_map<const char*, std::string> prepared_{};  // Names, by the address of the query.
};

// The first statements of every transaction: they set durability and timeouts.
// `statement_timeout` bounds each statement, `lock_timeout` each wait for a lock.
// `plans_once`: PostgreSQL makes one generic plan for each prepared statement, including those in functions. For
// statements whose best plan does not depend on the parameters.
struct TransactionBounds {
    std::chrono::milliseconds statement_timeout{std::chrono::seconds{60}};
    std::chrono::milliseconds lock_timeout{std::chrono::seconds{10}};
    bool plans_once{false};
};
void begin_durably(pqxx::work& work, const TransactionBounds& bounds);

// A transaction that has begun durably. Its queries are prepared if the session can keep them.
class Transaction : public pqxx::work {
public:
    // Throws what connecting and beginning throw.
    Transaction(Database& database, const TransactionBounds& bounds);

    // The server's process id, if the session is ours alone; asks for it once in a session.
    [[nodiscard]] std::optional<int> own_backend();

private:
    friend const std::string* prepared_name(pqxx::transaction_base& work, std::string_view query);
    [[nodiscard]] const std::string& prepared(std::string_view query);

    Database& database_;
};

// The name of the prepared query in this session; prepares it the first time. Null if the session can't keep it:
// behind a pooler, whose next transaction may run in another session, or in a transaction that is no Transaction.
// `query`: a constant of queries::, which is known by its address.
[[nodiscard]] const std::string* prepared_name(pqxx::transaction_base& work, std::string_view query);

// Executes a query that is repeated often: it is parsed once in each session that can keep it.
template <class... Values>
pqxx::result ask(pqxx::transaction_base& work, std::string_view query, const Values&... values) {
    if (const std::string* name = prepared_name(work, query)) {
        return work.exec_prepared(*name, values...);
    }
    return work.exec_params(std::string(query), values...);
}

// The same, for a query that returns one row. Throws pqxx::unexpected_rows if it does not.
template <class... Values>
pqxx::row ask1(pqxx::transaction_base& work, std::string_view query, const Values&... values) {
    const pqxx::result rows = ask(work, query, values...);
    if (rows.size() != 1) {
        throw pqxx::unexpected_rows("one row was expected of: " + std::string(query));
    }
    return rows.front();
}

// Builds a PostgreSQL array literal ("{\"a\",NULL}") as a parameter for unnest($n::type[]).
class ArrayLiteral {
public:
    void add(std::string_view text);
    void add_null();
    void add(std::int64_t value);
    void add(double value);
    void add(bool value);
    template <class Value>
    void add(const std::optional<Value>& value) {
        if (value) {
            add(*value);
        } else {
            add_null();
        }
    }
    // The literal as a whole.
    [[nodiscard]] std::string str() const;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }

private:
    void separate();
    std::string text_{"{"};
    std::size_t count_{0};
};

// What to do after a failed turn.
enum class Failure : std::uint8_t {
    poison,     // A data error (SQLSTATE class 22 or 23) from our own tables: a part of the turn can't be stored.
    try_again,  // Everything else: lost connections, deadlocks, a full disk, a missing privilege.
};
[[nodiscard]] Failure classify(const std::exception& error) noexcept;

}  // namespace runledger
