// What a look of reconcile reads: what is due, however much never ends or was given up.
#include <fmt/format.h>

#include "daemon/reconcile/lookups.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class LookupReads : public Ledger {
protected:
    void execute(const std::string& statements) {
        pqxx::nontransaction work(db());
        work.exec(statements);
    }

    // Rows that were read from the tables by this session and those that have ended.
    std::int64_t rows_read() {
        execute("SELECT pg_stat_force_next_flush()");
        execute("SELECT pg_stat_clear_snapshot()");
        return std::stoll(
            value("SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables "
                  "WHERE relname IN ('runs', 'generations', 'reconcile_lookups')"));
    }

    // Runs `looks` looks of a daemon; returns the runs that were leased.
    std::vector<std::string> look(int looks) {
        std::vector<std::string> leased;
        {
            Lookups lookups({.uri = daemon_uri(),
                             .lease_owner = "test",
                             .lease = std::chrono::minutes{1},
                             .silence = {},
                             .lookback = std::chrono::hours{24 * 7}});
            for (int i = 0; i < looks; ++i) {
                for (const LeasedLookup& lookup : lookups.lease(8)) {
                    leased.push_back(lookup.run_id);
                }
            }
        }
        eventually("the session has ended", [&] {
            return value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd reconcile' AND "
                       "datname = current_database()") == "0";
        });
        return leased;
    }
};

TEST_F(LookupReads, AreOfWhatIsDueAmongManyThatNeverEnd) {
    constexpr int many = 20'000;
    execute(fmt::format(
        "INSERT INTO runledger.runs (run_id, queued_at, latest_at, latest_boot_id, latest_boottime_us, "
        "latest_redelivered, latest_digest, latest_status, first_received_at, event_count, applied_at, quiet_from) "
        "SELECT 'never-' || i, now(), now(), gen_random_uuid(), i, false, i, 'queued', now(), 1, "
        "now() - interval '1 day', NULL FROM generate_series(1, {0}) AS i; "
        "INSERT INTO runledger.reconcile_lookups (run_id, next_at, last_asked_at) "
        "SELECT run_id, 'infinity', now() FROM runledger.runs; "
        "INSERT INTO runledger.generations (metadata, request_timestamp) SELECT jsonb_build_object('run_id', "
        "'never-' || i), now() - interval '1 day' FROM generate_series(1, {0}) AS i; "
        "ANALYZE runledger.runs, runledger.reconcile_lookups, runledger.generations",
        many));
    apply_events({{event_text({.run_id = "silent", .status = "queued"}), 0}});
    execute(
        "UPDATE runledger.runs SET applied_at = now() - interval '1 hour', quiet_from = now() - interval '1 hour' "
        "WHERE run_id = 'silent'");
    const std::int64_t before = rows_read();

    const auto leased = look(4);

    EXPECT_EQ(leased, std::vector<std::string>{"silent"});
    eventually("the reads are known", [&] { return rows_read() > before; });
    EXPECT_LT(rows_read() - before, many) << "four looks";
}

TEST_F(LookupReads, FindARunAgainThatWasGivenUpAndHeard) {
    apply_events({{event_text({.run_id = "run", .status = "queued"}), 0}});
    const char* const long_ago =
        "UPDATE runledger.runs SET applied_at = now() - interval '1 hour', quiet_from = now() - interval '1 hour'";
    execute(long_ago);
    EXPECT_EQ(look(1).size(), 1U);
    EXPECT_EQ(value("SELECT quiet_from FROM runledger.runs"), "NULL");
    execute(
        "UPDATE runledger.reconcile_lookups SET next_at = 'infinity', lease_owner = NULL, lease_until = NULL, "
        "last_asked_at = now() - interval '2 hours'");
    EXPECT_EQ(look(3).size(), 0U) << "it was given up";

    apply_events({{event_text({.run_id = "run", .status = "running"}), 1}});
    execute(long_ago);

    EXPECT_EQ(look(2).size(), 1U);
}

TEST_F(LookupReads, LookAtARunAgainWhenItMayBeSilent) {
    apply_events({{event_text({.run_id = "run", .status = "queued"}), 0}});
    execute(
        "UPDATE runledger.runs SET quiet_from = now() - interval '1 hour', applied_at = now() - interval '14 minutes'");

    EXPECT_EQ(look(2).size(), 0U) << "15 minutes are the limit of this status, 5 the shortest";

    EXPECT_EQ(value("SELECT applied_at + interval '10 minutes' = quiet_from FROM runledger.runs"), "t");
}

}  // namespace
}  // namespace runledger::test
