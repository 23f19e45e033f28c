// Many appliers on the same runs: none waits for another in a ring, and one that is made to by somebody else tries
// again and loses nothing.
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <random>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/appliers_fixture.hpp"

namespace runledger::test {
namespace {

class Contention : public Ledger {
protected:
    static constexpr int runs = 12;

    // Each batch tells of all runs, in an order of its own, with outputs and unknown statuses, so that everything that
    // an applier locks is locked by all.
    [[nodiscard]] std::deque<MadeBatch> batches_on_the_same_runs(std::uint64_t count, std::string_view extra = "") {
        std::deque<MadeBatch> batches;
        for (std::uint64_t number = 0; number < count; ++number) {
            std::vector<Incoming> events;
            for (int run = 0; run < runs; ++run) {
                events.push_back({event_text({.run_id = fmt::format("run-{:02}", run),
                                              .status = number % 3 == 0   ? "success"
                                                        : number % 3 == 1 ? "running"
                                                                          : "odd",
                                              .outputs = fmt::format("[{}, {}]", picture("b"), picture("a")),
                                              .extra = std::string(extra)}),
                                  static_cast<std::int64_t>(number)});
            }
            if (number % 2 == 1) {
                std::reverse(events.begin(), events.end());
            } else {
                std::shuffle(events.begin(), events.end(), random_);
            }
            batches.emplace_back(BatchName{segment(static_cast<std::uint8_t>(1 + number % 3)), number / 3}, events);
        }
        return batches;
    }

    // Two daemons of four appliers each get every batch, one forwards and one backwards.
    void apply_in_two_daemons(const std::deque<MadeBatch>& batches) {
        Appliers one(daemon_uri(), 4);
        Appliers other(daemon_uri(), 4);
        for (std::size_t i = 0; i < batches.size(); ++i) {
            one.offer(batches[i]);
            other.offer(batches[batches.size() - 1 - i]);
        }
        one.wait_for(batches.size());
        other.wait_for(batches.size());
        turns_failed_ = one.counters().turns_failed + other.counters().turns_failed;
        applied_ = one.counters().batches_applied + other.counters().batches_applied;
        copies_ = one.counters().batch_copies + other.counters().batch_copies;
    }

    void expect_no_deadlock(std::size_t log_since) {
        EXPECT_FALSE(log_says(server(), log_since, "deadlock detected"));
        EXPECT_EQ(value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"), "0");
    }

    std::mt19937 random_{std::random_device{}()};
    std::uint64_t turns_failed_{0};
    std::uint64_t applied_{0};
    std::uint64_t copies_{0};
};

TEST_F(Contention, NeverDeadlocksTwoDaemonsOnTheSameRuns) {
    // So large that a turn takes a few batches only, and eight appliers have turns with different ones at once.
    const auto batches = batches_on_the_same_runs(120, fmt::format(R"(, "error": "{}")", std::string(30'000, 'x')));
    const std::size_t log_since = log_mark(server());

    apply_in_two_daemons(batches);

    expect_no_deadlock(log_since);
    EXPECT_EQ(turns_failed_, 0U);
    EXPECT_EQ(applied_, batches.size());
    EXPECT_EQ(copies_, batches.size());
    EXPECT_EQ(count("webhook_events"), static_cast<std::int64_t>(batches.size()) * runs);
    EXPECT_EQ(value("SELECT min(event_count) || '-' || max(event_count) FROM runledger.runs"),
              fmt::format("{0}-{0}", batches.size()));
}

// After a data error events are written one by one, each with its own locks: still sorted.
TEST_F(Contention, NeverDeadlocksWhenEventsAreWrittenOneByOne) {
    {
        pqxx::work work(db());
        work.exec(
            "ALTER TABLE runledger.webhook_events ADD CONSTRAINT no_poison "
            "CHECK (run_id <> 'run-05' OR body NOT LIKE '%poison%')");
        work.commit();
    }
    const auto batches = batches_on_the_same_runs(24, R"(, "error": "poison")");
    const std::size_t log_since = log_mark(server());

    apply_in_two_daemons(batches);

    expect_no_deadlock(log_since);
    EXPECT_EQ(count("quarantine WHERE scope = 'event'"), static_cast<std::int64_t>(batches.size()));
    EXPECT_EQ(count("webhook_events"), static_cast<std::int64_t>(batches.size()) * (runs - 1));
}

// A transaction of somebody else that locks two runs in the opposite order: PostgreSQL ends the applier's turn.
TEST_F(Contention, TriesATurnAgainThatADeadlockEnded) {
    apply_events({{event_text({.run_id = "run-a"}), 0}, {event_text({.run_id = "run-b"}), 0}});
    const auto hostile = another_connection();
    pqxx::work hostile_work(*hostile);
    hostile_work.exec("SET LOCAL deadlock_timeout = '60s'");  // The applier is the one to find out.
    hostile_work.exec("SELECT FROM runledger.runs WHERE run_id = 'run-b' FOR UPDATE");
    const MadeBatch batch({segment(1), 0}, {{event_text({.run_id = "run-a", .status = "success"}), 5},
                                            {event_text({.run_id = "run-b", .status = "success"}), 6}});
    const std::size_t log_since = log_mark(server());
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(batch);
    eventually("the applier waits for run-b", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd apply' "
                   "AND wait_event_type = 'Lock' AND datname = current_database()") == "1";
    });
    hostile_work.exec("SELECT FROM runledger.runs WHERE run_id = 'run-a' FOR UPDATE");
    hostile_work.commit();

    appliers.wait_for(1);
    EXPECT_TRUE(log_says(server(), log_since, "deadlock detected"));
    EXPECT_GE(appliers.counters().turns_failed, 1U);
    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || status || ' ' || event_count, ', ' ORDER BY run_id) "
                    "FROM runledger.runs"),
              "run-a success 2, run-b success 2");
    EXPECT_EQ(count("webhook_events"), 4);
}

// As a trigger of another extension, or a serializable transaction of the application, may answer.
TEST_F(Contention, TriesATurnAgainThatCouldNotBeSerialized) {
    {
        pqxx::work work(db());
        work.exec(
            "CREATE SEQUENCE tries; CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
            "$$ BEGIN "
            "IF nextval('public.tries') <= 2 THEN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; "
            "END IF; "
            "RETURN NEW; END $$; "
            "CREATE TRIGGER fail_twice BEFORE INSERT ON runledger.runs FOR EACH ROW EXECUTE FUNCTION fail_twice()");
        work.commit();
    }
    const MadeBatch batch({segment(1), 0}, {{event_text({.status = "success"}), 5}});
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(batch);

    appliers.wait_for(1);
    EXPECT_EQ(appliers.counters().turns_failed, 2U);
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(count("quarantine"), 0);
}

// Under another default a statement would not see what another daemon committed while it waited.
TEST_F(Contention, HoldsUnderAnyDefaultIsolation) {
    {
        pqxx::nontransaction work(db());
        work.exec(fmt::format("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
                              work.quote_name(libpqxx::run1(work, "SELECT current_database()")[0].as<std::string>())));
    }
    const auto batches = batches_on_the_same_runs(30);

    apply_in_two_daemons(batches);

    EXPECT_EQ(turns_failed_, 0U);
    EXPECT_EQ(applied_, batches.size());
}

}  // namespace
}  // namespace runledger::test
