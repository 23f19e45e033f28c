#include "tests/support/cluster_kind.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <stdexcept>

namespace runledger::test {
namespace {

struct OddSetting {
    std::string_view name;
    std::string_view odd;
    std::string_view usual;  // For the superuser.
};

// Whatever a client may set, and an operator, a DBA or another application's recipe has set somewhere.
constexpr std::array odd_settings{
    OddSetting{"datestyle", "'SQL, DMY'", "'ISO, MDY'"},
    OddSetting{"intervalstyle", "'sql_standard'", "'postgres'"},
    OddSetting{"timezone", "'Asia/Kathmandu'", "'UTC'"},
    OddSetting{"extra_float_digits", "-15", "1"},
    OddSetting{"bytea_output", "'escape'", "'hex'"},
    OddSetting{"array_nulls", "off", "on"},
    OddSetting{"transform_null_equals", "on", "off"},
    OddSetting{"quote_all_identifiers", "on", "off"},
    OddSetting{"standard_conforming_strings", "off", "on"},
    OddSetting{"escape_string_warning", "off", "on"},
    OddSetting{"xmloption", "'document'", "'content'"},
    OddSetting{"check_function_bodies", "off", "on"},
    OddSetting{"default_transaction_isolation", "'serializable'", "'read committed'"},
    OddSetting{"default_transaction_read_only", "on", "off"},
    OddSetting{"default_transaction_deferrable", "on", "off"},
    OddSetting{"synchronous_commit", "off", "on"},
    OddSetting{"statement_timeout", "'1s'", "0"},
    OddSetting{"lock_timeout", "'100ms'", "0"},
    OddSetting{"idle_in_transaction_session_timeout", "'100ms'", "0"},
    OddSetting{"idle_session_timeout", "'2s'", "0"},
    OddSetting{"client_min_messages", "log", "notice"},
    OddSetting{"log_duration", "on", "off"},
    OddSetting{"plan_cache_mode", "'force_custom_plan'", "'auto'"},
    OddSetting{"plpgsql.variable_conflict", "'use_variable'", "'error'"},
    OddSetting{"plpgsql.extra_warnings", "'all'", "'none'"},
};

}  // namespace

ClusterKind read_cluster_kind(std::string_view names) {
    ClusterKind kind;
    while (!names.empty()) {
        const std::size_t comma = names.find(',');
        const std::string_view name = names.substr(0, comma);
        names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
        if (name == "odd") {
            kind.is_odd = true;
        } else if (name == "hostile") {
            kind.is_hostile = true;
        } else if (name == "row_security") {
            kind.has_row_security = true;
        } else if (name == "pgbouncer") {
            kind.pool = PoolMode::transaction;
        } else if (name == "pgbouncer_session") {
            kind.pool = PoolMode::session;
        } else if (name != "plain") {
            throw std::invalid_argument(fmt::format("RUNLEDGER_TEST_CLUSTER names no kind of cluster: {}", name));
        }
    }
    return kind;
}

const ClusterKind& cluster_kind() {
    static const ClusterKind kind = [] {
        const char* names = std::getenv("RUNLEDGER_TEST_CLUSTER");  // NOLINT(concurrency-mt-unsafe): nobody writes it.
        return read_cluster_kind(names == nullptr ? "plain" : names);
    }();
    return kind;
}

std::vector<std::string> settings_of(const ClusterKind& kind) {
    std::vector<std::string> lines;
    if (kind.is_odd) {
        for (const OddSetting& setting : odd_settings) {
            lines.push_back(fmt::format("{} = {}", setting.name, setting.odd));
        }
    }
    if (kind.is_hostile) {
        lines.emplace_back("search_path = 'public, pg_catalog'");
    }
    return lines;
}

std::vector<std::string> superusers_defaults(const ClusterKind& kind) {
    std::vector<std::string> statements;
    if (kind.is_odd) {
        for (const OddSetting& setting : odd_settings) {
            statements.push_back(fmt::format("ALTER ROLE postgres SET {} = {}", setting.name, setting.usual));
        }
    }
    if (kind.is_hostile) {
        statements.emplace_back("ALTER ROLE postgres SET search_path = \"$user\", public");
    }
    return statements;
}

std::string_view daemons_attributes(const ClusterKind& kind) { return kind.has_row_security ? " BYPASSRLS" : ""; }

std::string statements_of_logins(const ClusterKind& kind) {
    std::string statements;
    for (const std::string_view role : {"owner", "daemon", "application", "reader"}) {
        statements += fmt::format(
            "CREATE ROLE runledger_{0} NOLOGIN; COMMENT ON ROLE runledger_{0} IS 'as a DBA made it';"
            "CREATE ROLE ledger_{0} LOGIN IN ROLE runledger_{0};",
            role);
    }
    statements += "ALTER ROLE ledger_owner CREATEROLE;";
    if (kind.is_odd) {
        // It writes in transactions that do not say so.
        statements += "ALTER ROLE ledger_application SET default_transaction_read_only = off;";
    }
    if (kind.has_row_security) {
        statements += fmt::format("ALTER ROLE ledger_daemon{};", daemons_attributes(kind));
    }
    return statements;
}

}  // namespace runledger::test
