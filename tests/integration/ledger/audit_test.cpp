// `runledger audit`: the books close whatever came, and stay closed when the rows that they count are gone by rule;
// what is gone without one is named.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/daemon_process.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Audit : public Ledger {
protected:
    Audit() : daemon_(folder_, DaemonConf{.postgres_uri = owner_uri()}) {}

    [[nodiscard]] Finished audit(std::vector<std::string> words = {}) const {
        words.insert(words.begin(), "audit");
        return daemon_.tool(std::move(words));
    }

    void expect_closes(std::string_view sentence) {
        const Finished said = audit();
        EXPECT_EQ(said.status.code, 0) << said.output;
        EXPECT_THAT(said.output, HasSubstr(fmt::format("the books close: {}", sentence)));
    }
    void expect_does_not_close(const std::string& finding) {
        const Finished said = audit();
        EXPECT_EQ(said.status.code, 3) << said.output;
        EXPECT_THAT(said.output, HasSubstr("DOES NOT ADD UP: " + finding));
        EXPECT_THAT(said.output, HasSubstr("the books DO NOT CLOSE"));
    }

    [[nodiscard]] std::string yesterday() { return value("SELECT (now() AT TIME ZONE 'UTC')::date - 1"); }

    void execute(const std::string& statements) {
        pqxx::work work(db());
        work.exec(statements);
        work.commit();
    }

    void retire(std::uint8_t number, std::uint64_t batches) {
        pqxx::work work(db());
        ASSERT_TRUE(write_retirement(work, {.segment = segment(number), .batch_count = batches}));
        work.commit();
    }

    // Segment 1: three events, one of them no event, twice. Segment 2: two events, and another batch of the same name.
    void apply_some_of_everything() {
        const MadeBatch first({segment(1), 0},
                              {{event_text({}), 0}, {"not json", 1}, {event_text({.status = "success"}), 2}});
        const MadeBatch second({segment(2), 0},
                               {{event_text({.run_id = "run-2"}), 0}, {event_text({.run_id = "run-3"}), 1}});
        const MadeBatch conflict({segment(2), 0}, {{event_text({.run_id = "run-9"}), 0}});
        apply({&first, &second});
        apply({&first});
        apply({&conflict});
    }

    // As if all that is there had come forty days ago, on a day that has a partition; today has one, too.
    void make_it_forty_days_old() {
        execute(
            "DO $$ DECLARE old date := (now() AT TIME ZONE 'UTC')::date - 40; "
            "today date := (now() AT TIME ZONE 'UTC')::date; BEGIN "
            "EXECUTE format('CREATE TABLE runledger.events_old PARTITION OF runledger.webhook_events "
            "FOR VALUES FROM (%L) TO (%L)', old::timestamp AT TIME ZONE 'UTC', (old + 1)::timestamp AT TIME ZONE "
            "'UTC'); "
            "UPDATE runledger.webhook_events SET applied_at = applied_at - interval '40 days'; "
            "UPDATE runledger.ingested_batches SET applied_at = applied_at - interval '40 days'; "
            "UPDATE runledger.quarantine SET quarantined_at = quarantined_at - interval '40 days'; "
            "UPDATE runledger.ledger_days SET day = day - 40; "
            "EXECUTE format('CREATE TABLE runledger.events_today PARTITION OF runledger.webhook_events "
            "FOR VALUES FROM (%L) TO (%L)', today::timestamp AT TIME ZONE 'UTC', "
            "(today + 1)::timestamp AT TIME ZONE 'UTC'); END $$");
    }

private:
    TempFolder folder_;
    DaemonProcess daemon_;
};

constexpr std::string_view all_of_it = "9 stored = 4 applied + 3 duplicate + 2 quarantined";

TEST_F(Audit, ClosesWhateverCame) {
    apply_some_of_everything();

    expect_closes(all_of_it);
    EXPECT_EQ(audit({"--segments"}).status.code, 0);
}

TEST_F(Audit, ClosesWithWhatTheDatabaseRefused) {
    execute("ALTER TABLE runledger.webhook_events ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%poison%')");
    const MadeBatch batch({segment(1), 0},
                          {{event_text({}), 0}, {event_text({.live_status = "\"poison\""}), 1}, {"not json", 2}});

    apply({&batch}, ApplyMode::one_by_one);

    expect_closes("3 stored = 1 applied + 0 duplicate + 2 quarantined");
}

TEST_F(Audit, ClosesWhenSegmentsAreRetiredAndLateCopiesCome) {
    apply_some_of_everything();
    retire(1, 1);
    retire(2, 1);
    ASSERT_EQ(count("ingested_batches"), 0);
    expect_closes(all_of_it);
    const MadeBatch late({segment(2), 0}, {{event_text({.run_id = "run-2"}), 0}, {event_text({.run_id = "run-3"}), 1}});
    const MadeBatch impossible({segment(2), 7}, {{event_text({}), 0}});

    apply({&late, &impossible});

    expect_closes("12 stored = 4 applied + 5 duplicate + 3 quarantined");
}

TEST_F(Audit, ClosesWhenPartitionsAreDropped) {
    apply_some_of_everything();
    make_it_forty_days_old();
    retire(1, 1);
    retire(2, 1);
    apply_events({{event_text({.run_id = "run-new"}), 0}});
    expect_closes("10 stored = 5 applied + 3 duplicate + 2 quarantined");

    execute("DROP TABLE runledger.events_old");

    expect_closes("10 stored = 5 applied + 3 duplicate + 2 quarantined");
    EXPECT_THAT(audit().output, HasSubstr("2 entries are of dropped partitions"));
    EXPECT_THAT(audit({"--since", yesterday()}).output, HasSubstr("the books close: 1 stored = 1 applied"));
}

TEST_F(Audit, SaysWhatWasDeletedAndCloses) {
    apply_some_of_everything();

    execute(
        "DELETE FROM runledger.webhook_events WHERE run_id = 'run-2'; DELETE FROM runledger.runs WHERE run_id = "
        "'run-2'; "
        "DELETE FROM runledger.quarantine");

    expect_closes(all_of_it);
    EXPECT_THAT(audit({"--segments"}).output, HasSubstr("1 events deleted, 1 deleted from quarantine"));
    EXPECT_EQ(value("SELECT string_agg(from_table || ' ' || events, ', ' ORDER BY id) FROM runledger.ledger_removals "
                    "WHERE removed_by = session_user"),
              "webhook_events 1, runs 1, quarantine 1, quarantine 1");
}

TEST_F(Audit, ClosesWhenAQuarantinedEventIsStoredAfterAll) {
    apply_some_of_everything();
    retire(1, 1);

    execute(
        "INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, boot_id, "
        "boottime_us, redelivered, run_id, event_type, status, body) "
        "SELECT segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, false, 'run-2', "
        "'run.updated', 'running', 'mended' FROM runledger.quarantine WHERE scope = 'event'; "
        "UPDATE runledger.runs SET event_count = event_count + 1 WHERE run_id = 'run-2'; "
        "SELECT runledger.note_replayed_event(segment_id, batch_number, event_index) "
        "FROM runledger.quarantine WHERE scope = 'event'");

    expect_closes(all_of_it);
    EXPECT_THAT(audit({"--segments"}).output, HasSubstr("1 replayed from quarantine"));
}

struct Loss {
    const char* name;
    const char* statement;
    const char* finding;
};
void PrintTo(const Loss& loss, std::ostream* out) { *out << loss.name; }

class AuditOf : public Audit, public testing::WithParamInterface<Loss> {};

TEST_P(AuditOf, NamesWhatDoesNotAddUp) {
    apply_some_of_everything();
    retire(1, 1);
    expect_closes(all_of_it);

    execute(GetParam().statement);

    expect_does_not_close(GetParam().finding);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, AuditOf,
    testing::Values(
        Loss{"truncated_events", "TRUNCATE runledger.webhook_events",
             "segment 01010101010101010101010101010101 of edge-1 on "},
        Loss{"event_deleted_past_the_triggers", "DELETE FROM runledger.webhook_events_default WHERE run_id = 'run-3'",
             "segment 02020202020202020202020202020202 of edge-1 on "},
        Loss{"event_twice",
             "INSERT INTO runledger.webhook_events SELECT * FROM runledger.webhook_events WHERE run_id = 'run-3'",
             "segment 02020202020202020202020202020202 of edge-1 on "},
        Loss{"quarantine_truncated", "TRUNCATE runledger.quarantine",
             "segment 01010101010101010101010101010101 of edge-1 on "},
        Loss{"run_that_counts_too_much",
             "UPDATE runledger.runs SET event_count = event_count + 1 WHERE run_id = 'run-2'",
             "4 applied in all, but the runs have counted 5"},
        Loss{"run_gone_past_the_triggers",
             "ALTER TABLE runledger.runs DISABLE TRIGGER USER; DELETE FROM runledger.runs WHERE run_id = 'run-3'",
             "4 applied in all, but the runs have counted 3"},
        Loss{"books_lost", "DELETE FROM runledger.ledger_days WHERE applied > 0",
             "segment 01010101010101010101010101010101 of edge-1 was retired with 1 batches, but the books have "
             "applied 0"}),
    [](const auto& loss) { return std::string(loss.param.name); });

// The books are of events; money is in rows.
TEST_F(Audit, NamesRowsThatAreNotAsTheyWereSettled) {
    for (const std::string run : {"run-1", "run-2", "run-3"}) {
        insert_generation(run);
        apply_events({{event_text({.run_id = run}), 0}, {event_text({.run_id = run, .status = "success"}), 2'000'000}});
        ASSERT_EQ(settle(run), "settled");
    }
    EXPECT_EQ(audit().status.code, 0);

    execute(
        "UPDATE runledger.generations SET cost_usd = 7, status_reason = 'looked at' WHERE run_id = 'run-2'; "
        "DELETE FROM runledger.generations WHERE run_id = 'run-3'");

    const Finished said = audit();
    EXPECT_EQ(said.status.code, 3);
    EXPECT_THAT(said.output, HasSubstr("the books close"));
    EXPECT_THAT(said.output,
                HasSubstr("NOT AS SETTLED: generation 2, run run-2: status_reason, cost_usd differ from what was "
                          "settled (completed, 0.000674000000 USD); the row says completed, 7 USD\n"));
    EXPECT_THAT(
        said.output,
        HasSubstr("NOT AS SETTLED: generation 3, run run-3: it is gone; settled: completed, 0.000674000000 USD\n"));
    EXPECT_THAT(said.output, HasSubstr("2 generations are not as they were settled\n"));
    EXPECT_THAT(audit({"--json"}).output, HasSubstr(R"("rows_not_as_settled":2)"));
    execute("UPDATE runledger.settlements SET settled_at = settled_at - interval '40 days'");
    EXPECT_EQ(audit({"--since", yesterday()}).status.code, 0);

    // Given back; and the run of the one that is gone is another's now.
    execute("UPDATE runledger.generations SET cost_usd = 0.000674, status_reason = NULL WHERE run_id = 'run-2'");
    insert_generation("run-3");
    ASSERT_EQ(settle("run-3"), "settled");

    EXPECT_EQ(audit().status.code, 0) << audit().output;
}

TEST_F(Audit, SaysOfWhichEdgesItCannotKnowTheNewest) {
    apply_some_of_everything();
    retire(1, 1);

    const Finished said = audit();

    EXPECT_THAT(said.output, HasSubstr("edge edge-1 has 1 open segment; the newest of their batches here: 20"));
    EXPECT_THAT(said.output, HasSubstr("what edges hold and have not sent is not in these books"));
    EXPECT_THAT(audit({"--json"}).output,
                HasSubstr(R"("open_edges":[{"edge":"edge-1","segments":1,"last_applied_at":"20)"));
}

TEST_F(Audit, SpeaksJson) {
    apply_some_of_everything();

    const Finished said = audit({"--json"});

    EXPECT_EQ(said.status.code, 0);
    EXPECT_THAT(said.output,
                HasSubstr(R"({"closes":true,"batches":2,"stored":9,"applied":4,"duplicate":3,"quarantined":2,)"));
}

TEST_F(Audit, RefusesWhatItCantDo) {
    EXPECT_EQ(audit({"--since", "yesterday"}).status.code, 2);
    const Finished later = audit({"--since", "2999-01-01"});
    EXPECT_EQ(later.status.code, 2);
    EXPECT_THAT(later.output, AllOf(HasSubstr("--since 2999-01-01 has not come yet"), Not(HasSubstr("close"))));
    EXPECT_EQ(audit({"--spool", "/nowhere"}).status.code, 2);
    const Finished elsewhere = audit({"--spool", "/usr"});
    EXPECT_EQ(elsewhere.status.code, 1);
    EXPECT_THAT(elsewhere.output, AllOf(HasSubstr("is not the folder of runledger_spool"), Not(HasSubstr("close"))));
    execute("ALTER TABLE runledger.ledger_days RENAME TO elsewhere");
    const Finished said = audit();
    EXPECT_EQ(said.status.code, 1);
    EXPECT_THAT(said.output, HasSubstr("runledger: "));
    EXPECT_THAT(said.output, Not(HasSubstr("close")));
}

}  // namespace
}  // namespace runledger::test
