#include <gmock/gmock.h>

#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST_F(Ledger, StoresEachEventOfABatchAsItCame) {
    const std::string body = event_text({.status = "running", .live_status = "\"Executing KSampler\""});
    const MadeBatch batch({segment(1), 0}, {{body, 5, true}, {event_text({.status = "queued"}), 0}});

    const TurnResult result = apply({&batch});

    EXPECT_THAT(result.batch_results, ElementsAre(BatchResult::applied));
    EXPECT_EQ(result.events_applied, 2U);
    EXPECT_EQ(count("webhook_events"), 2);
    EXPECT_EQ(value("SELECT body FROM runledger.webhook_events WHERE event_index = 0"), body);
    EXPECT_EQ(
        value("SELECT concat_ws('|', edge, redelivered, boottime_us, status, run_id, extract(epoch FROM received_at)) "
              "FROM runledger.webhook_events WHERE event_index = 0"),
        "edge-1|t|1000005|running|run-1|1756434938.000005");
}

TEST_F(Ledger, AppliesACopyOnce) {
    const MadeBatch batch({segment(1), 0}, {{event_text({}), 0}});

    const TurnResult first = apply({&batch});
    const TurnResult second = apply({&batch});

    EXPECT_THAT(first.batch_results, ElementsAre(BatchResult::applied));
    EXPECT_THAT(second.batch_results, ElementsAre(BatchResult::copy));
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs"), "1");
    EXPECT_EQ(value("SELECT copies FROM runledger.ingested_batches"), "1");
}

TEST_F(Ledger, KeepsABatchWhoseNameIsTakenInQuarantine) {
    const MadeBatch first({segment(1), 0}, {{event_text({}), 0}});
    const MadeBatch other({segment(1), 0}, {{event_text({.status = "success"}), 9}});

    apply({&first});
    const TurnResult result = apply({&other});

    EXPECT_THAT(result.batch_results, ElementsAre(BatchResult::conflict));
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(count("quarantine WHERE scope = 'batch' AND reason LIKE 'digest_conflict%'"), 1);
    EXPECT_EQ(value("SELECT status FROM runledger.runs"), "running");
}

TEST_F(Ledger, RefusesALateCopyOfARetiredSegment) {
    const MadeBatch batch({segment(1), 0}, {{event_text({}), 0}});
    apply({&batch});
    {
        pqxx::work work(db());
        ASSERT_TRUE(write_retirement(work, {.segment = segment(1), .batch_count = 1}));
        work.commit();
    }
    ASSERT_EQ(count("ingested_batches"), 0);

    const TurnResult result = apply({&batch});

    EXPECT_THAT(result.batch_results, ElementsAre(BatchResult::copy));
    EXPECT_EQ(count("webhook_events"), 1);
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs"), "1");
}

TEST_F(Ledger, RetiresOnlyASegmentAllOfWhoseBatchesItHolds) {
    const MadeBatch batch({segment(1), 0}, {{event_text({}), 0}});
    apply({&batch});
    const auto retire = [&](std::uint64_t batches) {
        pqxx::work work(db());
        const bool done = write_retirement(work, {.segment = segment(1), .batch_count = batches});
        work.commit();
        return done;
    };

    EXPECT_FALSE(retire(2));
    EXPECT_EQ(count("ingested_batches"), 1);
    EXPECT_TRUE(retire(1));
    EXPECT_TRUE(retire(1)) << "asked again, since the answer may have been lost";
}

// A daemon that slept with a copy in hand, while another applied it and the edge retired the segment.
TEST_F(Ledger, DoesNotRetireASegmentWhileABatchOfItIsApplied) {
    const MadeBatch first({segment(1), 0}, {{event_text({}), 0}});
    apply({&first});
    const auto other = another_connection();
    pqxx::work sleeper(db());
    const wire::Batch* copy = &first.batch();
    ASSERT_THAT(write_turn(sleeper, {&copy, 1}, ApplyMode::together).batch_results, ElementsAre(BatchResult::copy));

    pqxx::work retirement(*other);
    retirement.exec("SET LOCAL lock_timeout = 200");
    // It waits for the segment itself: were it only for the batch's row, it might have come before that was written.
    EXPECT_THAT([&] { (void)write_retirement(retirement, {.segment = segment(1), .batch_count = 1}); },
                ThrowsMessage<pqxx::sql_error>(HasSubstr("in relation \"spool_segments\"")));
    retirement.abort();
    sleeper.commit();

    pqxx::work again(*other);
    EXPECT_TRUE(write_retirement(again, {.segment = segment(1), .batch_count = 1}));
    again.commit();
}

TEST_F(Ledger, CountsStoredEventsInTheBalance) {
    apply_events({{event_text({.run_id = "a"}), 0}, {event_text({.run_id = "b"}), 1}});
    apply_events({{event_text({.run_id = "a", .status = "success"}), 2}});

    EXPECT_EQ(
        value("SELECT concat_ws('|', events, quarantined_events, events_of_open_segments, events_counted_in_runs) "
              "FROM runledger.ledger_balance_v1"),
        "3|0|3|3");
}

TEST_F(Ledger, KeepsWhatAnEdgeOfAnotherBuildLetIn) {
    apply_events({{"not json at all", 0}, {event_text({}), 1}});

    EXPECT_EQ(count("quarantine WHERE scope = 'event' AND reason LIKE 'body_not_json%'"), 1);
    EXPECT_EQ(value("SELECT convert_from(content, 'UTF8') FROM runledger.quarantine"), "not json at all");
    EXPECT_EQ(count("webhook_events"), 1);
}

TEST_F(Ledger, QuarantinesARunIdThatTextCantHold) {
    apply_events({{R"({"run_id": "a\u0000b", "status": "success"})", 0}, {event_text({}), 1}});

    EXPECT_EQ(count("quarantine WHERE scope = 'event' AND reason LIKE 'run_id_has_nul%'"), 1);
    EXPECT_EQ(count("runs"), 1);
}

struct OddOutput {
    const char* name;
    std::string value;
    bool storable;
    std::string shown;  // In the row.
};

void PrintTo(const OddOutput& odd, std::ostream* out) { *out << odd.name; }

class OddOutputs : public Ledger, public testing::WithParamInterface<OddOutput> {};

// Issue "First light", Show 6, at the ledger: the run ends and is priced whatever its outputs hold.
TEST_P(OddOutputs, CostARunNothingButThemselves) {
    const std::string odd = R"({"id": "odd", "data": {"text": [)" + GetParam().value + "]}}";
    insert_generation("run-1");

    apply_events({{event_text({.status = "running"}), 0},
                  {event_text({.status = "success", .outputs = "[" + picture("good") + ", " + odd + "]"}), 2'000'000},
                  {event_text({.run_id = "run-2", .status = "success"}), 3'000'000}});

    EXPECT_EQ(settle("run-1"), "settled");
    EXPECT_EQ(value("SELECT concat_ws('|', status, duration_ms, cost_usd) FROM runledger.generations"),
              "completed|2000.000|0.000674000000");
    EXPECT_EQ(count("quarantine WHERE scope = 'output' AND run_id = 'run-1'"), GetParam().storable ? 0 : 1);
    EXPECT_EQ(value("SELECT jsonb_array_length(response_payload -> 'outputs') FROM runledger.generations"), "2");
    EXPECT_EQ(value("SELECT o #>> '{data,text,0}' FROM runledger.generations, "
                    "jsonb_array_elements(response_payload -> 'outputs') AS o WHERE o ->> 'id' = 'odd'"),
              GetParam().shown);
    EXPECT_EQ(count("quarantine WHERE resolved_at IS NULL"), 0) << "nothing is left to do";
    if (!GetParam().storable) {
        EXPECT_EQ(value("SELECT convert_from(content, 'UTF8') FROM runledger.quarantine"), odd);
    }
    EXPECT_EQ(count("webhook_events"), 3);
    EXPECT_EQ(value("SELECT status FROM runledger.runs WHERE run_id = 'run-2'"), "success");
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, OddOutputs,
    testing::Values(OddOutput{"nul_escape", R"("a\u0000b")", false, "a\uFFFDb"},
                    OddOutput{"escaped_backslash_before_it", R"("\\u0000 \\\u0000")", false, "\\u0000 \\\uFFFD"},
                    OddOutput{"lone_high_surrogate", R"("\ud800")", false, "\uFFFD"},
                    OddOutput{"lone_low_surrogate", R"("\udc00")", false, "\uFFFD"},
                    OddOutput{"pair_beside_a_lone_one", R"("\ud83d\ude00\ude00")", false, "\U0001F600\uFFFD"},
                    OddOutput{"nan", "NaN", false, "NULL"},
                    OddOutput{"nan_in_a_string_beside_one", R"("a: NaN, -Infinity", NaN)", false, "a: NaN, -Infinity"},
                    OddOutput{"infinity", "-Infinity", false, "NULL"},
                    OddOutput{"beyond_double", "1e400", true, "1" + std::string(400, '0')},
                    OddOutput{"beyond_numeric", "1e200000", false, "NULL"},
                    OddOutput{"four_hundred_digits", std::string(400, '7'), true, std::string(400, '7')}),
    [](const auto& odd) { return std::string(odd.param.name); });

// From a public report: one value of the encoder's beside the link of the film.
TEST_F(Ledger, KeepsTheLinkBesideANumberThatJsonbCantHold) {
    insert_generation("nan-1");
    apply_events({{R"({"event_type":"run.updated","status":"success","live_status":"Executing VHS_VideoCombine",)"
                   R"("progress":1.0,"run_id":"nan-1","outputs":[{"id":"o","data":{"gifs":[{"filename":)"
                   R"("clip_00001.mp4","url":"https://e.com/clip_00001.mp4","frame_rate":NaN}]}}]})",
                   0}});

    EXPECT_EQ(settle("nan-1"), "settled");
    EXPECT_EQ(value("SELECT response_payload #> '{outputs,0,data,gifs,0}' FROM runledger.generations"),
              R"({"url": "https://e.com/clip_00001.mp4", "filename": "clip_00001.mp4", "frame_rate": null})");
    EXPECT_EQ(count("quarantine WHERE reason LIKE 'output_masked: 22P02%' AND resolved_at IS NOT NULL"), 1);
}

// A constraint of ours that refuses some content stands for whatever the database may refuse.
TEST_F(Ledger, SetsAsideOneEventThatTheDatabaseRefuses) {
    {
        pqxx::work work(db());
        work.exec("ALTER TABLE runledger.webhook_events ADD CONSTRAINT no_poison CHECK (body NOT LIKE '%poison%')");
        work.commit();
    }
    const MadeBatch batch({segment(1), 0}, {{event_text({.run_id = "a"}), 0},
                                            {event_text({.run_id = "b", .live_status = "\"poison\""}), 1},
                                            {event_text({.run_id = "c"}), 2}});
    EXPECT_THROW(apply({&batch}), pqxx::check_violation);

    const TurnResult result = apply({&batch}, ApplyMode::one_by_one);

    EXPECT_EQ(result.events_quarantined, 1U);
    EXPECT_EQ(count("webhook_events"), 2);
    EXPECT_EQ(count("quarantine WHERE scope = 'event' AND run_id = 'b' AND reason LIKE 'refused_by_database: 23514%'"),
              1);
}

TEST_F(Ledger, KeepsTheEndingOfARunWhoseOutputsTheDatabaseRefuses) {
    {
        pqxx::work work(db());
        work.exec("ALTER TABLE runledger.run_outputs ADD CONSTRAINT no_poison CHECK (output_key <> 'poison')");
        work.commit();
    }
    const MadeBatch batch({segment(1), 0},
                          {{event_text({.status = "success", .outputs = "[" + picture("poison") + "]"}), 0}});

    const TurnResult result = apply({&batch}, ApplyMode::one_by_one);

    EXPECT_EQ(result.events_quarantined, 0U);
    EXPECT_EQ(value("SELECT status FROM runledger.runs"), "success");
    EXPECT_EQ(count("quarantine WHERE scope = 'output'"), 1);
}

TEST_F(Ledger, BoundsAStatusWordThatIsPartOfAKey) {
    apply_events({{event_text({.status = std::string(100'000, 'x')}), 0}});

    EXPECT_EQ(value("SELECT octet_length(status) FROM runledger.run_other_statuses"), "200");
    EXPECT_EQ(value("SELECT octet_length(status) FROM runledger.webhook_events"), "100000");
}

}  // namespace
}  // namespace runledger::test
