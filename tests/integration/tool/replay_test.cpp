// `runledger replay`: the stored events, applied once more beside the ledger, give the same ledger; or it says where
// not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include "daemon/reconcile/lookups.hpp"
#include "tests/integration/tool/ledger_tool_fixture.hpp"
#include "tests/stand_ins/comfy_api.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Replay : public LedgerTool {
protected:
    static constexpr int runs = 30;

    // Runs with every ending, out of order, some without a generation; settled as the daemon would.
    void a_ledger_of_some_runs() {
        for (int i = 0; i < runs; ++i) {
            const std::string run_id = fmt::format("run-{:02}", i);
            const std::int64_t at_us = i * 1'000'000;
            if (i % 5 != 0) {
                insert_generation(run_id);
            }
            apply_events({{event_text({.run_id = run_id,
                                       .status = i % 3 == 0 ? "success" : "failed",
                                       .outputs = "[" + picture("p") + "]"}),
                           at_us + 700'000 + i},
                          {event_text({.run_id = run_id, .status = "queued"}), at_us}});
            apply_events({{event_text({.run_id = run_id, .status = "running"}), at_us + 100'000, true}});
            (void)settle(run_id);
        }
    }

    std::string replay(int exit_code, std::vector<std::string> more = {}) {
        std::vector<std::string> words{"replay", "--from", "2025-08-29", "--to", "2025-08-30", "--into", "trial"};
        words.insert(words.end(), more.begin(), more.end());
        return tool_says(words, exit_code);
    }

    // Everything in the real schema, as one digest for each table.
    std::string ledger_digest() {
        std::string digests;
        for (const char* table :
             {"webhook_events", "runs", "run_outputs", "generations", "settlements", "notifications", "settle_queue",
              "quarantine", "provider_reports", "ingested_batches"}) {
            digests +=
                value(fmt::format("SELECT '{0} ' || md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) "
                                  "FROM runledger.{0} AS t",
                                  table)) +
                "\n";
        }
        return digests;
    }
};

TEST_F(Replay, GivesTheSameLedgerAgainAndTouchesNothing) {
    a_ledger_of_some_runs();
    const std::string before = ledger_digest();

    const std::string said = replay(0);

    EXPECT_THAT(said,
                AllOf(HasSubstr("90 events (0 of them would be quarantined) and 0 reports of 30 runs; 0 runs also"),
                      HasSubstr("30 runs compared, 0 differ")));
    EXPECT_EQ(ledger_digest(), before);
    EXPECT_EQ(rows("SELECT count(*), sum(cost_usd) FROM trial.generations"),
              rows("SELECT count(*), sum(cost_usd) FROM runledger.generations"));
    EXPECT_EQ(
        rows("SELECT to_jsonb(r) - 'applied_at' - 'changed_at' - 'quiet_from' FROM trial.runs AS r ORDER BY run_id"),
        rows("SELECT to_jsonb(r) - 'applied_at' - 'changed_at' - 'quiet_from' FROM runledger.runs AS r ORDER BY "
             "run_id"));
    EXPECT_THAT(replay(0), HasSubstr("30 runs compared, 0 differ")) << "made anew over its own scratch schema";
}

TEST_F(Replay, ShowsEachRunThatDiffers) {
    a_ledger_of_some_runs();
    sql("UPDATE runledger.generations SET cost_usd = cost_usd + 1 WHERE run_id = 'run-03';"
        "UPDATE runledger.generations SET status = 'completed' WHERE run_id = 'run-04';"
        "UPDATE runledger.runs SET terminal_status = 'cancelled' WHERE run_id = 'run-05'");

    const std::string said = replay(3);

    EXPECT_THAT(said, AllOf(HasSubstr("run-03"), HasSubstr("cost_usd 1.000202"), HasSubstr("→ 0.000202"),
                            HasSubstr("status completed → failed"), HasSubstr("run cancelled → failed"),
                            HasSubstr("30 runs compared, 3 differ"), Not(HasSubstr("run-06"))));
    rapidjson::Document line;
    line.Parse<rapidjson::kParseStopWhenDoneFlag>(replay(3, {"--json"}).c_str());
    ASSERT_TRUE(line.IsObject());
    EXPECT_STREQ(line["run_id"].GetString(), "run-03");
    EXPECT_STREQ(line["replayed"]["status"].GetString(), "completed");
}

TEST_F(Replay, LeavesOutRunsThatAreNotWholeInTheRange) {
    a_ledger_of_some_runs();

    const std::string said =
        tool_says({"replay", "--from", "2025-08-29", "--to", "2025-08-29 02:35:48.05+00", "--into", "trial"});

    EXPECT_THAT(said, AllOf(HasSubstr("31 events"), HasSubstr("of 11 runs; 1 runs also have"),
                            HasSubstr("10 runs compared, 0 differ")));
}

TEST_F(Replay, TakesTheProvidersReportsAlong) {
    apply_events({{event_text({.run_id = "run-1"}), 0}});
    auto report = std::get<ProviderReport>(
        decode_report("run-1", ComfyApiAnswer::run("run-1", "failed", "[" + picture("late") + "]").body));
    Lookups lookups(
        {.uri = daemon_uri(), .lease_owner = "test", .lease = std::chrono::seconds{1}, .silence = {}, .lookback = {}});
    ASSERT_EQ(lookups.store({.run_id = "run-1", .report = std::move(report)}), ReportFate::stored);

    EXPECT_THAT(replay(0), AllOf(HasSubstr("1 reports of 1 runs"), HasSubstr("1 runs compared, 0 differ")));

    EXPECT_EQ(rows("SELECT terminal_status, reported_status FROM trial.runs"), "failed|failed\n");
    EXPECT_EQ(rows("SELECT output_key FROM trial.run_outputs"), "late\n");
}

TEST_F(Replay, StartsFromTheStatusThatTheApplicationHadWritten) {
    insert_generation("run-1");
    sql("UPDATE runledger.generations SET status = 'cancelled'");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 5}});
    ASSERT_EQ(settle("run-1"), "kept");

    EXPECT_THAT(replay(0), HasSubstr("1 runs compared, 0 differ"));
}

TEST_F(Replay, LeavesSchemasAloneThatAreNotItsOwn) {
    sql("CREATE SCHEMA theirs; CREATE TABLE theirs.precious (id int)");
    const auto refuse = [&](const std::string& schema) {
        return tool_says({"replay", "--from", "2025-08-29", "--to", "2025-08-30", "--into", schema}, 1);
    };

    EXPECT_THAT(refuse("theirs"), HasSubstr("exists and is no scratch schema of ours"));
    EXPECT_THAT(refuse("runledger"), HasSubstr("is not for scratch"));
    EXPECT_THAT(refuse("public"), HasSubstr("is not for scratch"));
    EXPECT_THAT(refuse("pg_trial"), HasSubstr("is not for scratch"));
    EXPECT_THAT(refuse("a; DROP SCHEMA theirs"), HasSubstr("is no name for a scratch schema"));
    EXPECT_EQ(value("SELECT to_regclass('theirs.precious') IS NOT NULL"), "t");
}

TEST_F(Replay, NamesATimeThatIsNone) {
    EXPECT_THAT(tool_says({"replay", "--from", "yesterdayish", "--to", "2025-08-30", "--into", "trial"}, 2),
                HasSubstr("yesterdayish"));
    EXPECT_EQ(value("SELECT to_regnamespace('trial') IS NULL"), "t");
}

}  // namespace
}  // namespace runledger::test
