// What libpqxx 6.4 (Debian 12) and 7.10 (Debian 13) do not both have, or 7.10 has under a deprecated name, under one
// name for both. Nothing else names it, the tests included (tests/style/libpqxx_test.sh). Connections, transactions,
// results, rows, fields and exceptions are the same in both.
//
// Only headers, so that tests which link no room of the daemon's use it, too. Used by the thread that owns the
// connection.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runledger::libpqxx {

// A connection that is never re-opened in silence, which would split a transaction: 6.4 does so unless it is told not
// to, 7 never does. Throws pqxx::broken_connection.
[[nodiscard]] inline std::unique_ptr<pqxx::connection> connect(const std::string& parameters) {
    auto connection = std::make_unique<pqxx::connection>(parameters);
#if PQXX_VERSION_MAJOR < 7
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    connection->inhibit_reactivation(true);
#pragma GCC diagnostic pop
#endif
    return connection;
}

// Executes a statement, or, without values, several. A null `const char*` or an empty std::optional is NULL.
template <class... Values>
pqxx::result run(pqxx::transaction_base& work, std::string_view statement, const Values&... values) {
    if constexpr (sizeof...(values) == 0) {
        return work.exec(std::string(statement));
    } else {
#if PQXX_VERSION_MAJOR < 7
        return work.exec_params(std::string(statement), values...);
#else
        return work.exec(std::string(statement), pqxx::params{values...});
#endif
    }
}

// A transaction that begins with statements of ours: one round trip for BEGIN and them. `modes`: what follows BEGIN
// ISOLATION LEVEL; 6.4 writes these words itself. The constructor throws what the statements throw.
class Work final : public pqxx::internal::basic_transaction {
public:
#if PQXX_VERSION_MAJOR < 7
    Work(pqxx::connection& connection, const std::string& modes, const std::string& statements)
        : pqxx::internal::namedclass("transaction"),
          pqxx::internal::basic_transaction(connection, modes + "; " + statements, pqxx::read_write) {
        Begin();
    }
    ~Work() noexcept override { End(); }
#else
    Work(pqxx::connection& connection, const std::string& modes, const std::string& statements)
        : pqxx::internal::basic_transaction(connection, "BEGIN ISOLATION LEVEL " + modes + "; " + statements) {}
    ~Work() noexcept override { close(); }
#endif
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
};

// Executes what pqxx::connection::prepare was given under this name.
template <class... Values>
pqxx::result run_prepared(pqxx::transaction_base& work, const std::string& name, const Values&... values) {
#if PQXX_VERSION_MAJOR < 7
    return work.exec_prepared(name, values...);
#else
    return work.exec(pqxx::prepped{name}, pqxx::params{values...});
#endif
}

// The row of a result that has to have one. Throws pqxx::unexpected_rows, which quotes the statement.
[[nodiscard]] inline pqxx::row only_row(const pqxx::result& rows, std::string_view statement) {
    if (rows.size() != 1) {
        throw pqxx::unexpected_rows("one row was expected of: " + std::string(statement));
    }
    return rows.front();
}

// run() of one that answers with one row.
template <class... Values>
pqxx::row run1(pqxx::transaction_base& work, std::string_view statement, const Values&... values) {
    return only_row(run(work, statement, values...), statement);
}

// A bytea's bytes.
[[nodiscard]] inline std::string bytes_of(const pqxx::field& field) {
#if PQXX_VERSION_MAJOR < 7
    return pqxx::binarystring(field).str();
#else
    const auto bytes = field.as<std::basic_string<std::byte> >();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // Bytes as char: allowed to alias.
#endif
}

// COPY into a table, of rows that are tuples. Nothing else may run in the transaction until it is completed.
using TableStream = pqxx::stream_to;
[[nodiscard]] inline TableStream stream_into(pqxx::transaction_base& work, const std::string& table,
                                             const std::vector<std::string>& columns) {
#if PQXX_VERSION_MAJOR < 7
    return {work, table, columns};
#else
    return TableStream::raw_table(work, table, pqxx::separated_list(",", columns));
#endif
}

// Whether a notice has everything that the server says of it, its SQLSTATE too.
inline void set_verbose(pqxx::connection& connection, bool is_verbose) {
#if PQXX_VERSION_MAJOR < 7
    using Verbosity = pqxx::connection_base;
#else
    using Verbosity = pqxx::error_verbosity;
#endif
    connection.set_verbosity(is_verbose ? Verbosity::verbose : Verbosity::normal);
}

// Gets what the server says beside results, while it lives and its connection does. `on_notice` must not throw. None of
// it goes to standard error.
#if PQXX_VERSION_MAJOR < 7
class NoticeHandler : public pqxx::errorhandler {
public:
    NoticeHandler(pqxx::connection& connection, std::function<void(std::string_view)> on_notice)
        : pqxx::errorhandler(connection), on_notice_(std::move(on_notice)) {}

    bool operator()(const char message[]) noexcept override {
        on_notice_(message);
        return false;  // No other handler.
    }

private:
    std::function<void(std::string_view)> on_notice_;
};
#else
class NoticeHandler {
public:
    NoticeHandler(pqxx::connection& connection, std::function<void(std::string_view)> on_notice)
        : connection_(connection) {
        connection_.set_notice_handler(
            [handler = std::move(on_notice)](pqxx::zview message) noexcept { handler(message); });
    }
    NoticeHandler(const NoticeHandler&) = delete;
    NoticeHandler& operator=(const NoticeHandler&) = delete;
    // A result that outlives it may still have something to say.
    ~NoticeHandler() { connection_.set_notice_handler({}); }

private:
    pqxx::connection& connection_;
};
#endif

// LISTEN on a channel; pqxx::connection::get_notifs() calls `on_notification` with the payload and the server's process
// that it is from. It must end before its connection does.
using NotificationHandler = std::function<void(std::string_view payload, int backend)>;
#if PQXX_VERSION_MAJOR < 7
class ChannelReceiver : public pqxx::notification_receiver {
public:
    ChannelReceiver(pqxx::connection& connection, const std::string& channel, NotificationHandler on_notification)
        : pqxx::notification_receiver(connection, channel), on_notification_(std::move(on_notification)) {}

    void operator()(const std::string& payload, int backend) override { on_notification_(payload, backend); }

private:
    NotificationHandler on_notification_;
};
#else
class ChannelReceiver {
public:
    ChannelReceiver(pqxx::connection& connection, std::string channel, NotificationHandler on_notification)
        : connection_(connection), channel_(std::move(channel)) {
        connection_.listen(channel_, [handler = std::move(on_notification)](const pqxx::notification& notification) {
            handler(notification.payload, notification.backend_pid);
        });
    }
    ChannelReceiver(const ChannelReceiver&) = delete;
    ChannelReceiver& operator=(const ChannelReceiver&) = delete;
    ~ChannelReceiver() {
        try {
            connection_.listen(channel_);  // Without a handler: UNLISTEN.
        } catch (const std::exception&) {
            // The connection is lost, and what it listened to with it.
        }
    }

private:
    pqxx::connection& connection_;
    std::string channel_;
};
#endif

}  // namespace runledger::libpqxx
