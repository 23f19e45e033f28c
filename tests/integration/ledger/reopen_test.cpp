// A record that names another run than before: whose time, cost and message it is, at each moment.
#include <fmt/format.h>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class Reopen : public Ledger {
protected:
    Reopen() : Ledger(DatabaseOf::the_suite) {}

    void end_run(const std::string& run_id, std::int64_t duration_us) {
        apply_events({{event_text({.run_id = run_id}), 0},
                      {event_text({.run_id = run_id, .status = "success", .outputs = "[" + picture(run_id) + "]"}),
                       duration_us}});
        work_off_queue();
    }
    void execute(const std::string& sql) {
        {
            pqxx::work work(db());
            work.exec(sql);
            work.commit();
        }
        work_off_queue();
    }
    void name_run(std::int64_t generation, const std::string& json_value) {
        execute(fmt::format(
            "UPDATE runledger.generations SET metadata = jsonb_set(metadata, '{{run_id}}', '{}') WHERE id = {}",
            json_value, generation));
    }
    [[nodiscard]] std::string row(std::int64_t generation) {
        return value(
            fmt::format("SELECT concat_ws('|', status, coalesce(duration_ms::text, '-'), coalesce(cost_usd::text, "
                        "'-'), coalesce(response_payload #>> '{{outputs,0,id}}', '-'), "
                        "CASE WHEN response_timestamp IS NULL THEN 'open' ELSE 'ended' END) "
                        "FROM runledger.generations WHERE id = {}",
                        generation));
    }
    [[nodiscard]] std::string audit(std::int64_t generation) {
        return value(
            fmt::format("SELECT coalesce(string_agg(run_id || ' ' || outcome, ', ' ORDER BY id), '-') "
                        "FROM runledger.settlements WHERE generation_id = {}",
                        generation));
    }
    [[nodiscard]] std::string told() {
        return value(
            "SELECT coalesce(string_agg(concat_ws(' ', generation_id, run_id, kind, state), ', ' ORDER BY id), "
            "'-') FROM runledger.notifications");
    }
    void work_off_queue() {
        for (const auto& run : runs_in_queue()) {
            outcomes_.push_back(run + " " + settle(run));
        }
    }
    std::vector<std::string> outcomes_;

private:
    std::vector<std::string> runs_in_queue() {
        pqxx::work work(db());
        std::vector<std::string> runs;
        for (const auto& run : work.exec("WITH gone AS (DELETE FROM runledger.settle_queue RETURNING run_id) "
                                         "SELECT DISTINCT run_id FROM gone ORDER BY run_id")) {
            runs.push_back(run[0].as<std::string>());
        }
        work.commit();
        return runs;
    }
};

TEST_F(Reopen, TakesBackWhatTheOldRunGaveAndWaitsForTheNew) {
    insert_generation("a");
    end_run("a", 1'000'000);
    ASSERT_EQ(row(1), "completed|1000.000|0.000337000000|a|ended");

    name_run(1, R"("b")");

    EXPECT_EQ(row(1), "pending|-|-|-|open");
    EXPECT_EQ(audit(1), "a settled, a reopened");
    EXPECT_EQ(value("SELECT before ->> 'cost_usd' FROM runledger.settlements ORDER BY id DESC LIMIT 1"),
              "0.000337000000");
    EXPECT_EQ(told(), "1 a ending skipped") << "it had not been sent";

    end_run("b", 2'000'000);

    EXPECT_EQ(row(1), "completed|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(audit(1), "a settled, a reopened, b settled");
    EXPECT_EQ(told(), "1 a ending skipped, 1 b ending pending");
}

// `outbox send-logged` would send it.
TEST_F(Reopen, SkipsAMessageThatWasOnlyLogged) {
    insert_generation("a");
    end_run("a", 1'000'000);
    execute("UPDATE runledger.notifications SET state = 'logged', logged_at = now(), last_error = 'mode is log'");

    name_run(1, "\"b\"");

    EXPECT_EQ(told(), "1 a ending skipped");
}

TEST_F(Reopen, SettlesAtOnceByARunThatHadEndedBefore) {
    insert_generation("a");
    end_run("a", 1'000'000);
    end_run("b", 2'000'000);

    name_run(1, R"("b")");

    EXPECT_EQ(row(1), "completed|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(audit(1), "a settled, a reopened, b settled");
}

// The new run's entry may be taken before the old one's.
TEST_F(Reopen, ComesToTheSameWhicheverOfTheTwoRunsIsLookedAtFirst) {
    insert_generation("z");
    end_run("z", 1'000'000);
    end_run("b", 2'000'000);

    name_run(1, R"("b")");  // "b" is worked off before "z".

    EXPECT_EQ(row(1), "completed|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(audit(1), "z settled, z reopened, b settled");
    EXPECT_EQ(settle("z"), "no_generation");
}

TEST_F(Reopen, GoesOnToProcessingIfTheNewRunIsUnderWay) {
    insert_generation("a");
    end_run("a", 1'000'000);
    apply_events({{event_text({.run_id = "b"}), 0}});

    name_run(1, R"("b")");

    EXPECT_EQ(row(1), "processing|-|-|-|open");
}

TEST_F(Reopen, MovesTheSettlementWithARunThatIsGivenToAnotherRow) {
    insert_generation("a");
    end_run("a", 1'000'000);
    insert_metadata(R"({"telegramChatId": 43, "costRate": {"amount": 1, "currency": "USD", "unit": "run"}})");

    execute(R"(UPDATE runledger.generations SET metadata = metadata - 'run_id' WHERE id = 1;
               UPDATE runledger.generations SET metadata = metadata || '{"run_id": "a"}' WHERE id = 2)");

    EXPECT_EQ(row(1), "pending|-|-|-|open");
    EXPECT_EQ(row(2), "completed|1000.000|1.000000000000|a|ended");
    EXPECT_EQ(told(), "1 a ending skipped, 2 a ending pending");
    EXPECT_EQ(value("SELECT sum(cost_usd) FROM runledger.generations"), "1.000000000000") << "counted once";
}

TEST_F(Reopen, LeavesWhatWasSpentWithARowThatOnlyLostItsRun) {
    insert_generation("a");
    end_run("a", 1'000'000);

    execute("UPDATE runledger.generations SET metadata = '[]'");

    EXPECT_EQ(row(1), "completed|1000.000|0.000337000000|a|ended");
    EXPECT_EQ(audit(1), "a settled");

    execute(R"(UPDATE runledger.generations SET metadata = '{"run_id": "a"}')");

    EXPECT_EQ(row(1), "completed|1000.000|0.000337000000|a|ended") << "at the rate that was copied";
    EXPECT_EQ(audit(1), "a settled");
}

TEST_F(Reopen, TellsNobodyOfOneRunTwiceHoweverOftenTheRowGoesToAndFro) {
    insert_generation("a");
    end_run("a", 1'000'000);
    end_run("b", 2'000'000);
    execute("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");

    name_run(1, R"("b")");
    name_run(1, R"("a")");
    name_run(1, R"("b")");

    EXPECT_EQ(row(1), "completed|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(told(), "1 a ending sent, 1 b ending pending");
}

TEST_F(Reopen, ReportsARowThatWasEditedByHandAndLeavesIt) {
    insert_generation("a");
    end_run("a", 1'000'000);
    execute("UPDATE runledger.generations SET cost_usd = 5");

    name_run(1, R"("b")");
    end_run("b", 2'000'000);

    EXPECT_EQ(row(1), "completed|1000.000|5|a|ended");
    EXPECT_EQ(audit(1), "a settled, a edited_by_hand");
}

TEST_F(Reopen, OverwritesNothingWhereTheApplicationEmptiedTheRowItself) {
    insert_generation("a");
    end_run("a", 1'000'000);

    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "b"}', status = 'pending',
               duration_ms = NULL, cost_usd = NULL, cost_note = NULL, response_timestamp = NULL, response_payload = NULL)");
    end_run("b", 2'000'000);

    EXPECT_EQ(row(1), "completed|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(audit(1), "a settled, a reopened, b settled");
}

TEST_F(Reopen, KeepsTheEndingThatTheApplicationWrote) {
    insert_generation("a");
    execute("UPDATE runledger.generations SET status = 'cancelled', status_reason = 'by the user'");
    end_run("a", 1'000'000);
    end_run("b", 2'000'000);

    name_run(1, R"("b")");

    EXPECT_EQ(row(1), "cancelled|2000.000|0.000674000000|b|ended");
    EXPECT_EQ(audit(1), "a kept, a reopened, b kept");
    EXPECT_EQ(told(), "-");
}

TEST_F(Reopen, WaitsForALockedRow) {
    insert_generation("a");
    end_run("a", 1'000'000);
    {
        pqxx::work work(db());
        work.exec(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "b"}')");
        work.commit();
    }
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations FOR UPDATE");

    EXPECT_EQ(settle("a"), "locked");
    lock.abort();
    EXPECT_EQ(settle("a"), "no_generation");

    EXPECT_EQ(row(1), "pending|-|-|-|open");
}

// metadata without the run's id, then with another one's: the second change queues only the new run.
TEST_F(Reopen, WithdrawsAtOnceWhatAnotherRunGaveThoughTheNewOneIsNotHeardOf) {
    for (const bool is_known : {false, true}) {
        const std::string first = is_known ? "a-1" : "a-0";
        const std::string second = is_known ? "b-1" : "b-0";
        const auto id = insert_generation(first);
        end_run(first, 1'000'000);
        if (is_known) {
            apply_events({{event_text({.run_id = second, .status = "queued"}), 0}});
            work_off_queue();
        }

        execute(fmt::format("UPDATE runledger.generations SET metadata = metadata - 'run_id' WHERE id = {}", id));
        EXPECT_EQ(row(id), fmt::format("completed|1000.000|0.000337000000|{}|ended", first));
        execute(
            fmt::format(R"(UPDATE runledger.generations SET metadata = metadata || '{{"run_id": "{}"}}' WHERE id = {})",
                        second, id));

        EXPECT_EQ(row(id), "pending|-|-|-|open") << second;
        EXPECT_EQ(audit(id), fmt::format("{0} settled, {0} reopened", first));
        EXPECT_EQ(settle(second), is_known ? "not_ended" : "no_run");
    }
}

TEST_F(Reopen, WaitsForALockedRowAlsoIfTheNewRunIsNotHeardOf) {
    insert_generation("a");
    end_run("a", 1'000'000);
    execute("UPDATE runledger.generations SET metadata = metadata - 'run_id'");
    const auto application = another_connection();
    {
        pqxx::work work(db());
        work.exec(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "b"}')");
        work.commit();
    }
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations FOR UPDATE");

    EXPECT_EQ(settle("b"), "locked");
    lock.abort();
    EXPECT_EQ(settle("b"), "no_run");

    EXPECT_EQ(row(1), "pending|-|-|-|open");
}

// A program that gives the row to another run says so by its status, and can't empty each column.
TEST_F(Reopen, TakesARowThatIsPendingAgainForANewTryWhateverItsColumnsSay) {
    for (const char* also : {"", ", cost_usd = NULL", ", duration_ms = NULL, cost_note = NULL"}) {
        const std::string first = fmt::format("first{}", also);
        const std::string second = fmt::format("second{}", also);
        const auto id = insert_generation(first);
        end_run(first, 1'000'000);

        execute(
            fmt::format("UPDATE runledger.generations SET metadata = jsonb_set(metadata, '{{run_id}}', '\"{}\"'), "
                        "status = 'pending'{} WHERE id = {}",
                        second, also, id));
        EXPECT_EQ(row(id), "pending|-|-|-|open") << also;
        end_run(second, 2'000'000);

        EXPECT_EQ(row(id), fmt::format("completed|2000.000|0.000674000000|{}|ended", second));
        EXPECT_EQ(audit(id), fmt::format("{0} settled, {0} reopened, {1} settled", first, second));
    }
}

class DeletedRow : public Reopen {
protected:
    void SetUp() override {
        insert_metadata(R"({"run_id": "a", "gpu": "A10G", "telegramChatId": 42, "accountId": "acme"})");
        end_run("a", 1'000'000);
        ASSERT_EQ(row(1), "completed|1000.000|0.000337000000|a|ended");
    }
    // As an application that chooses its own ids.
    [[nodiscard]] static std::string inserts(const std::string& run, std::string_view chat = "43") {
        return fmt::format(
            R"(INSERT INTO runledger.generations (id, metadata) VALUES (1, '{{"run_id": "{}", "telegramChatId": {}, )"
            R"("costRate": {{"amount": 1, "currency": "USD", "unit": "run"}}}}');)",
            run, chat);
    }
    [[nodiscard]] std::string bill() {
        return value(
            "SELECT string_agg(concat_ws(' ', run_id, trim_scale(cost_usd)), ', ' ORDER BY run_id) FROM "
            "runledger.billed_runs_v1");
    }
};

TEST_F(DeletedRow, StaysBilledIfItsIdIsUsedAgain) {
    execute("DELETE FROM runledger.generations; " + inserts("b"));
    end_run("b", 2'000'000);
    end_run("a", 1'000'000);

    EXPECT_EQ(row(1), "completed|2000.000|1.000000000000|b|ended");
    EXPECT_EQ(audit(1), "a settled, b settled");
    EXPECT_EQ(bill(), "a 0.000337, b 1");
}

TEST_F(DeletedRow, IsSettledAgainIfItWasSavedByADeletionAndAnInsertion) {
    execute("DELETE FROM runledger.generations; " + inserts("a", "42"));

    EXPECT_EQ(row(1), "completed|1000.000|1.000000000000|a|ended");
    EXPECT_EQ(bill(), "a 1") << "once";
    EXPECT_EQ(told(), "1 a ending pending") << "once";
}

TEST_F(DeletedRow, HasNoSayInAnotherRowOfItsId) {
    execute(R"(DELETE FROM runledger.generations; INSERT INTO runledger.generations (id, metadata) VALUES
               (1, '{"groupId": "g"}'))");

    EXPECT_EQ(row(1), "pending|-|-|-|open");
    EXPECT_EQ(value("SELECT count(finished_at) FROM runledger.run_costs_v1"), "0");
    EXPECT_EQ(value("SELECT settled FROM runledger.group_costs_v1"), "0");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.repricing('A10G', '-infinity', 'infinity')"), "0");
}

TEST_F(DeletedRow, IsGoneWithATruncatedTableToo) {
    execute("TRUNCATE runledger.generations RESTART IDENTITY; " + inserts("b"));
    end_run("b", 2'000'000);

    EXPECT_EQ(row(1), "completed|2000.000|1.000000000000|b|ended");
    EXPECT_EQ(bill(), "a 0.000337, b 1");
}

// Else a settlement that it does not see would have a say in the row that gets the id.
TEST_F(DeletedRow, IsNotTruncatedWithASnapshotThatIsOlderThanItsSettlement) {
    const auto owner = another_connection();
    pqxx::work old(*owner);
    old.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM runledger.runs");
    EXPECT_EQ(insert_generation("second"), 2);
    end_run("second", 1'000'000);

    std::string refused;
    try {
        old.exec("TRUNCATE runledger.generations");
        old.commit();
    } catch (const pqxx::sql_error& error) {
        refused = error.what();
        old.abort();
        execute("TRUNCATE runledger.generations");
    }

    EXPECT_THAT(refused, testing::HasSubstr("READ COMMITTED, not REPEATABLE READ"));
    execute(R"(INSERT INTO runledger.generations (id, metadata) VALUES (2, '{"run_id": "third", "gpu": "A10G"}'))");
    end_run("third", 2'000'000);
    EXPECT_EQ(row(2), "completed|2000.000|0.000674000000|third|ended");
    EXPECT_EQ(audit(2), "second settled, third settled");
}

// The message that waits is for the person of the deleted row.
TEST_F(DeletedRow, GivesItsMessageNothingOfAnotherRow) {
    execute("DELETE FROM runledger.generations; " + inserts("b"));
    apply_events({{event_text({.run_id = "b", .status = "failed"}), 2'000'000}});
    work_off_queue();
    apply_events({{event_text({.run_id = "b", .status = "success"}), 1'000'000}});
    work_off_queue();

    EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', recipient, kind, payload ->> 'status', payload ->> 'cost_usd'), "
                    "', ' ORDER BY id) FROM runledger.notifications"),
              "42 ending completed 0.000337000000, 43 ending completed 1.000000000000");
}

// The application follows by LISTEN: what it hears is committed, and names the row.
TEST_F(Reopen, TellsListenersOfEachSettlementOnce) {
    std::vector<std::string> heard;
    const auto application = another_connection();
    const libpqxx::ChannelReceiver receiver(*application, "runledger_settled",
                                            [&](std::string_view payload, int) { heard.emplace_back(payload); });
    insert_generation("a");
    end_run("a", 1'000'000);
    end_run("a", 1'000'000);  // Nothing new.
    name_run(1, R"("b")");

    while (application->await_notification(1, 0) > 0) {
    }

    EXPECT_EQ(heard, (std::vector<std::string>{R"({"generation_id" : 1, "run_id" : "a", "status" : "completed"})",
                                               R"({"generation_id" : 1, "run_id" : "b", "status" : "pending"})"}));
}

}  // namespace
}  // namespace runledger::test
