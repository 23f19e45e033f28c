// The maintain stage against apply and other daemons, on real locks.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "daemon/settle/maintain.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class Maintain : public Ledger {
protected:
    [[nodiscard]] bool turn(const RetentionSettings& retention = {}) {
        return Maintainer(retention, daemon_uri(), stop_, counters_).turn();
    }
    void exec(const std::string& statement) {
        pqxx::work work(db());
        work.exec(statement);
        work.commit();
    }
    [[nodiscard]] MaintainCounters& counters() { return counters_; }
    [[nodiscard]] std::string partitions() {
        return value(
            "SELECT string_agg(day::text, ' ' ORDER BY day) FROM (SELECT day - (now() AT TIME ZONE 'UTC')::date AS day "
            "FROM runledger.find_event_days() WHERE is_partition) AS p");
    }

private:
    Wakeup stop_;
    MaintainCounters counters_;
};

TEST_F(Maintain, MakesTodayAndTheDaysToComeAndMovesWhatIsThere) {
    apply_events({{event_text({}), 0}});
    ASSERT_EQ(count("webhook_events_default"), 1);

    EXPECT_TRUE(turn());

    EXPECT_EQ(partitions(), "0 1 2 3 4");
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(count("webhook_events_default"), 0);
    EXPECT_TRUE(turn());
    EXPECT_EQ(counters().days_made.load(), 5U);
    apply_events({{event_text({}), 0}});
    EXPECT_EQ(count("webhook_events_default"), 0);
}

TEST_F(Maintain, GivesWayToATurnThatHoldsTheDefaultPartitionAndTriesAgain) {
    const auto other = another_connection();
    auto turn_under_way = std::make_unique<pqxx::work>(*other);
    const MadeBatch batch({segment(7), 0}, {{event_text({}), 0}});
    (void)write_turn(*turn_under_way, std::vector<const wire::Batch*>{&batch.batch()}, ApplyMode::together);

    EXPECT_FALSE(turn());

    EXPECT_EQ(counters().steps_failed.load(), 5U);  // Each day would have stopped inserts.
    turn_under_way->commit();
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_TRUE(turn());
    EXPECT_EQ(partitions(), "0 1 2 3 4");
    EXPECT_EQ(count("webhook_events"), 1);
}

TEST_F(Maintain, LosesNoEventThatIsAppliedWhileDaysAreMade) {
    std::atomic<bool> is_over{false};
    std::atomic<int> applied{0};
    std::thread applier([&] {
        const auto connection = another_connection();
        for (std::uint64_t number = 0; !is_over; ++number) {
            pqxx::work work(*connection);
            begin_durably(work, {});
            const MadeBatch batch({segment(9), number}, {{event_text({})}, {event_text({.status = "queued"}), 1}});
            (void)write_turn(work, std::vector<const wire::Batch*>{&batch.batch()}, ApplyMode::together);
            work.commit();
            applied += 2;
        }
    });
    eventually("events come", [&] { return applied > 20; });

    // A day is made under the load; where a lock was not had, the next turn makes it.
    eventually("all days are made", [&] { return turn(); });
    const int applied_by_then = applied;
    eventually("events still come", [&] { return applied > applied_by_then + 20; });
    is_over = true;
    applier.join();

    EXPECT_EQ(count("webhook_events"), applied.load());
    EXPECT_EQ(count("webhook_events_default"), 0);
    EXPECT_EQ(partitions(), "0 1 2 3 4");
}

TEST_F(Maintain, DropsDaysPastTheirRetentionAndThoseOfTheDefaultPartitionToo) {
    ASSERT_TRUE(turn());
    apply_events({{event_text({}), 0}});
    exec(
        "INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, received_at, "
        "boot_id, "
        "boottime_us, redelivered, run_id, event_type, status, body) "
        "SELECT now() - days * interval '1 day', gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, false, "
        "'r', 'run.updated', "
        "'running', '{}' FROM (VALUES (40), (31), (30), (29)) AS d (days)");

    EXPECT_TRUE(turn({.webhook_events_days = 30}));  // Gives the old days partitions.
    EXPECT_EQ(partitions(), "-40 -31 -30 -29 0 1 2 3 4");
    EXPECT_TRUE(turn({.webhook_events_days = 30}));

    EXPECT_EQ(partitions(), "-30 -29 0 1 2 3 4");
    EXPECT_EQ(count("webhook_events"), 3);
    EXPECT_EQ(counters().days_dropped.load(), 2U);
    EXPECT_TRUE(turn());  // Without a retention everything stays.
    EXPECT_EQ(count("webhook_events"), 3);
}

// The balance is that of the books, which keep the sums of dropped days; no view needs the rows.
TEST_F(Maintain, LeavesEveryViewReadableAndTheBooksBalancedWhenADayIsDropped) {
    insert_generation("r-old");
    apply_events({{event_text({.run_id = "r-old"}), 0}, {event_text({.run_id = "r-old", .status = "success"}), 1}});
    ASSERT_EQ(settle("r-old"), "settled");
    exec(
        "UPDATE runledger.webhook_events SET applied_at = applied_at - interval '100 days';"
        "UPDATE runledger.ingested_batches SET applied_at = applied_at - interval '100 days'");
    apply_events({{event_text({.run_id = "r-new"}), 0}});
    ASSERT_TRUE(turn());  // Gives the old day a partition.

    ASSERT_TRUE(turn({.webhook_events_days = 90}));

    ASSERT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(value("SELECT format('%s %s', events, events_counted_in_runs) FROM runledger.ledger_balance_v1"), "3 3");
    pqxx::work work(db());
    for (const auto& view : work.exec("SELECT oid::regclass::text FROM pg_class "
                                      "WHERE relnamespace = 'runledger'::regnamespace AND relkind = 'v'")) {
        EXPECT_NO_THROW(work.exec("SELECT * FROM " + view[0].as<std::string>())) << view[0].c_str();
    }
}

TEST_F(Maintain, RemovesExpiredRowsInSteps) {
    exec(
        "INSERT INTO runledger.quarantine (quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, "
        "content) "
        "SELECT now() - i % 2 * interval '40 days', 'event', 'r', gen_random_uuid(), 0, 0, 'e', '' FROM "
        "generate_series(1, 5000) AS i");

    EXPECT_TRUE(turn({.quarantine_days = 30}));

    EXPECT_EQ(count("quarantine"), 2500);
    EXPECT_EQ(counters().quarantine_removed.load(), 2500U);
}

TEST_F(Maintain, QueuesRunsThatEndedAndAreInNoQueue) {
    for (const std::string run : {"r-lost", "r-settled", "r-young", "r-kept"}) {
        insert_generation(run);
        apply_events({{event_text({.run_id = run}), 0}, {event_text({.run_id = run, .status = "success"}), 1}});
    }
    ASSERT_EQ(settle("r-settled"), "settled");
    exec(
        "DELETE FROM runledger.settle_queue;"
        "UPDATE runledger.runs SET changed_at = now() - interval '1 hour' WHERE run_id <> 'r-young';"
        "UPDATE runledger.generations SET status = 'failed' WHERE run_id = 'r-kept'");

    EXPECT_TRUE(turn());
    EXPECT_TRUE(turn());

    EXPECT_EQ(value("SELECT string_agg(run_id, ' ' ORDER BY run_id) FROM runledger.settle_queue"), "r-kept r-lost");
    EXPECT_EQ(counters().runs_requeued.load(), 2U);
}

TEST_F(Maintain, LeavesItToAnotherDaemonThatIsAtIt) {
    const auto other = another_connection();
    pqxx::work other_daemon(*other);
    other_daemon.exec("SELECT pg_advisory_xact_lock(hashtextextended('runledger.maintain', 0))");

    EXPECT_FALSE(turn());

    EXPECT_EQ(counters().steps_failed.load(), 0U);
    EXPECT_EQ(partitions(), "NULL");
}

}  // namespace
}  // namespace runledger::test
