// Events that come after their run was forgotten, or removed by retention: nothing comes back, no cost changes.
#include <gmock/gmock.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "queries/notify.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

constexpr std::int64_t second = 1'000'000;

class LateEvents : public Ledger {
protected:
    void settle_a_run() {
        generation_ = insert_generation("run-1");
        apply_events({{event_text({.status = "running"})},
                      {event_text({.status = "success", .outputs = "[" + picture("SECRET") + "]"}), 2 * second}});
        ASSERT_EQ(settle("run-1"), "settled");
    }
    void forget() {
        pqxx::work work(db());
        libpqxx::run(work, "SELECT runledger.forget_generation($1)", generation_);
        work.commit();
    }
    [[nodiscard]] std::string row() {
        return value(
            "SELECT status || ' ' || duration_ms || ' ' || cost_usd FROM runledger.generations ORDER BY id LIMIT 1");
    }
    [[nodiscard]] std::int64_t generation() const { return generation_; }

private:
    std::int64_t generation_{};
};

TEST_F(LateEvents, OfAForgottenRunBringNothingBackAndCountInItsTimingAllTheSame) {
    settle_a_run();
    forget();
    ASSERT_EQ(row(), "completed 2000.000 0.000674000000");

    apply_events({{event_text({.status = "success",
                               .outputs = "[" + picture("SECRET") + "]",
                               .live_status = "\"SECRET\"",
                               .progress = "0.75",
                               .extra = R"(, "error": "SECRET")"}),
                   1 * second}});

    EXPECT_EQ(settle("run-1"), "no_run");
    EXPECT_EQ(settle(value("SELECT runledger.pseudonym_of('run-1')")), "resettled");
    EXPECT_EQ(row(), "completed 1000.000 0.000337000000");
    EXPECT_EQ(count("runs"), 1);
    EXPECT_EQ(count("webhook_events"), 3);
    EXPECT_EQ(count("run_outputs"), 0);
    EXPECT_EQ(count("quarantine"), 0);
    EXPECT_EQ(count("webhook_events WHERE run_id = 'run-1' OR body LIKE '%SECRET%' OR body LIKE '%run-1%'"), 0);
    EXPECT_EQ(count("runs AS r WHERE r::text LIKE '%SECRET%' OR r::text LIKE '%run-1%'"), 0);
    EXPECT_EQ(count("settle_queue WHERE run_id = 'run-1'"), 0);
    EXPECT_EQ(count("notifications"), 0);
    EXPECT_EQ(value("SELECT body::jsonb ->> 'progress' FROM runledger.webhook_events ORDER BY applied_at DESC LIMIT 1"),
              "0.75");
}

TEST_F(LateEvents, OfAForgottenRunGoToQuarantineWithoutTheirContent) {
    settle_a_run();
    const MadeBatch first({segment(7), 0}, {{event_text({.run_id = "run-2"}), second}});
    (void)apply({&first});
    forget();
    const std::string late = event_text({.status = "uploading", .live_status = "\"SECRET\"", .progress = "0.75"});
    const std::string of_another = event_text({.run_id = "run-2", .live_status = "\"theirs\""});

    // Another batch under a name that is taken; and a time that can't be stored.
    const MadeBatch conflict({segment(7), 0}, {{of_another, second}, {late, second}});
    const MadeBatch implausible({segment(8), 0}, late, Stamp{.received_at = WallTime{std::chrono::hours{-24 * 365}}},
                                BootId{}, false);
    const TurnResult result = apply({&conflict, &implausible});

    EXPECT_EQ(result.batch_results, (std::vector{BatchResult::conflict, BatchResult::applied}));
    EXPECT_EQ(count("quarantine"), 2);
    EXPECT_EQ(count("quarantine AS q WHERE q.run_id = 'run-1' OR position('SECRET'::bytea IN q.content) > 0 "
                    "OR position('run-1'::bytea IN q.content) > 0"),
              0);
    EXPECT_EQ(count("quarantine AS q WHERE scope = 'batch' AND position('theirs'::bytea IN q.content) > 0 "
                    "AND position('0.75'::bytea IN q.content) > 0"),
              1);
    EXPECT_EQ(value("SELECT run_id = runledger.pseudonym_of('run-1') FROM runledger.quarantine WHERE scope = 'event'"),
              "t");
}

TEST_F(LateEvents, OfARunThatRetentionRemovedGoToQuarantineAndChangeNoCost) {
    settle_a_run();
    {
        pqxx::work work(db());
        work.exec(
            "DELETE FROM runledger.settle_queue; UPDATE runledger.runs SET applied_at = '2020-01-01', "
            "changed_at = '2020-01-01'");
        EXPECT_EQ(libpqxx::run1(work, "SELECT removed FROM runledger.remove_expired('runs', 30, 10)")[0].as<int>(), 1);
        work.commit();
    }
    insert_generation("run-2");

    const TurnResult result = apply_events({{event_text({.status = "failed"}), 9 * second},
                                            {event_text({.run_id = "run-2", .status = "running"}), 9 * second}});

    EXPECT_EQ(result.events_quarantined, 1U);
    EXPECT_EQ(value("SELECT string_agg(run_id, ',') FROM runledger.runs"), "run-2");
    EXPECT_EQ(value("SELECT scope || ' ' || run_id || ' ' || split_part(reason, ':', 1) FROM runledger.quarantine"),
              "event run-1 run_removed");
    EXPECT_EQ(settle("run-1"), "no_run");
    EXPECT_EQ(row().substr(0, 9), "completed");
}

TEST_F(LateEvents, AreHeldOffByNoneButForgettingWaitsForATurnUnderWay) {
    settle_a_run();
    const auto other = another_connection();
    auto turn = std::make_unique<pqxx::work>(*other);
    const MadeBatch batch({segment(7), 0},
                          {{event_text({.status = "uploading", .live_status = "\"SECRET\""}), second}});
    (void)write_turn(*turn, std::vector<const wire::Batch*>{&batch.batch()}, ApplyMode::together);

    // What the turn has looked up it must be able to write: forgetting waits, so that it sees what was written.
    auto forgotten = std::async(std::launch::async, [this] { forget(); });
    const auto watcher = another_connection();
    eventually("forgetting waits for the turn", [&] {
        pqxx::work work(*watcher);
        return libpqxx::run1(work,
                             "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                             "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0]
                   .as<int>() == 1;
    });
    turn->commit();
    forgotten.get();

    EXPECT_EQ(count("webhook_events"), 3);
    EXPECT_EQ(count("webhook_events AS e WHERE e::text LIKE '%SECRET%' OR run_id = 'run-1'"), 0);
    EXPECT_EQ(count("runs AS r WHERE r::text LIKE '%SECRET%' OR run_id = 'run-1'"), 0);
}

TEST_F(LateEvents, OfACallThatIsBeingEnteredAreWaitedFor) {
    settle_a_run();
    const auto other = another_connection();
    auto call = std::make_unique<pqxx::work>(*other);
    call->exec(
        "INSERT INTO runledger.progress_messages (run_id, generation_id, chat_id, told_of) VALUES ('run-1', 1, 42, "
        "now())");

    auto forgotten = std::async(std::launch::async, [this] { forget(); });
    const auto watcher = another_connection();
    eventually("forgetting waits for what enters the call", [&] {
        pqxx::work work(*watcher);
        return libpqxx::run1(work,
                             "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND NOT granted "
                             "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0]
                   .as<int>() == 1;
    });
    call->commit();
    forgotten.get();

    EXPECT_EQ(count("progress_messages"), 0);
}

// In a transaction that does not see that the run was forgotten, since its snapshot is older.
TEST_F(LateEvents, OfTheApplicationBringNothingBackEither) {
    settle_a_run();
    const auto other = insert_generation("run-2");
    std::vector<std::unique_ptr<pqxx::connection>> connections;
    std::vector<std::unique_ptr<pqxx::work>> old;
    for (int i = 0; i < 2; ++i) {
        connections.push_back(another_connection_as_application());
        old.push_back(std::make_unique<pqxx::work>(*connections.back()));
        old.back()->exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE; SELECT FROM runledger.runs");
    }
    forget();

    for (std::size_t i = 0; i < 2; ++i) {
        old[i]->exec(R"(
            INSERT INTO runledger.generations (metadata, request_payload, response_payload, status, status_reason)
            VALUES ('{"run_id": "run-1", "groupId": "SECRET", "telegramChatId": 42}', '"SECRET"', '"SECRET"', 'failed',
                    'SECRET'))");
        old[i]->commit();
        if (i == 0) {
            pqxx::work work(db());
            work.exec("SET LOCAL ROLE ledger_daemon");
            EXPECT_EQ(
                libpqxx::run1(work, "SELECT outcome FROM runledger.settle_runs('{run-1}', '0', '7 days')")[0].c_str(),
                std::string("no_run"));
            work.commit();
        } else {
            EXPECT_EQ(settle("run-1"), "no_run");
        }

        EXPECT_EQ(count("generations AS g WHERE g::text LIKE '%SECRET%' OR g::text LIKE '%run-1%'"), 0);
    }
    EXPECT_EQ(count("generations"), 4);
    EXPECT_EQ(row(), "completed 2000.000 0.000674000000");
    EXPECT_EQ(value("SELECT string_agg(id::text, ' ') FROM runledger.generations WHERE run_id = 'run-2'"),
              std::to_string(other));
}

TEST_F(LateEvents, OfTelegramBringNoChatBack) {
    settle_a_run();
    forget();

    pqxx::work work(db());
    ask(work, queries::notify::chat_held, 42, 1000, "429");
    ask(work, queries::notify::chat_moved, 42, 43, "400");
    work.commit();

    EXPECT_EQ(count("telegram_chats"), 0);
}

}  // namespace
}  // namespace runledger::test
