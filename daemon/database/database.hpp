// One connection to PostgreSQL, through libpqxx, for one thread.
//
// A lost connection is not re-opened in silence, which would split a transaction. After an error a stage drops the
// connection, waits and begins its turn anew. Transactions are in transaction.hpp.
#pragma once

#include <pqxx/pqxx>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/database/connect_fault.hpp"
#include "daemon/database/outage.hpp"

namespace runledger {

// COMMIT came back with a warning (PostgreSQL: "canceling wait for synchronous replication"): the transaction
// may be lost with this server. Treat it as not committed; trying again is safe.
class CommitDoubtful : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The connection comes through a pooler, and what is to be done needs a session of its own. what() says which key of
// the configuration names the server.
class PoolerInTheWay : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Adoption;
class Transaction;

class Database {
public:
    // Connects later. application_name is "runledgerd <purpose>", or with the URI's own name as the first word. No
    // state is left in a session that may be a pooler's.
    Database(std::string uri, std::string_view purpose);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    // Drops the connection; the next transaction makes a new one.
    void disconnect() noexcept;
    // The same, after a failed turn. True: the failure is logged, here and now or before, and the stage says nothing.
    // That is so if PostgreSQL is away or refuses the login, which is said once for all connections, and if it refuses
    // statements for good, which is said once for this one. False: the stage logs it in its own words.
    [[nodiscard]] bool give_up(const std::exception& error) noexcept;

    // Commits; a warning counts as a failure. Throws CommitDoubtful, pqxx::in_doubt_error, pqxx::failure.
    void commit(Transaction& transaction);

private:
    // All that may have the connection itself: nobody else can begin a transaction that says no isolation and bounds.
    friend class Transaction;
    friend class Snapshot;
    friend class ChannelListener;
    friend void check_schema(Database& database);
    friend void check_may_start(Database& database);
    friend void migrate(Database& database, const std::function<void(std::string_view)>& report,
                        const Adoption* adoption);
    friend std::vector<std::string> plan_adoption(Database& database, const Adoption& adoption);
    friend struct TestedConnection;  // Of the tests of this class.

    // Connects if there is none. Throws Refused, pqxx::broken_connection and the like.
    [[nodiscard]] pqxx::connection& connection();
    // For a new transaction: a connection that the server has ended meanwhile (idle_session_timeout, a pooler's
    // client_idle_timeout, pg_terminate_backend) is made anew. Throws likewise.
    [[nodiscard]] pqxx::connection& living_connection();
    void connect();
    // A statement has succeeded.
    void answered() { outages_->end(); }

    class NoticeWatch;
    std::string uri_;
    std::string purpose_;
    std::shared_ptr<Outages> outages_;
    std::uint64_t outages_before_{0};  // When the connection was made.
    std::string last_failure_;         // To connect, in libpqxx's words; and why, if that is known.
    std::optional<Refused> refusal_;
    std::string refused_with_;  // The SQLSTATE that give_up() has said since the last commit.
    std::uint64_t times_refused_{0};
    std::unique_ptr<pqxx::connection> connection_;
    std::unique_ptr<OpenSocket> socket_;
    std::unique_ptr<NoticeWatch> notices_;
    std::optional<bool> is_own_session_;                       // Of this connection; not asked yet.
    std::unordered_map<const char*, std::string> prepared_{};  // Names, by the address of the query.
};

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

// The literal of all of these, in their order.
template <class Values>
[[nodiscard]] std::string array_of(const Values& values) {
    ArrayLiteral array;
    for (const auto& value : values) {
        array.add(value);
    }
    return array.str();
}

// What to do after a failed turn.
enum class Failure : std::uint8_t {
    poison,     // A data error (SQLSTATE class 22 or 23) or an error of ours: a part of the turn can't be stored.
    refused,    // A living server refused a statement in another way: a trigger's RAISE, a lock, a missing privilege.
                // Whether a part of the turn or the server is at fault shows only in what happens to other turns.
    try_again,  // Everything else: lost connections, a full disk, a server that is shutting down or is a standby.
};
[[nodiscard]] Failure classify(const std::exception& error) noexcept;

// Whether the same statement may succeed later, whatever it holds: locks, deadlocks and what concerns the whole server.
[[nodiscard]] bool passes_by_itself(std::string_view sqlstate) noexcept;

}  // namespace runledger
