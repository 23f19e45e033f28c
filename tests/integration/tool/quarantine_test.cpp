// `runledger quarantine list | show | replay`: what was set aside is stored once its cause is mended, exactly once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include "tests/integration/tool/ledger_tool_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Quarantine : public LedgerTool {
protected:
    // A constraint of ours that refuses some content stands for whatever the database may refuse.
    void poison_is_refused() {
        sql("ALTER TABLE runledger.webhook_events ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%poison%')");
    }
    void poison_is_taken() { sql("ALTER TABLE runledger.webhook_events DROP CONSTRAINT no_poison"); }

    void set_one_event_aside() {
        poison_is_refused();
        const MadeBatch batch({segment(1), 7}, {{event_text({.run_id = "a"}), 0},
                                                {event_text({.run_id = "a",
                                                             .status = "success",
                                                             .outputs = "[" + picture("p") + "]",
                                                             .live_status = "\"poison\""}),
                                                 2'000'000, true}});
        ASSERT_EQ(apply({&batch}, ApplyMode::one_by_one).events_quarantined, 1U);
    }

    [[nodiscard]] std::string open_id() {
        return value("SELECT id FROM runledger.quarantine WHERE resolved_at IS NULL ORDER BY id LIMIT 1");
    }
    // Promise 8's books: what is stored and what is set aside still.
    [[nodiscard]] std::string balance() {
        return rows(
            "SELECT events, quarantined_events, conflicting_batches, events_counted_in_runs "
            "FROM runledger.ledger_balance_v1");
    }
};

TEST_F(Quarantine, ListsAndShowsWhatIsSetAside) {
    set_one_event_aside();
    const std::string id = open_id();

    EXPECT_THAT(tool_says({"quarantine", "list"}), AllOf(HasSubstr("event"), HasSubstr(segment(1).hex() + "/7/1"),
                                                         HasSubstr("refused_by_database: 23514"), HasSubstr("1 rows")));
    EXPECT_THAT(tool_says({"quarantine", "show", id}),
                AllOf(HasSubstr("run         a\n"), HasSubstr("received    2025-08-29T02:35:40.000000Z\n"),
                      HasSubstr("\"live_status\": \"poison\"")));
    rapidjson::Document line;
    line.Parse(tool_says({"quarantine", "list", "--json"}).c_str());
    ASSERT_TRUE(line.IsObject());
    EXPECT_EQ(line["id"].GetInt64(), std::stoll(id));
    EXPECT_STREQ(line["scope"].GetString(), "event");
    EXPECT_EQ(line["event_index"].GetInt(), 1);
    EXPECT_TRUE(line["resolved_at"].IsNull());
}

// A replay is late as an event is.
TEST_F(Quarantine, StartsNoRunAnewThatRetentionHasRemoved) {
    insert_generation("a");
    set_one_event_aside();
    poison_is_taken();
    apply_events({{event_text({.run_id = "a", .status = "success"}), 3'000'000}});
    ASSERT_EQ(settle("a"), "settled");
    const std::string row = rows("SELECT duration_ms, cost_usd FROM runledger.generations");
    sql("DELETE FROM runledger.settle_queue; DELETE FROM runledger.runs");

    EXPECT_THAT(tool_says({"quarantine", "replay", open_id()}, 3), HasSubstr("run_removed"));

    EXPECT_EQ(count("runs"), 0);
    EXPECT_EQ(rows("SELECT duration_ms, cost_usd FROM runledger.generations"), row);
}

TEST_F(Quarantine, BringsNobodyBackWhoWasForgotten) {
    const std::int64_t generation = insert_generation("run-1");
    poison_is_refused();
    const MadeBatch batch({segment(1), 7},
                          {{event_text({.status = "running"}), 0},
                           {event_text({.status = "success", .live_status = "\"poison\""}), 2'000'000}});
    ASSERT_EQ(apply({&batch}, ApplyMode::one_by_one).events_quarantined, 1U);
    poison_is_taken();
    // Found neither by a column nor by its bytes, which escape it.
    sql(R"(UPDATE runledger.quarantine SET run_id = NULL, content =
           convert_to(replace(convert_from(content, 'UTF8'), '"run_id": "run-1"', '"run_id": "\u0072un-1"'), 'UTF8'))");
    sql(fmt::format("SELECT runledger.forget_generation({})", generation));
    ASSERT_EQ(count("quarantine WHERE position('poison'::bytea IN content) > 0"), 1);

    tool_says({"quarantine", "replay", open_id()});

    EXPECT_EQ(count("webhook_events"), 2);
    EXPECT_EQ(count("webhook_events WHERE run_id = 'run-1' OR body LIKE '%poison%'"), 0);
    EXPECT_EQ(rows("SELECT run_id = runledger.pseudonym_of('run-1'), terminal_status, finished_live_status "
                   "FROM runledger.runs"),
              "t|success|NULL\n");
}

TEST_F(Quarantine, ShowsNoQueryStringsOfLinksUnlessAskedFor) {
    apply_events({{"no json: https://x.example/a.png?sig=SECRET \"http://y/b?t=SECRET\" plain?text", 0}});

    EXPECT_THAT(tool_says({"quarantine", "show", open_id()}),
                AllOf(HasSubstr("https://x.example/a.png?… \"http://y/b?…\" plain?text"), Not(HasSubstr("SECRET"))));
    EXPECT_EQ(tool_says({"quarantine", "show", open_id(), "--raw"}),
              "no json: https://x.example/a.png?sig=SECRET \"http://y/b?t=SECRET\" plain?text");
}

TEST_F(Quarantine, ReplaysAnEventUnderItsOwnNameOnce) {
    set_one_event_aside();
    insert_generation("a");
    const std::string id = open_id();
    EXPECT_EQ(balance(), "1|1|0|1\n");
    EXPECT_THAT(tool_says({"quarantine", "replay", id}, 3), HasSubstr("refused"));
    EXPECT_EQ(balance(), "1|1|0|1\n") << "the cause is not mended";
    poison_is_taken();

    EXPECT_THAT(tool_says({"quarantine", "replay", id}), HasSubstr("stored"));
    EXPECT_THAT(tool_says({"quarantine", "replay", id}), HasSubstr("resolved at"));

    EXPECT_EQ(balance(), "2|0|0|2\n");
    EXPECT_EQ(rows("SELECT replace(segment_id::text, '-', ''), batch_number, event_index, redelivered, edge, "
                   "boottime_us, status FROM runledger.webhook_events WHERE event_index = 1"),
              segment(1).hex() + "|7|1|t|edge-1|3000000|success\n");
    EXPECT_EQ(rows("SELECT terminal_status, finished_redelivered, event_count FROM runledger.runs"), "success|t|2\n");
    EXPECT_EQ(count("run_outputs"), 1);
    EXPECT_EQ(settle("a"), "settled");
    EXPECT_EQ(value("SELECT duration_ms FROM runledger.generations"), "2000.000");
    EXPECT_EQ(rows("SELECT resolution, resolved_at IS NOT NULL FROM runledger.quarantine"), "stored as an event|t\n");
}

TEST_F(Quarantine, KnowsAnEventThatTheLedgerGotOtherwise) {
    set_one_event_aside();
    const std::string id = open_id();
    poison_is_taken();
    sql(fmt::format(
        "INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, "
        "boot_id, boottime_us, redelivered, run_id, event_type, status, body) "
        "SELECT segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, true, run_id, "
        "'run.updated', 'success', '{{}}' FROM runledger.quarantine WHERE id = {}",
        id));

    EXPECT_THAT(tool_says({"quarantine", "replay", id}), HasSubstr("known"));

    EXPECT_EQ(count("webhook_events WHERE event_index = 1"), 1);
}

TEST_F(Quarantine, ReplaysEverythingAndSaysWhatIsStillRefused) {
    set_one_event_aside();
    apply_events({{"not json at all", 0}});
    poison_is_taken();

    const std::string said = tool_says({"quarantine", "replay", "--all"}, 3);

    EXPECT_THAT(said, AllOf(HasSubstr("stored"), HasSubstr("body_not_json")));
    EXPECT_EQ(count("quarantine WHERE resolved_at IS NULL"), 1);
    EXPECT_THAT(tool_says({"quarantine", "list", "--resolved"}), HasSubstr("resolved: stored as an event"));
}

TEST_F(Quarantine, FillsInAnOutputThatCanBeHeldNow) {
    const std::string ours = value("SELECT pg_get_functiondef('runledger.try_jsonb(text)'::regprocedure)");
    sql("CREATE OR REPLACE FUNCTION runledger.try_jsonb(body text, OUT value jsonb, OUT reason text) LANGUAGE plpgsql "
        "IMMUTABLE AS $$ BEGIN value := body::jsonb; EXCEPTION WHEN data_exception THEN reason := SQLERRM; END $$");
    apply_events(
        {{event_text(
              {.status = "success",
               .outputs = R"([{"id": "bad", "data": {"text": [NaN]}}, {"id": "odd", "data": {"text": ["\ud800"]}}])"}),
          0}});
    ASSERT_EQ(count("quarantine WHERE scope = 'output'"), 2);
    const std::string nan = value("SELECT id FROM runledger.quarantine WHERE content LIKE '%NaN%'");
    EXPECT_THAT(tool_says({"quarantine", "replay", nan}, 3), HasSubstr("output_not_jsonb"));
    // A newer build's function holds more.
    sql(ours);

    const std::int64_t queued = count("settle_queue");

    EXPECT_THAT(tool_says({"quarantine", "replay", nan}), HasSubstr("stored"));

    EXPECT_EQ(rows("SELECT output_key, output -> 'data' FROM runledger.run_outputs ORDER BY output_key"),
              "bad|{\"text\": [null]}\nodd|{\"text\": [\"\uFFFD\"]}\n");
    EXPECT_EQ(count("quarantine"), 2) << "neither is set aside twice";
    EXPECT_EQ(count("quarantine WHERE resolved_at IS NULL"), 1);
    EXPECT_EQ(count("settle_queue"), queued + 1) << "the row is to be settled anew";
}

TEST_F(Quarantine, ReplaysTheOutputsOfAnEventThatWasStoredWithoutThem) {
    sql("ALTER TABLE runledger.run_outputs ADD CONSTRAINT no_poison CHECK (output_key <> 'poison')");
    const MadeBatch batch({segment(1), 0},
                          {{event_text({.status = "success", .outputs = "[" + picture("poison") + "]"}), 0}});
    (void)apply({&batch}, ApplyMode::one_by_one);
    EXPECT_THAT(tool_says({"quarantine", "replay", "--all"}, 3), HasSubstr("refused_by_database: 23514"));
    sql("ALTER TABLE runledger.run_outputs DROP CONSTRAINT no_poison");

    EXPECT_THAT(tool_says({"quarantine", "replay", "--all"}), HasSubstr("stored"));

    EXPECT_EQ(rows("SELECT output_key FROM runledger.run_outputs"), "poison\n");
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs"), "1");
}

// Two hosts made of one image can give a segment one id: both batches are news.
TEST_F(Quarantine, AppliesABatchWhoseNameIsTakenUnderOneOfItsOwnOnce) {
    const MadeBatch first({segment(1), 0}, {{event_text({.run_id = "a"}), 0}});
    const MadeBatch other({segment(1), 0}, {{event_text({.run_id = "b"}), 3},
                                            {event_text({.run_id = "b", .status = "success"}), 9, true}});
    apply({&first});
    apply({&other});
    apply({&other});  // It comes again: the edge keeps it.
    ASSERT_EQ(balance(), "1|0|2|1\n");
    EXPECT_THAT(tool_says({"quarantine", "show", open_id()}),
                AllOf(HasSubstr("scope       batch"), HasSubstr("\"status\": \"success\"")));

    const std::string said = tool_says({"quarantine", "replay", "--all"});

    EXPECT_THAT(said, AllOf(HasSubstr("applied as"), HasSubstr("the ledger has the batch already")));
    EXPECT_EQ(balance(), "3|0|0|3\n");
    EXPECT_EQ(
        rows("SELECT terminal_status, finished_redelivered, event_count, finished_boottime_us FROM runledger.runs "
             "WHERE run_id = 'b'"),
        "success|t|2|1000009\n");
    EXPECT_EQ(rows("SELECT encode(digest, 'hex') = replace(segment_id::text, '-', '') FROM runledger.ingested_batches "
                   "WHERE segment_id <> '01010101-0101-0101-0101-010101010101'"),
              "t\n");
}

TEST_F(Quarantine, AppliesABatchUnderItsOwnNameWhereThatIsFreeAgain) {
    const MadeBatch first({segment(1), 0}, {{event_text({.run_id = "a"}), 0}});
    const MadeBatch other({segment(1), 0}, {{event_text({.run_id = "b"}), 3}});
    apply({&first});
    apply({&other});
    sql("DELETE FROM runledger.ingested_batches");

    EXPECT_THAT(tool_says({"quarantine", "replay", "--all"}), HasSubstr("applied as " + segment(1).hex() + "/0"));

    EXPECT_EQ(count("runs WHERE run_id = 'b'"), 1);
}

TEST_F(Quarantine, NamesWhatItDoesNotFind) {
    EXPECT_THAT(tool_says({"quarantine", "show", "42"}, 3), HasSubstr("quarantine has no row 42"));
    EXPECT_THAT(tool_says({"quarantine", "replay", "42"}, 3), HasSubstr("quarantine has no row 42"));
    EXPECT_THAT(tool_says({"quarantine", "replay"}, 2), HasSubstr("name the rows' ids, or --all"));
    EXPECT_THAT(tool_says({"quarantine", "replay", "--all"}), Not(HasSubstr("stored")));
}

}  // namespace
}  // namespace runledger::test
