#include "daemon/tool/check/ledger.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <set>
#include <string_view>

#include "daemon/database/connect_fault.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/listener.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/check/clock.hpp"
#include "queries/check.hpp"
#include "queries/migrate.hpp"
#include "queries/start.hpp"

namespace runledger::tool {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view server = "database";
constexpr std::string_view schema = "schema";
constexpr std::string_view rights = "rights";

// docs/ARCHITECTURE.md says which versions are tried.
constexpr int version_min = 140000;
constexpr int major_tried_max = 17;
constexpr int version_of_a_major = 10000;

constexpr std::string_view run_migrate = "run `runledger migrate` with the owner's configuration";

// A server that hangs ends this check, not the operator's patience.
void bound_statements(const Statements& work) { (void)work.run("SET LOCAL statement_timeout = '15s'"); }

// Why there is no answer, and what to do about it.
void report_no_answer(std::string_view key, const std::exception& error, Findings& findings) {
    const std::string place = fmt::format("[postgres] {}", key);
    if (const auto* refused = dynamic_cast<const Refused*>(&error)) {
        findings.fail(server,
                      fmt::format("{}: PostgreSQL refuses the connection: {}{}", place, refused->why(),
                                  refused->sqlstate().empty() ? "" : fmt::format(" ({})", refused->sqlstate())),
                      refused->cure());
        return;
    }
    findings.fail(server, fmt::format("{}: PostgreSQL does not answer: {}", place, error.what()),
                  fmt::format("start PostgreSQL, or correct host and port in {}", place));
}

// The names that stand behind these words in the texts of the schema: "CREATE OR REPLACE FUNCTION runledger.".
std::set<std::string> names_behind(std::string_view words, std::string_view text) {
    std::set<std::string> names;
    for (std::size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
        std::string name;
        for (const char c : text.substr(at + words.size())) {
            if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') {
                break;
            }
            name += c;
        }
        names.insert(name);
    }
    return names;
}

std::vector<std::string> first_column(const pqxx::result& rows) {
    std::vector<std::string> texts;
    for (const pqxx::row& row : rows) {
        texts.push_back(row[0].as<std::string>());
    }
    return texts;
}

// What the digest can't show, because migrate wrote it: an object that somebody has dropped or disabled since.
std::vector<std::string> find_missing_objects(const Statements& work) {
    const SchemaSql sql = known_schema();
    std::set<std::string> functions;
    for (const auto& definition : sql.functions) {
        functions.merge(names_behind("CREATE OR REPLACE FUNCTION runledger.", definition.sql));
    }
    std::set<std::string> views;
    for (const auto& view : sql.views) {
        views.emplace(view.name);
    }
    std::set<std::string> triggers = names_behind("CREATE OR REPLACE TRIGGER ", sql.triggers);
    triggers.merge(names_behind("CREATE CONSTRAINT TRIGGER ", sql.triggers));
    return first_column(
        work.run(queries::check::missing_objects, array_of(views), array_of(functions), array_of(triggers)));
}

void check_server(Database& database, Findings& findings) {
    const Snapshot work(database);
    bound_statements(work);
    const auto asked_at = std::chrono::system_clock::now();
    const auto row = work.run1(queries::check::server);
    const auto answered_at = std::chrono::system_clock::now();

    const int version = row["version"].as<int>();
    const auto version_text = row["version_text"].as<std::string>();
    const auto encoding = row["encoding"].as<std::string>();
    const auto login = row["login"].as<std::string>();
    const std::string described = fmt::format("PostgreSQL {}, {}, database {}, login {}", version_text, encoding,
                                              row["database"].as<std::string>(), login);
    if (version < version_min) {
        findings.fail(server, fmt::format("PostgreSQL {} is older than 14", version_text), "upgrade PostgreSQL");
    } else if (encoding != "UTF8") {
        findings.fail(server, fmt::format("the database's encoding is {}, and runledger needs UTF8", encoding),
                      "make the database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, then migrate it");
    } else if (row["is_standby"].as<bool>()) {
        findings.fail(server, "the server is a standby, which accepts no writes",
                      "name the primary in [postgres] uri, or all servers and target_session_attrs=primary");
    } else if (version / version_of_a_major > major_tried_max) {
        findings.warn(server,
                      described + fmt::format(": newer than {}, which is the newest that was tried", major_tried_max),
                      "read runledger's changelog before you upgrade PostgreSQL");
    } else {
        findings.passed(server, described);
    }
    if (!row["is_synced"].as<bool>()) {
        findings.warn(server, "fsync or full_page_writes is off: the server can lose or damage committed rows",
                      "set both to on in postgresql.conf");
    }
    if (row["is_superuser"].as<bool>()) {
        findings.warn(rights, fmt::format("the daemon's login {} is a superuser", login),
                      "give the daemon a login of its own: CREATE ROLE runledger LOGIN; GRANT runledger_daemon TO "
                      "runledger");
    }

    const auto ours = std::chrono::duration<double>(asked_at.time_since_epoch() + (answered_at - asked_at) / 2).count();
    const auto difference = std::chrono::duration<double>(row["now_seconds"].as<double>() - ours);
    judge_clock_difference(std::chrono::round<milliseconds>(difference),
                           std::chrono::ceil<milliseconds>((answered_at - asked_at) / 2), findings);
}

void check_objects(Database& database, Findings& findings) {
    try {
        check_schema(database);
    } catch (const SchemaMismatch& mismatch) {
        // Its own sentence ends with the command.
        const std::string_view what = mismatch.what();
        const std::size_t end = what.rfind(": ");
        findings.fail(schema, std::string(what.substr(0, end)),
                      end == std::string_view::npos || what.substr(end).find("migrate") != std::string_view::npos
                          ? std::string(run_migrate)
                          : std::string(what.substr(end + 2)));
        return;
    }
    const Snapshot work(database);
    bound_statements(work);
    const auto missing = find_missing_objects(work);
    if (!missing.empty()) {
        findings.fail(schema, fmt::format("the schema is not as migrate made it: {}", fmt::join(missing, ", ")),
                      "give back what is missing or disabled; to make all functions, views and triggers again: UPDATE "
                      "runledger.schema_definitions SET digest = '', then `runledger migrate`, both as the owner");
        return;
    }
    findings.passed(schema, fmt::format("all {} migrations; functions, views and triggers are this build's",
                                        known_schema().migrations.size()));
}

void check_rights(Database& database, Findings& findings) {
    const Snapshot work(database);
    bound_statements(work);
    std::vector<std::string> roles;
    for (const std::string& statement : first_column(work.run(queries::migrate::find_missing_rights))) {
        constexpr std::string_view create = "CREATE ROLE ";
        if (statement.starts_with(create)) {
            roles.push_back(statement.substr(create.size(), statement.find(' ', create.size()) - create.size()));
        }
    }
    if (!roles.empty()) {
        findings.fail(
            rights, fmt::format("this server lacks the roles {}: a dump does not contain them", fmt::join(roles, ", ")),
            std::string(run_migrate));
        return;
    }
    if (const auto lacking = first_column(work.run(queries::start::lacks_rights)); !lacking.empty()) {
        findings.fail(
            rights, fmt::format("the login lacks rights of runledger_daemon, such as {}", lacking.front()),
            fmt::format("GRANT runledger_daemon TO \"{}\"", work.run1("SELECT current_user")[0].as<std::string>()));
        return;
    }
    if (const auto hidden = first_column(work.run(queries::check::hidden_tables)); !hidden.empty()) {
        findings.fail(rights, fmt::format("row-level security hides rows from the login: {}", fmt::join(hidden, ", ")),
                      "give the login BYPASSRLS, or disable row-level security for these tables");
        return;
    }
    findings.passed(rights, "the login has all rights of runledger_daemon");
}

void lacks_all_rights(Database& database, const std::exception& error, Findings& findings) {
    std::string user = "the login";
    try {
        const Snapshot work(database);
        user = work.run1("SELECT current_user")[0].as<std::string>();
    } catch (const std::exception&) {
        user = "…";  // The sentence is complete enough.
    }
    findings.unknown(schema, "the login may not read it", "see rights");
    findings.fail(rights, fmt::format("the login lacks rights: {}", error.what()),
                  fmt::format("GRANT runledger_daemon TO \"{}\"", user));
}

// LISTEN needs a session of its own.
void check_direct(const PostgresSettings& settings, Findings& findings) {
    try {
        Database database(settings.direct_uri, "check");
        const ChannelListener listener(database, "runledger_check", [](int) {});
        if (settings.direct_uri != settings.uri) {
            findings.passed(server, "[postgres] direct_uri leads to the server itself");
        }
    } catch (const PoolerInTheWay&) {
        findings.warn(server, "a pooler is in the way: LISTEN is not possible, and the daemon polls the outbox",
                      "name the server itself in [postgres] direct_uri");
    } catch (const std::exception& error) {
        report_no_answer("direct_uri", error, findings);
    }
}

}  // namespace

void check_ledger(const PostgresSettings& settings, Findings& findings) {
    Database database(settings.uri, "check");
    try {
        check_server(database, findings);
    } catch (const std::exception& error) {
        report_no_answer("uri", error, findings);
        findings.unknown(schema, "PostgreSQL does not answer", "see database");
        findings.unknown(rights, "PostgreSQL does not answer", "see database");
        return;
    }
    if (findings.has_failed(server)) {
        findings.unknown(schema, "not this database", "see database");
        findings.unknown(rights, "not this database", "see database");
        return;
    }
    check_direct(settings, findings);
    try {
        check_objects(database, findings);
        if (findings.has_failed(schema)) {
            findings.unknown(rights, "the schema is not this build's", "see schema");
            return;
        }
        check_rights(database, findings);
    } catch (const pqxx::insufficient_privilege& error) {
        lacks_all_rights(database, error, findings);
    } catch (const std::exception& error) {
        report_no_answer("uri", error, findings);
    }
}

}  // namespace runledger::tool
