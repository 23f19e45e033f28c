// A publication of the schema, as for a report's copy or Debezium: PostgreSQL refuses to update or delete a row of a
// published table that has neither a primary key nor another replica identity. The whole life of a ledger goes on.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/wire.hpp"
#include "daemon/settle/maintain.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class Published : public Ledger, public testing::WithParamInterface<const char*> {
protected:
    void exec(const std::string& statements) {
        pqxx::work work(db());
        work.exec(statements);
        work.commit();
    }
    [[nodiscard]] bool maintain(const RetentionSettings& retention = {}) {
        return Maintainer(retention, daemon_uri(), stop_, counters_).turn();
    }

    [[nodiscard]] std::string slot() { return "of_" + value("SELECT current_database()"); }

private:
    Wakeup stop_;
    MaintainCounters counters_;
};

TEST_P(Published, LedgerIsWrittenMaintainedAndForgottenAllTheSame) {
    exec(fmt::format("CREATE PUBLICATION everything {}", GetParam()));
    // A server drops slots with the database only when they are gone.
    exec("SELECT pg_create_logical_replication_slot('" + slot() + "', 'pgoutput')");

    // Before the day has its partition, and after.
    const std::int64_t generation = insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}, {"no event", 0}});
    EXPECT_TRUE(maintain()) << "the day of the DEFAULT partition is moved";
    EXPECT_EQ(count("webhook_events_default"), 0);
    const MadeBatch batch({segment(7), 0}, {{event_text({.status = "success", .outputs = "[" + picture("p") + "]"}), 9},
                                            {event_text({.status = "strange"}), 5}});
    apply({&batch});
    apply({&batch});
    EXPECT_EQ(settle("run-1"), "settled");
    apply_events({{event_text({.status = "success"}), 8}});
    EXPECT_EQ(settle("run-1"), "resettled");
    {
        pqxx::work work(db());
        EXPECT_TRUE(write_retirement(work, {.segment = segment(7), .batch_count = 1}));
        work.commit();
    }
    exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");

    exec(fmt::format("SELECT runledger.forget_generation({})", generation));
    EXPECT_EQ(count("webhook_events WHERE run_id = 'run-1'"), 0);

    // All of it is old now: a day is dropped, and each kind of row is removed.
    exec(
        "DELETE FROM runledger.settle_queue; SET session_replication_role = replica; "
        "UPDATE runledger.runs SET applied_at = '2024-01-01', changed_at = '2024-01-01'; "
        "UPDATE runledger.settlements SET settled_at = '2024-01-01'; "
        "UPDATE runledger.quarantine SET quarantined_at = '2024-01-01'; "
        "UPDATE runledger.spool_segments SET retired_at = '2024-01-01' WHERE retired_at IS NOT NULL; "
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, "
        "sent_at, "
        "created_at) VALUES (1, 'r', 'ending', '', 1, '{}', 'sent', now(), '2024-01-01'); "
        "UPDATE runledger.webhook_events SET applied_at = '2024-01-01'; SET session_replication_role = origin");
    EXPECT_TRUE(maintain()) << "the days that events came on";
    EXPECT_TRUE(maintain({.webhook_events_days = 30,
                          .runs_days = 30,
                          .notifications_days = 30,
                          .settlements_days = 30,
                          .quarantine_days = 30,
                          .tombstones_days = 30}));
    EXPECT_EQ(count("webhook_events"), 0);
    EXPECT_EQ(count("runs"), 0);
    EXPECT_EQ(count("quarantine"), 0);
    EXPECT_EQ(count("notifications WHERE run_id = 'r'"), 0);

    EXPECT_NE(value("SELECT count(*) FROM pg_logical_slot_peek_binary_changes('" + slot() +
                    "', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')"),
              "0");
    exec("SELECT pg_drop_replication_slot('" + slot() + "')");
    // Those that are to come, too.
    EXPECT_EQ(
        value("SELECT string_agg(c.relname, ', ') FROM pg_class AS c WHERE c.relnamespace = 'runledger'::regnamespace "
              "AND c.relkind IN ('r', 'p') AND c.relreplident = 'd' "
              "AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary)"),
        "NULL");
}

INSTANTIATE_TEST_SUITE_P(By, Published, testing::Values("FOR TABLES IN SCHEMA runledger", "FOR ALL TABLES"),
                         [](const auto& by) { return by.index == 0 ? "schema" : "all_tables"; });

}  // namespace
}  // namespace runledger::test
