// The maintain stage against apply and other daemons, on real locks.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "daemon/database/libpqxx.hpp"
#include "daemon/settle/maintain.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/eventually.hpp"

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

TEST_F(Maintain, KeepsTheLastTwoDaysHoweverFewAreWanted) {
    exec(
        "INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, received_at, "
        "boot_id, boottime_us, redelivered, run_id, event_type, status, body) SELECT now() - days * interval '1 day', "
        "gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, false, 'r', 'run.updated', 'running', '{}' "
        "FROM generate_series(1, 3) AS days");
    ASSERT_TRUE(turn());  // Gives the days partitions.

    EXPECT_TRUE(turn({.webhook_events_days = 1}));

    EXPECT_EQ(partitions(), "-2 -1 0 1 2 3 4");
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

// While an older snapshot is held, as by pg_dump, no vacuum can take away what the steps before have removed.
TEST_F(Maintain, PassesEachRemovedRowOnceBehindAnOldSnapshot) {
    constexpr int many = 20'000;
    exec(fmt::format(
        "SET LOCAL session_replication_role = replica;"
        "INSERT INTO runledger.quarantine (quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, "
        "content) SELECT now() - interval '40 days' + i * interval '1 s', 'event', 'r', gen_random_uuid(), 0, 0, 'e', "
        "'' FROM generate_series(1, {0}) AS i;"
        "INSERT INTO runledger.spool_segments (segment_id, edge, retired_at, batch_count) SELECT gen_random_uuid(), "
        "'e', now() - interval '40 days' + i * interval '1 s', 1 FROM generate_series(1, {0}) AS i;"
        "INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, "
        "event_count, applied_at, changed_at) SELECT 'r-' || i, 'success', 'success', now() - interval '40 days', 1, "
        "0, now() - interval '40 days', now() - interval '40 days' + i * interval '1 s' "
        "FROM generate_series(1, {0}) AS i;"
        "INSERT INTO runledger.settlements (generation_id, run_id, settled_at, outcome, why, status, finished_at, "
        "cost_note, output_count, before, is_replaced) SELECT i, 'r-' || i, now() - interval '40 days' + i * interval "
        "'1 s', 'settled', 'w', 'failed', now(), 'not_charged', 0, '{{}}', true FROM generate_series(1, {0}) AS i;"
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload, state, last_error, "
        "created_at) SELECT i, 'r-' || i, 'ending', 'success', '{{}}', 'skipped', 'loaded', now() - interval '40 days' "
        "+ i * interval '1 s' FROM generate_series(1, {0}) AS i;"
        "INSERT INTO runledger.settle_queue (run_id) SELECT 'r-' || i FROM generate_series(1, {0}) AS i",
        many));
    exec(
        "ANALYZE runledger.quarantine, runledger.spool_segments, runledger.runs, runledger.settlements, "
        "runledger.notifications");
    const auto dump = another_connection();
    pqxx::work snapshot(*dump);
    snapshot.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    snapshot.exec("SELECT count(*) FROM runledger.runs");
    // Settle goes on while it is held, and the statistics say how empty the queue is.
    exec("DELETE FROM runledger.settle_queue; ANALYZE runledger.settle_queue");

    EXPECT_TRUE(turn({.runs_days = 30,
                      .notifications_days = 30,
                      .settlements_days = 30,
                      .quarantine_days = 30,
                      .tombstones_days = 30}));

    EXPECT_EQ(counters().runs_removed.load() + counters().quarantine_removed.load() +
                  counters().settlements_removed.load() + counters().notifications_removed.load() +
                  counters().tombstones_removed.load(),
              5U * many);
    eventually("the sessions have told what they read", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd maintain' AND "
                   "datname = current_database()") == "0";
    });
    // A run's entries in the queue are looked up before the lock is taken and behind it.
    for (const char* index : {"quarantine_quarantined_at_idx", "spool_segments_retired_at_idx", "runs_ended_idx",
                              "settlements_replaced_idx", "notifications_ended_idx", "settle_queue_run_idx"}) {
        EXPECT_LT(std::stoll(value(
                      fmt::format("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '{}'", index))),
                  3 * many)
            << index;
    }
}

TEST_F(Maintain, KeepsEachTableForItsOwnDaysAndRemovesNothingOfTheOthers) {
    insert_generation("r-old");
    apply_events({{event_text({.run_id = "r-old"}), 0}, {event_text({.run_id = "r-old", .status = "success"}), 2}});
    ASSERT_EQ(settle("r-old"), "settled");
    apply_events({{event_text({.run_id = "r-old"}), 1 - 1'000'000}});
    ASSERT_EQ(settle("r-old"), "resettled");
    exec(
        "DELETE FROM runledger.settle_queue;"
        "UPDATE runledger.runs SET changed_at = now() - interval '40 days', applied_at = now() - interval '40 days';"
        "UPDATE runledger.settlements SET settled_at = now() - interval '40 days';"
        "UPDATE runledger.notifications SET state = 'sent', sent_at = now(), created_at = now() - interval '40 days';"
        "INSERT INTO runledger.quarantine (quarantined_at, scope, reason, segment_id, batch_number, event_index, edge, "
        "content) VALUES (now() - interval '40 days', 'event', 'r', gen_random_uuid(), 0, 0, 'e', '');"
        "INSERT INTO runledger.spool_segments (segment_id, edge, retired_at, batch_count) "
        "VALUES (gen_random_uuid(), 'e', now() - interval '40 days', 1);"
        "INSERT INTO runledger.application_news (id, happened_at, kind, detail) "
        "VALUES (1, now() - interval '40 days', 'chat_refused', '')");
    const auto rows = [&] {
        return fmt::format("runs {} notifications {} settlements {} quarantine {} tombstones {} news {}", count("runs"),
                           count("notifications"), count("settlements"), count("quarantine"),
                           count("spool_segments WHERE retired_at IS NOT NULL"), count("application_news"));
    };
    ASSERT_EQ(rows(), "runs 1 notifications 1 settlements 2 quarantine 1 tombstones 1 news 1");

    EXPECT_TRUE(turn({.runs_days = 50,
                      .notifications_days = 50,
                      .settlements_days = 50,
                      .quarantine_days = 50,
                      .tombstones_days = 50,
                      .news_days = 50}));
    EXPECT_EQ(rows(), "runs 1 notifications 1 settlements 2 quarantine 1 tombstones 1 news 1");
    EXPECT_TRUE(turn({.news_days = 30}));
    EXPECT_EQ(rows(), "runs 1 notifications 1 settlements 2 quarantine 1 tombstones 1 news 0");
    EXPECT_TRUE(turn({.tombstones_days = 30}));
    EXPECT_EQ(rows(), "runs 1 notifications 1 settlements 2 quarantine 1 tombstones 0 news 0");
    EXPECT_TRUE(turn({.quarantine_days = 30}));
    EXPECT_EQ(rows(), "runs 1 notifications 1 settlements 2 quarantine 0 tombstones 0 news 0");
    EXPECT_TRUE(turn({.settlements_days = 30}));
    EXPECT_EQ(rows(), "runs 1 notifications 1 settlements 1 quarantine 0 tombstones 0 news 0");
    EXPECT_TRUE(turn({.notifications_days = 30}));
    EXPECT_EQ(rows(), "runs 1 notifications 0 settlements 1 quarantine 0 tombstones 0 news 0");
    EXPECT_TRUE(turn({.runs_days = 30}));
    EXPECT_EQ(rows(), "runs 0 notifications 0 settlements 1 quarantine 0 tombstones 0 news 0");
}

TEST_F(Maintain, RemovesByRetentionThatChangesWhileItRestsForAnHour) {
    insert_generation("r-1");
    apply_events({{event_text({.run_id = "r-1"}), 0}, {event_text({.run_id = "r-1", .status = "success"}), 2}});
    ASSERT_EQ(settle("r-1"), "settled");
    exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now(), created_at = now() - interval '40 days'");
    Wakeup wakeup;
    MaintainCounters of_stage;
    Maintainer maintainer({}, daemon_uri(), wakeup, of_stage);
    std::thread stage([&] { maintainer.run(); });
    eventually("the first round has made its days", [&] { return of_stage.days_made == 5; });
    EXPECT_EQ(count("notifications"), 1);

    maintainer.use({.notifications_days = 30});

    eventually("the message is removed", [&] { return count("notifications") == 0; });
    wakeup.stop();
    stage.join();
}

// Retention waits for the turns of apply under way, then looks again: what they have written is no longer old.
TEST_F(Maintain, LeavesARunThatAnEventReachesMeanwhile) {
    apply_events({{event_text({}), 0}, {event_text({.status = "success"}), 1}});
    exec(
        "DELETE FROM runledger.settle_queue;"
        "UPDATE runledger.runs SET changed_at = now() - interval '40 days', applied_at = now() - interval '40 days'");
    const auto other = another_connection();
    auto turn_under_way = std::make_unique<pqxx::work>(*other);
    turn_under_way->exec("SELECT run_id FROM runledger.late_events_of('{run-1}')");  // The run is there: apply goes on.

    auto removed = std::async(std::launch::async, [this] {
        const auto retention = another_connection();
        pqxx::work work(*retention);
        const auto rows =
            libpqxx::run1(work, "SELECT removed FROM runledger.remove_expired('runs', 30, 100)")[0].as<int>();
        work.commit();
        return rows;
    });
    eventually("retention waits for the turn, or has not waited", [&] {
        return removed.wait_for(std::chrono::seconds{0}) == std::future_status::ready ||
               value(
                   "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
                   "(SELECT oid FROM pg_database WHERE datname = current_database())") == "1";
    });
    const MadeBatch batch({segment(7), 0}, {{event_text({.status = "uploading"}), 2}});
    (void)write_turn(*turn_under_way, std::vector<const wire::Batch*>{&batch.batch()}, ApplyMode::together);
    turn_under_way->commit();

    EXPECT_EQ(removed.get(), 0);
    EXPECT_EQ(count("runs"), 1);
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs"), "3");
}

// Who waits for the lock that apply takes has every further apply wait behind him: it asks first.
TEST_F(Maintain, DoesNothingBesideATurnWhereItIsToldNotToWait) {
    exec(
        "INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, "
        "event_count, applied_at, changed_at) SELECT 'old', 'success', 'success', at, 1, 0, at, at "
        "FROM (SELECT now() - interval '40 days') AS long_ago (at)");
    const auto other = another_connection();
    auto turn_under_way = std::make_unique<pqxx::work>(*other);
    const MadeBatch batch({segment(7), 0}, {{event_text({.run_id = "another"})}});
    (void)write_turn(*turn_under_way, std::vector<const wire::Batch*>{&batch.batch()}, ApplyMode::together);
    const char* const step = "SELECT removed FROM runledger.remove_expired('runs', 30, 100, p_waits => false)";

    EXPECT_EQ(value(step), "NULL");

    turn_under_way->commit();
    EXPECT_EQ(value(step), "1");
}

// Not by the statement's own timeout, until which apply would wait behind the lock that is asked for.
TEST_F(Maintain, AsksForNoLockForLongerThanApplyMayWait) {
    ASSERT_TRUE(turn());
    exec(
        "INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, received_at, "
        "boot_id, boottime_us, redelivered, run_id, event_type, status, body) SELECT now() - interval '40 days', "
        "gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, false, 'r', 'run.updated', 'running', '{}'");
    ASSERT_TRUE(turn());  // Gives the day its partition.
    const auto other = another_connection();
    pqxx::work reader(*other);
    reader.exec("LOCK TABLE runledger.webhook_events IN ACCESS SHARE MODE");

    for (const char* step : {"make_event_day((now() AT TIME ZONE 'UTC')::date + 5)",
                             "drop_event_day((now() AT TIME ZONE 'UTC')::date - 40)"}) {
        pqxx::work work(db());
        work.exec("SET LOCAL statement_timeout = '5s'");
        try {
            work.exec(std::string("SELECT runledger.") + step);
            ADD_FAILURE() << step << " did not meet the lock";
        } catch (const pqxx::sql_error& error) {
            EXPECT_EQ(error.sqlstate(), "55P03") << step << ": " << error.what();
        }
    }
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

TEST_F(Maintain, QueuesNoRunWhoseRowWasEditedByHandUntilTheEditIsUndone) {
    for (const std::string run : {"r-before", "r-now"}) {
        apply_events({{event_text({.run_id = run}), 0}, {event_text({.run_id = run, .status = "success"}), 1}});
    }
    insert_generation("r-before");
    ASSERT_EQ(settle("r-before"), "settled");
    exec(
        "UPDATE runledger.generations SET status_reason = 'by hand', "
        "metadata = jsonb_set(metadata, '{run_id}', '\"r-now\"')");
    ASSERT_EQ(settle("r-now"), "edited_by_hand");
    exec(
        "DELETE FROM runledger.settle_queue;"
        "UPDATE runledger.runs SET changed_at = now() - interval '1 hour'");

    EXPECT_TRUE(turn());

    EXPECT_EQ(counters().runs_requeued.load(), 0U);
    EXPECT_EQ(value("SELECT count(*) FROM runledger.settle_queue"), "0");

    exec("UPDATE runledger.generations SET status_reason = NULL; DELETE FROM runledger.settle_queue");
    EXPECT_TRUE(turn());
    EXPECT_TRUE(turn());

    EXPECT_EQ(value("SELECT run_id FROM runledger.settle_queue"), "r-now");
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
