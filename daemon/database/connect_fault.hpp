// Why there is no connection: whether waiting can mend it, and the server's SQLSTATE, which libpqxx does not have.
//
// libpq has the SQLSTATE of a refused connection only in a verbose message, which libpqxx does not ask for. So where a
// connection was refused, libpq is asked once more.
#pragma once

#include <pqxx/pqxx>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "daemon/base/secret.hpp"

namespace runledger {

// The connection string can't be read. what() says why and quotes nothing of it: print it and exit with 1.
class UnreadableUri : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Throws UnreadableUri. Connects to nothing.
void check_readable(const std::string& uri);

// The connection string with this password, unless it has one of its own. Throws UnreadableUri.
[[nodiscard]] std::string with_password(const std::string& uri, const Secret& password);

// PostgreSQL answers, and refuses what no waiting mends: a password, a database's name, a missing right. what() is a
// line of key=value that says why and what to do. Where the daemon starts it is its end; a stage that runs says it once
// and goes on trying, because whoever mends it may do so at the server.
class Refused : public pqxx::broken_connection {
public:
    Refused(std::string sqlstate, const std::string& why, std::string_view cure);
    [[nodiscard]] const std::string& sqlstate() const noexcept { return sqlstate_; }
    // The two sentences of what().
    [[nodiscard]] const std::string& why() const noexcept { return why_; }
    [[nodiscard]] const std::string& cure() const noexcept { return cure_; }

private:
    std::string sqlstate_;
    std::string why_;
    std::string cure_;
};

// Of an error that PostgreSQL raised for a statement; empty: it is none, or has none. libpqxx 6.4 leaves it out of
// insufficient_privilege.
[[nodiscard]] std::string_view sqlstate_of(const std::exception& error) noexcept;

// Whether no waiting mends what has this SQLSTATE: a connection or a statement that is refused.
[[nodiscard]] bool is_for_good(std::string_view sqlstate) noexcept;
// What to do about it, as a sentence without its full stop.
[[nodiscard]] std::string_view cure_of(std::string_view sqlstate) noexcept;

// After a connection with these parameters failed: connects once more, to learn whether each server that they name
// refuses for good. Nothing: waiting may help; so it is with pgbouncer 1.18, which has 08P01 for all that it refuses.
// Takes no longer than `bound`.
[[nodiscard]] std::optional<Refused> find_refusal(const std::string& parameters, std::chrono::milliseconds bound);

}  // namespace runledger
