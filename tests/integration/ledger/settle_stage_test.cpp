// What the stage hands to SQL, with real Settlers: the unit of each setting, and which runs are settled together.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/listening.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

constexpr std::int64_t hour_us = 3'600'000'000;

class SettleStage : public Ledger {
protected:
    void end_run(const std::string& run_id, std::int64_t duration_us, const std::string& outputs = "[]") {
        apply_events({{event_text({.run_id = run_id}), 0},
                      {event_text({.run_id = run_id, .status = "success", .outputs = outputs}), duration_us}});
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    // By settlers that find the whole queue when they start: one turn for all of it.
    void work_off_queue() {
        const RunningSettlers settlers(uri());
        eventually("the queue is empty", [&] { return count("settle_queue") == 0; });
    }
    [[nodiscard]] std::string row(std::int64_t generation) {
        return value(fmt::format(
            "SELECT concat_ws('|', status, coalesce(duration_ms::text, '-'), coalesce(cost_usd::text, '-')) "
            "FROM runledger.generations WHERE id = {}",
            generation));
    }
};

TEST_F(SettleStage, BelievesADurationOfHoursAtFirstAndWhenItChanges) {
    insert_generation("long");
    end_run("long", 2 * hour_us);
    work_off_queue();
    ASSERT_EQ(row(1), "completed|7200000.000|2.426400000000");

    apply_events({{event_text({.run_id = "long"}), -hour_us}});
    work_off_queue();

    EXPECT_EQ(row(1), "completed|10800000.000|3.639600000000");
}

TEST_F(SettleStage, SettlesBySettingsThatChangeWhileItRuns) {
    RunningSettlers settlers(uri());
    insert_generation("before");
    end_run("before", 2 * hour_us);
    eventually("the queue is empty", [&] { return count("settle_queue") == 0; });

    settlers.use({.duration_max = std::chrono::hours{1}});
    insert_generation("after");
    end_run("after", 2 * hour_us);
    eventually("the queue is empty", [&] { return count("settle_queue") == 0; });

    EXPECT_EQ(row(1), "completed|7200000.000|2.426400000000");
    EXPECT_EQ(row(2), "completed|-|-");
}

TEST_F(SettleStage, WaitsThreeSecondsForOutputsWhetherRunsAreSettledTogetherOrOneByOne) {
    insert_generation("together");
    end_run("together", 1'000'000);
    work_off_queue();

    // One row of the turn is refused, so that each is settled by itself.
    execute(
        "ALTER TABLE runledger.generations ADD CONSTRAINT never_done "
        "CHECK (metadata ->> 'run_id' <> 'refused' OR status <> 'completed')");
    insert_generation("alone");
    insert_generation("refused");
    end_run("alone", 1'000'000);
    end_run("refused", 1'000'000);
    const RunningSettlers settlers(uri());
    eventually("the willing run is settled", [&] { return count("settlements") == 2; });

    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || extract(epoch FROM not_before - created_at)::integer, ', ' "
                    "ORDER BY id) FROM runledger.notifications"),
              "together 3, alone 3");
}

TEST_F(SettleStage, CountsARunThatIsGivenToAnotherRowOnce) {
    insert_generation("moved");
    end_run("moved", 1'000'000);
    work_off_queue();

    insert_generation("other");
    end_run("other", 1'000'000);
    insert_metadata(R"({"telegramChatId": 43, "costRate": {"amount": 1, "currency": "USD", "unit": "run"}})");
    execute(R"(UPDATE runledger.generations SET metadata = metadata - 'run_id' WHERE id = 1;
               UPDATE runledger.generations SET metadata = metadata || '{"run_id": "moved"}' WHERE id = 3)");
    work_off_queue();

    EXPECT_EQ(row(1), "pending|-|-");
    EXPECT_EQ(row(2), "completed|1000.000|0.000337000000");
    EXPECT_EQ(row(3), "completed|1000.000|1.000000000000");
}

TEST_F(SettleStage, LeavesARowAnyOfWhoseSettledColumnsWasEditedByHand) {
    const std::vector<std::string> edits{"status = 'failed'",
                                         "status_reason = 'x'",
                                         "response_timestamp = now()",
                                         "duration_ms = 1",
                                         "cost_usd = cost_usd * 2",
                                         "cost_note = 'no_running_event'",
                                         "response_payload = '{\"outputs\": []}'"};
    for (std::size_t i = 0; i < edits.size(); ++i) {
        insert_generation(fmt::format("run-{}", i));
        end_run(fmt::format("run-{}", i), 1'000'000, "[" + picture("a") + "]");
    }
    work_off_queue();
    for (std::size_t i = 0; i < edits.size(); ++i) {
        execute(fmt::format("UPDATE runledger.generations SET {} WHERE run_id = 'run-{}'", edits[i], i));
        apply_events({{event_text({.run_id = fmt::format("run-{}", i)}), -1'000'000}});
    }
    work_off_queue();

    for (std::size_t i = 0; i < edits.size(); ++i) {
        EXPECT_EQ(value(fmt::format("SELECT string_agg(outcome, ', ' ORDER BY id) FROM runledger.settlements "
                                    "WHERE run_id = 'run-{}'",
                                    i)),
                  "settled, edited_by_hand")
            << edits[i];
    }
    EXPECT_EQ(count("settlements WHERE is_replaced"), 0) << "what was settled still stands in the row's history";
}

TEST_F(SettleStage, SaysThatTheCostChangedWhereARateIsRepaired) {
    insert_metadata(R"({"run_id": "repaired"})");
    end_run("repaired", 1'000'000);
    work_off_queue();

    execute(R"(UPDATE runledger.generations SET metadata = metadata ||
               '{"costRate": {"amount": 1, "currency": "USD", "unit": "run"}}')");
    work_off_queue();

    EXPECT_EQ(value("SELECT why FROM runledger.settlements ORDER BY id DESC LIMIT 1"), "cost changed");
}

TEST_F(SettleStage, WithdrawsARunFromItsOldRowOnceHoweverMuchMoreIsHeardOfIt) {
    insert_generation("a");
    end_run("a", 1'000'000);
    work_off_queue();
    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "b"}')");
    work_off_queue();

    apply_events({{event_text({.run_id = "a"}), -1'000'000}});
    work_off_queue();

    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || outcome, ', ' ORDER BY id) FROM runledger.settlements"),
              "a settled, a reopened");
}

TEST_F(SettleStage, KeepsTheOrderOfTheOutputs) {
    insert_generation("b-first");
    end_run("b-first", 1'000'000, "[" + picture("b") + ", " + picture("a") + ", " + picture("c") + "]");
    work_off_queue();

    EXPECT_EQ(value("SELECT string_agg(o ->> 'id', ' ' ORDER BY place) FROM runledger.generations, "
                    "jsonb_array_elements(response_payload -> 'outputs') WITH ORDINALITY AS e (o, place)"),
              "b a c");
}

TEST_F(SettleStage, CountsTheAttemptsOfARowThatIsRefusedAndPutsItOffForLongerEachTime) {
    execute("ALTER TABLE runledger.generations ADD CONSTRAINT never_done CHECK (status <> 'completed')");
    insert_generation("refused");
    end_run("refused", 1'000'000);
    const RunningSettlers settlers(uri());

    eventually("it is tried four times", [&] { return count("settle_queue WHERE attempts >= 4") > 0; });

    EXPECT_EQ(count("settle_queue WHERE due_at > clock_timestamp() + interval '1 minute'"), 0);
    EXPECT_EQ(count("settle_queue WHERE last_error LIKE 'failed: %never_done%'"), count("settle_queue"));
}

// Whatever the application's key is: of 9000 bytes, and of 200 that are 1200 in JSON.
TEST_F(SettleStage, SettlesARowWhoseKeyFitsIntoNoNotification) {
    Listening listening(listeners_uri(), "runledger_settled");
    insert_generation("long");
    insert_generation("controls");
    insert_generation("other");
    execute(
        "UPDATE runledger.generations SET application_id = CASE run_id WHEN 'long' THEN repeat('x', 9000) "
        "WHEN 'controls' THEN repeat(chr(1), 200) ELSE 'short' END");
    for (const auto* const run : {"long", "controls", "other"}) {
        end_run(run, 1'000'000);
    }

    work_off_queue();

    EXPECT_EQ(count("generations WHERE status = 'completed'"), 3);
    EXPECT_THAT(listening.take(), testing::UnorderedElementsAre(
                                      R"({"generation_id" : 1, "run_id" : "long", "status" : "completed"})",
                                      R"({"generation_id" : 2, "run_id" : "controls", "status" : "completed"})",
                                      R"({"generation_id" : "short", "run_id" : "other", "status" : "completed"})"));
    EXPECT_EQ(value("SELECT string_agg(payload ->> 'generation_id', ' ' ORDER BY generation_id) FROM "
                    "runledger.notifications"),
              "1 2 short");
}

// A run whose settlement fails, and of which the application can't be told either.
TEST_F(SettleStage, PutsOffARunThatFailsEvenIfItsNewsAreRefused) {
    execute(R"(
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE invalid_parameter_value USING MESSAGE = 'refused: ' || TG_TABLE_NAME; END $$;
        ALTER TABLE runledger.generations ADD CONSTRAINT not_this CHECK (run_id <> 'poison' OR status <> 'completed');
        CREATE TRIGGER refuse BEFORE INSERT ON runledger.application_news
            FOR EACH ROW EXECUTE FUNCTION public.refuse())");
    insert_generation("poison");
    end_run("poison", 1'000'000);
    const RunningSettlers settlers(uri());
    eventually("it is put off", [&] { return count("settle_queue WHERE attempts > 1") > 0; });

    insert_generation("other");
    end_run("other", 1'000'000);

    eventually("others are settled", [&] { return count("generations WHERE status = 'completed'") == 1; });
    EXPECT_GT(count("settle_queue WHERE last_error LIKE 'failed%refused: application_news%'"), 0);
}

TEST_F(SettleStage, KeepsOnlyTheBeginningOfALongRefusal) {
    execute(R"(
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '%', repeat('no', 1000000); END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON runledger.generations FOR EACH ROW EXECUTE FUNCTION public.refuse())");
    insert_generation("refused");
    end_run("refused", 1'000'000);
    const RunningSettlers settlers(uri());

    eventually("it is refused", [&] { return count("settle_queue WHERE attempts > 0") > 0; });

    EXPECT_EQ(value("SELECT max(length(last_error)) FROM runledger.settle_queue"), "1000");
}

// Its own text stays in the row; the audit and webhooks have the beginning.
TEST_F(SettleStage, BoundsTheReasonThatTheApplicationWrote) {
    execute(
        "INSERT INTO runledger.webhook_settings (to_url, host_suffixes, metadata_keys, events) "
        "VALUES (true, '{}', '{}', '{settled}');"
        "INSERT INTO runledger.generations (metadata, status, status_reason) "
        "VALUES ('{\"run_id\": \"kept\"}', 'failed', repeat('why ', 500000))");
    end_run("kept", 1'000'000);
    work_off_queue();
    apply_events({{event_text({.run_id = "kept"}), -1'000'000}});
    work_off_queue();

    EXPECT_EQ(
        value("SELECT string_agg(outcome || ' ' || length(status_reason) || ' ' || length(before::text) / 2000, ', ' "
              "ORDER BY id) FROM runledger.settlements"),
        "kept 1000 0, kept 1000 0");
    EXPECT_EQ(value("SELECT max(length(payload::text)) < 4000 FROM runledger.notifications WHERE channel = 'webhook'"),
              "t");
    EXPECT_EQ(value("SELECT length(status_reason) FROM runledger.generations"), "2000000");
    execute("DELETE FROM runledger.webhook_settings");
}

TEST_F(SettleStage, LeavesAnEntryThatIsNotDue) {
    insert_generation("later");
    insert_generation("now");
    end_run("later", 1'000'000);
    end_run("now", 1'000'000);
    execute(
        "UPDATE runledger.settle_queue SET attempts = 1, due_at = clock_timestamp() + interval '1 hour' "
        "WHERE run_id = 'later'");
    const RunningSettlers settlers(uri());

    eventually("the one that is due is settled", [&] { return count("settle_queue WHERE run_id = 'now'") == 0; });

    EXPECT_EQ(row(1), "pending|-|-");
    EXPECT_GT(count("settle_queue WHERE run_id = 'later'"), 0);
}

}  // namespace
}  // namespace runledger::test
