// What else is in a test's PostgreSQL, as in somebody's real one. RUNLEDGER_TEST_CLUSTER names it for a whole program:
//
//   plain         PostgreSQL's own defaults (if the variable is not set)
//   odd           each default that a client can notice is another one: dates, time zone, isolation, timeouts, …
//   hostile       `public` shadows what PostgreSQL has, and comes first in the search path
//   row_security  on for every table, as by a DBA's event trigger; the daemon's role has BYPASSRLS
//   pgbouncer     the logins of the daemon and the application come through pgbouncer in transaction mode
//   pgbouncer_session   the same, in session mode
//
// Several can be joined by commas. The superuser, as whom tests look and prepare, has PostgreSQL's defaults in each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

enum class PoolMode : std::uint8_t { none, transaction, session };

struct ClusterKind {
    bool is_odd{false};
    bool is_hostile{false};
    bool has_row_security{false};
    PoolMode pool{PoolMode::none};
};

// Of this program's clusters. Throws if the variable names something else.
[[nodiscard]] const ClusterKind& cluster_kind();
[[nodiscard]] ClusterKind read_cluster_kind(std::string_view names);

// The lines of postgresql.conf that make such a cluster.
[[nodiscard]] std::vector<std::string> settings_of(const ClusterKind& kind);
// The statements that give the superuser PostgreSQL's defaults in it.
[[nodiscard]] std::vector<std::string> superusers_defaults(const ClusterKind& kind);

// Each documented role (docs/dba.md, "Roles") has one login in a test's cluster, with no other right. The owner's has
// CREATEROLE and CREATE on each database, too, which migrate needs.
struct Logins {
    static constexpr std::string_view owner = "ledger_owner";
    static constexpr std::string_view daemon = "ledger_daemon";
    static constexpr std::string_view application = "ledger_application";
    static constexpr std::string_view reader = "ledger_reader";
};
// What a login of the daemon's that a test makes itself needs there, behind CREATE ROLE … LOGIN.
[[nodiscard]] std::string_view daemons_attributes(const ClusterKind& kind);
// Makes them and their roles, in a new cluster.
[[nodiscard]] std::string statements_of_logins(const ClusterKind& kind);

}  // namespace runledger::test
