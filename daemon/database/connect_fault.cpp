#include "daemon/database/connect_fault.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t sqlstate_chars = 5;

struct Cure {
    std::string_view sqlstate;
    std::string_view sentence;
};

constexpr std::string_view check_login = "check user and password in [postgres] uri, and the server's pg_hba.conf";

// What is refused in the same way for as long as nobody changes the configuration, the roles or the schema.
constexpr std::string_view missing_right = "42501";
constexpr std::array<Cure, 4> cures{{
    {"28000", check_login},
    {"28P01", check_login},
    {"3D000", "create the database, or correct its name in [postgres] uri"},
    {missing_right, "grant it, or GRANT runledger_daemon to the login; for the page, GRANT runledger_reader"},
}};

// Of a daemon that runs: its schema was dropped or changed, or a trigger of the application's is at fault.
constexpr std::string_view check_schema_and_triggers =
    "`runledger --config FILE migrate` mends the ledger's own schema; a trigger of yours has to name its tables with "
    "their schema";

// Each attempt's SQLSTATE in a verbose message, whose severity and text are in the server's language: "FATAL:  28P01:
// ".
std::vector<std::string> sqlstates_in(std::string_view message) {
    constexpr std::string_view before = ":  ";
    constexpr std::string_view behind = ": ";
    std::vector<std::string> found;
    for (std::size_t at = message.find(before); at != std::string_view::npos; at = message.find(before, at + 1)) {
        const std::string_view code = message.substr(at + before.size()).substr(0, sqlstate_chars);
        if (code.size() == sqlstate_chars && message.substr(at + before.size() + code.size()).starts_with(behind) &&
            std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); })) {
            found.emplace_back(code);
        }
    }
    return found;
}

std::size_t count_of(std::string_view text, std::string_view words) {
    std::size_t count = 0;
    for (std::size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
        ++count;
    }
    return count;
}

// Without the lines of a verbose message that are about PostgreSQL's own source.
std::string without_places(std::string_view message) {
    std::string kept;
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        message.remove_prefix(std::min(line.size() + 1, message.size()));
        if (!line.starts_with("LOCATION:") && !line.empty()) {
            kept += (kept.empty() ? "" : "; ") + std::string(line);
        }
    }
    return kept;
}

// Without what libpq quotes, which may be a part of the password, but for a single character; and without its line's
// end.
std::string without_quoted(std::string_view complaint) {
    std::string kept;
    for (std::size_t at = 0; at < complaint.size() && complaint[at] != '\n'; ++at) {
        kept.push_back(complaint[at]);
        const std::size_t end = complaint[at] == '"' ? complaint.find('"', at + 1) : at;
        if (end != at) {
            const std::string_view quoted =
                complaint.substr(at + 1, end == std::string_view::npos ? end : end - at - 1);
            kept += quoted.size() == 1 ? std::string(quoted) + '"' : "…\"";
            at = std::min(end, complaint.size());
        }
    }
    return kept;
}

using Parameters = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// Throws UnreadableUri.
Parameters parse(const std::string& uri) {
    char* complaint = nullptr;
    Parameters parsed(PQconninfoParse(uri.c_str(), &complaint), &PQconninfoFree);
    if (!parsed) {
        const std::string why = complaint == nullptr ? "out of memory" : without_quoted(complaint);
        PQfreemem(complaint);
        throw UnreadableUri("can't be read as a connection string: " + why);
    }
    return parsed;
}

// Until it is connected or refused, or the time is over.
void drive(PGconn& connection, milliseconds bound) {
    const auto until = steady_clock::now() + bound;
    PostgresPollingStatusType waits_for = PGRES_POLLING_WRITING;
    while (PQstatus(&connection) != CONNECTION_BAD && waits_for != PGRES_POLLING_OK &&
           waits_for != PGRES_POLLING_FAILED) {
        const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
        pollfd waited{.fd = PQsocket(&connection),
                      .events = static_cast<short>(waits_for == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                      .revents = 0};
        if (left.count() <= 0 || ::poll(&waited, 1, static_cast<int>(left.count())) <= 0) {
            return;  // A signal ends it as the time does: it is not known why, and nothing is refused.
        }
        waits_for = PQconnectPoll(&connection);
    }
}

}  // namespace

void check_readable(const std::string& uri) { (void)parse(uri); }

std::string with_password(const std::string& uri, const Secret& password) {
    std::string made;
    const auto add = [&made](std::string_view keyword, std::string_view value) {
        made += fmt::format("{}{}='", made.empty() ? "" : " ", keyword);
        for (const char c : value) {
            if (c == '\'' || c == '\\') {
                made += '\\';
            }
            made += c;
        }
        made += '\'';
    };
    const Parameters parameters = parse(uri);
    for (const PQconninfoOption* each = parameters.get(); each->keyword != nullptr; ++each) {
        if (each->val == nullptr) {
            continue;
        }
        if (std::string_view(each->keyword) == "password") {
            return uri;
        }
        add(each->keyword, each->val);
    }
    add("password", password.reveal());
    return made;
}

Refused::Refused(std::string sqlstate, const std::string& why, std::string_view cure)
    : pqxx::broken_connection(fmt::format("{}error={:?} cure={:?}",
                                          sqlstate.empty() ? "" : fmt::format("sqlstate={} ", sqlstate),
                                          std::string_view(why), cure)),
      sqlstate_(std::move(sqlstate)),
      why_(why),
      cure_(cure) {}

std::string_view sqlstate_of(const std::exception& error) noexcept {
    if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) {
        return "42501";
    }
    const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error);
    return sql == nullptr ? std::string_view{} : std::string_view{sql->sqlstate()};
}

bool is_for_good(std::string_view sqlstate) noexcept {
    // Syntax error or access rule violation; invalid schema name.
    return sqlstate.starts_with("42") || sqlstate == "3F000" ||
           std::ranges::find(cures, sqlstate, &Cure::sqlstate) != cures.end();
}

std::string_view cure_of(std::string_view sqlstate) noexcept {
    const auto* found = std::ranges::find(cures, sqlstate, &Cure::sqlstate);
    return found == cures.end() ? check_schema_and_triggers : found->sentence;
}

std::optional<Refused> find_refusal(const std::string& parameters, milliseconds bound) {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectStart(parameters.c_str()), &PQfinish);
    if (!connection) {
        throw std::bad_alloc();
    }
    if (PQstatus(connection.get()) == CONNECTION_BAD) {
        // Before anything went to a server: a parameter has an impossible value. A name that can't be resolved and a
        // server that can't be reached come here, too, and may be mended by waiting.
        const std::string why = without_places(PQerrorMessage(connection.get()));
        if (why.starts_with("invalid ") || why.starts_with("could not match ")) {
            return Refused({}, why, "correct [postgres] uri");
        }
        return std::nullopt;
    }
    PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
    drive(*connection, bound);
    if (PQstatus(connection.get()) != CONNECTION_BAD) {
        return std::nullopt;
    }
    const std::string message = PQerrorMessage(connection.get());
    if (PQconnectionNeedsPassword(connection.get()) != 0) {
        return Refused({}, "the server needs a password: " + without_places(message),
                       "set [postgres] password_file, or password or passfile in uri");
    }
    const auto sqlstates = sqlstates_in(message);
    // One of several servers that can't be reached may be the right one.
    if (sqlstates.empty() || count_of(message, "connection to server") > sqlstates.size() ||
        !std::ranges::all_of(sqlstates, is_for_good)) {
        return std::nullopt;
    }
    const std::string& sqlstate = sqlstates.back();
    const auto text_of = [](const char* text) { return std::string_view(text == nullptr ? "" : text); };
    const std::string_view user = text_of(PQuser(connection.get()));
    std::string cure(cure_of(sqlstate));
    if (sqlstate == missing_right) {
        cure = fmt::format("GRANT CONNECT ON DATABASE \"{}\" TO \"{}\"", text_of(PQdb(connection.get())), user);
    } else if (sqlstate == "28000" && ::geteuid() == 0 && text_of(PQhost(connection.get())).starts_with('/')) {
        // Debian's pg_hba.conf lets a local user log in under its own name alone.
        cure = fmt::format("as root, run it as the user of that name: runuser -u {} -- …; or {}", user, cure);
    }
    return Refused(sqlstate, without_places(message), cure);
}

}  // namespace runledger
