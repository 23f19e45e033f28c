// What the backlog stage makes of the rows that wait, and that no look reads a whole table.
#include "daemon/backlog/backlog.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "queries/backlog.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

constexpr std::int64_t second_us = 1'000'000;

class BacklogTest : public Ledger {
protected:
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    const BacklogGauges& gauges_after_a_look() {
        EXPECT_EQ(backlog_.look(), Backlog::Look::done);
        return gauges_;
    }
    void there_are_notifications(const std::string& columns, const std::string& values) {
        execute(
            fmt::format("INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, "
                        "payload, {}) SELECT n, 'r-' || n, 'ending', gen_random_uuid()::text, 42, '{{}}', {}",
                        columns, values));
    }

    BacklogGauges gauges_;
    Wakeup stop_;
    Backlog backlog_{daemon_uri(), stop_, gauges_};
};

class BacklogOfSettle : public BacklogTest {
protected:
    void queue(const std::string& run_id, const std::string& ago, int attempts = 0, const std::string& error = "NULL",
               bool is_slow = false) {
        execute(
            fmt::format("INSERT INTO runledger.settle_queue (run_id, queued_at, attempts, last_error, is_slow) "
                        "VALUES ('{}', now() - interval '{}', {}, {}, {})",
                        run_id, ago, attempts, error, is_slow));
    }
};

TEST_F(BacklogOfSettle, HasNothingWhereNothingWaits) {
    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.unsettled_new.runs + gauges.unsettled_locked.runs + gauges.unsettled_refused.runs, 0U);
    EXPECT_EQ(gauges.unsettled_new.oldest_seconds, 0U);
    EXPECT_EQ(gauges.outbox_pending + gauges.outbox_dead + gauges.stuck_runs + gauges.lookups_due, 0U);
    EXPECT_GT(gauges.measured_at, 0);
}

TEST_F(BacklogOfSettle, TellsRunsThatAreNewFromThoseThatAreLockedAndThoseThatAreRefused) {
    queue("new", "10 seconds");
    queue("new", "5 seconds");
    queue("locked", "1 minute", 3, "'locked: the generations row is locked by another transaction'");
    queue("refused", "1 hour", 9, "'failed: 23514: never_done'");
    queue("hangs", "2 hours", 2, "'failed: 57014: canceling statement'", true);

    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.unsettled_new.runs, 1U);
    EXPECT_THAT(gauges.unsettled_new.oldest_seconds.load(), AllOf(Ge(10U), Le(60U)));
    EXPECT_EQ(gauges.unsettled_locked.runs, 1U);
    EXPECT_THAT(gauges.unsettled_locked.oldest_seconds.load(), AllOf(Ge(60U), Le(120U)));
    EXPECT_EQ(gauges.unsettled_refused.runs, 2U);
    EXPECT_THAT(gauges.unsettled_refused.oldest_seconds.load(), AllOf(Ge(7200U), Le(7260U)));
}

TEST_F(BacklogOfSettle, LeavesOutRunsThatAreMadeUp) {
    queue("runledger-simulated-0123456789abcdef0123456789abcdef", "1 hour");
    queue("runledger-simulated-by-the-application", "10 seconds");

    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.unsettled_new.runs, 1U);
    EXPECT_THAT(gauges.unsettled_new.oldest_seconds.load(), Le(60U));
}

TEST_F(BacklogOfSettle, ShowsARowThatAConstraintOfTheApplicationHoldsBackAndNoLongerWhenItIsMended) {
    execute(
        "ALTER TABLE runledger.generations ADD CONSTRAINT never_done CHECK (status <> 'completed' OR cost_usd > 100)");
    insert_generation("run-1");
    apply_events(
        {{event_text({.run_id = "run-1"}), 0}, {event_text({.run_id = "run-1", .status = "success"}), second_us}});
    const RunningSettlers settlers(daemon_uri());

    eventually("the row is held back", [&] { return gauges_after_a_look().unsettled_refused.runs == 1; });
    EXPECT_EQ(gauges_.unsettled_new.runs, 0U);

    execute("ALTER TABLE runledger.generations DROP CONSTRAINT never_done");
    eventually("it is settled", [&] { return gauges_after_a_look().unsettled_refused.runs == 0; });
    EXPECT_EQ(gauges_.unsettled_refused.oldest_seconds, 0U);
}

TEST_F(BacklogTest, CountsTheOutboxByStateAndThoseThatReachedNobodyOfTheLastDay) {
    there_are_notifications("waits_since", "now() - interval '100 seconds' FROM generate_series(1, 3) AS n");
    there_are_notifications("last_error", "'429' FROM generate_series(11, 12) AS n");
    there_are_notifications("state, lease_owner, lease_until, sending_at",
                            "'leased', 'd', now() + interval '1 minute', now() FROM generate_series(21, 21) AS n");
    there_are_notifications("state, last_error", "'dead', 'blocked' FROM generate_series(31, 34) AS n");
    there_are_notifications("state, last_error", "'uncertain', 'lost' FROM generate_series(41, 45) AS n");
    there_are_notifications("state, last_error", "'skipped', 'no chat' FROM generate_series(51, 56) AS n");
    there_are_notifications("state, last_error, created_at",
                            "'dead', 'blocked', now() - interval '3 days' FROM generate_series(61, 61) AS n");
    there_are_notifications("state", "'elsewhere' FROM generate_series(81, 87) AS n");
    there_are_notifications("state, sent_at, message_id", "'sent', now(), 1 FROM generate_series(71, 79) AS n");

    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.outbox_pending, 3U);
    EXPECT_EQ(gauges.outbox_retrying, 2U);
    EXPECT_EQ(gauges.outbox_leased, 1U);
    EXPECT_EQ(gauges.outbox_dead, 4U);
    EXPECT_EQ(gauges.outbox_uncertain, 5U);
    EXPECT_EQ(gauges.outbox_skipped, 6U);
    EXPECT_EQ(gauges.outbox_elsewhere, 7U);
    EXPECT_THAT(gauges.outbox_oldest_pending_seconds.load(), AllOf(Ge(100U), Le(160U)));
    EXPECT_THAT(gauges.outbox_oldest_dead_seconds.load(), AllOf(Ge(259200U), Le(259260U)));
}

TEST_F(BacklogTest, CountsLookUpsByWhenTheyAreDue) {
    execute(
        "INSERT INTO runledger.reconcile_lookups (run_id, next_at) VALUES ('a', now() - interval '1 hour'), "
        "('b', now() - interval '1 second'), ('c', now() + interval '1 hour'), ('d', 'infinity'), ('e', 'infinity'), "
        "('f', 'infinity')");

    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.lookups_due, 2U);
    EXPECT_EQ(gauges.lookups_later, 1U);
    EXPECT_EQ(gauges.lookups_given_up, 3U);
    EXPECT_THAT(gauges.lookups_oldest_due_seconds.load(), AllOf(Ge(3600U), Le(3660U)));
}

TEST_F(BacklogTest, CountsTheRunsOfTheViewOfStuckRuns) {
    apply_events({{event_text({.run_id = "silent"}), 0}, {event_text({.run_id = "heard"}), 0}});
    execute("UPDATE runledger.runs SET applied_at = now() - interval '2 hours' WHERE run_id = 'silent'");
    insert_generation("unheard");
    execute("UPDATE runledger.generations SET request_timestamp = now() - interval '1 day'");

    EXPECT_EQ(gauges_after_a_look().stuck_runs, 2U);
}

TEST_F(BacklogTest, LooksAtABoundedNumberOfRows) {
    execute(
        "INSERT INTO runledger.settle_queue (run_id) SELECT 'n-' || n FROM generate_series(1, 10100) AS n;"
        "INSERT INTO runledger.settle_queue (run_id, attempts, last_error) "
        "SELECT 'f-' || n, 1, 'failed: x' FROM generate_series(1, 10100) AS n;"
        "INSERT INTO runledger.reconcile_lookups (run_id, next_at) "
        "SELECT 'l-' || n, now() - interval '1 hour' FROM generate_series(1, 10100) AS n;"
        "INSERT INTO runledger.generations (metadata, request_timestamp) "
        "SELECT jsonb_build_object('run_id', 'g-' || n), now() - interval '1 day' FROM generate_series(1, 10100) AS n");
    there_are_notifications("waits_since", "now() FROM generate_series(1, 10100) AS n");
    there_are_notifications("state, last_error", "'dead', 'blocked' FROM generate_series(20001, 30100) AS n");

    const BacklogGauges& gauges = gauges_after_a_look();

    EXPECT_EQ(gauges.unsettled_new.runs, 10'000U);
    EXPECT_EQ(gauges.unsettled_refused.runs, 10'000U);
    EXPECT_EQ(gauges.lookups_due, 10'000U);
    EXPECT_EQ(gauges.stuck_runs, 10'000U);
    EXPECT_EQ(gauges.outbox_pending, 10'000U);
    EXPECT_EQ(gauges.outbox_dead, 10'000U);
}

// The queues have grown since their statistics were taken, if ever; then a plan that sorts looks cheap.
TEST_F(BacklogTest, ReadsNoMoreRowsThanItCounts) {
    execute(
        "INSERT INTO runledger.settle_queue (run_id) SELECT 'n-' || n FROM generate_series(1, 15000) AS n;"
        "INSERT INTO runledger.settle_queue (run_id, attempts, last_error) "
        "SELECT 'f-' || n, 1, 'failed: x' FROM generate_series(1, 15000) AS n;"
        "INSERT INTO runledger.reconcile_lookups (run_id, next_at) "
        "SELECT 'l-' || n, now() - interval '1 hour' FROM generate_series(1, 15000) AS n");
    there_are_notifications("waits_since", "now() FROM generate_series(1, 15000) AS n");
    pqxx::work work(db());
    work.exec(std::string(queries::backlog::use_indexes));
    for (const auto query :
         {queries::backlog::unsettled, queries::backlog::stuck, queries::backlog::outbox, queries::backlog::lookups}) {
        std::string plan;
        for (const auto& row : work.exec(fmt::format("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {}", query))) {
            plan += fmt::format("{}\n", row[0].c_str());
        }

        EXPECT_THAT(plan, AllOf(Not(HasSubstr("Seq Scan")), HasSubstr("Limit")));
        EXPECT_THAT(plan, Not(HasSubstr("rows=15000")));
    }
}

TEST_F(BacklogTest, KeepsItsNumbersWhileALookFails) {
    execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('a')");
    ASSERT_EQ(gauges_after_a_look().unsettled_new.runs, 1U);

    execute("ALTER TABLE runledger.settle_queue RENAME TO elsewhere");
    EXPECT_EQ(backlog_.look(), Backlog::Look::failed);
    EXPECT_EQ(gauges_.looks_failed, 1U);
    EXPECT_EQ(gauges_.unsettled_new.runs, 1U);

    execute("ALTER TABLE runledger.elsewhere RENAME TO settle_queue");
    EXPECT_EQ(backlog_.look(), Backlog::Look::done);
}

TEST(BacklogPause, IsAHundredTimesAsLongAsTheLook) {
    EXPECT_EQ(pause_after_look(milliseconds{2}), seconds{5});
    EXPECT_EQ(pause_after_look(milliseconds{300}), seconds{30});
    EXPECT_EQ(pause_after_look(seconds{5}), seconds{500});
    EXPECT_EQ(pause_after_look(seconds{60}), seconds{600});
}

}  // namespace
}  // namespace runledger::test
