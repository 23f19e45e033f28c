// `runledger close` and `runledger statement`: what they print, and how they end.
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <sstream>

#include "tests/integration/tool/cost_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int answer_is_no = 3;
constexpr int misused = 2;

class PeriodsTool : public CostTool {
protected:
    // Ended on 2025-08-29, at 0.000337 USD a second.
    void settled_run(const std::string& run_id, std::int64_t seconds) {
        insert_generation(run_id);
        receive(run_id, {{event_text({.run_id = run_id}), 0},
                         {event_text({.run_id = run_id, .status = "success"}), seconds * 1'000'000}});
    }
    void longer_by(const std::string& run_id, std::int64_t seconds) {
        receive(run_id, {{event_text({.run_id = run_id}), -seconds * 1'000'000}});
    }
};

TEST_F(PeriodsTool, CloseAMonthAndSayWhatWasBilled) {
    settled_run("a", 10);
    settled_run("b", 20);

    const Finished closed = tool({"close", "2025-08"});
    const Finished again = tool({"close", "2025-08"});

    EXPECT_TRUE(closed.status.clean()) << closed.output;
    EXPECT_THAT(closed.output, AllOf(HasSubstr("2025-08: closed at 20"), HasSubstr("by ledger_owner\n"),
                                     HasSubstr("from 2025-08-01T00:00:00Z to before 2025-09-01T00:00:00Z (UTC)\n"),
                                     HasSubstr("2 runs: 2 completed, 0 failed, 0 cancelled; 30000.000 ms\n"),
                                     HasSubstr("billed                        0.010110000000 USD\n")));
    EXPECT_TRUE(again.status.clean()) << again.output;
    EXPECT_THAT(again.output, AllOf(HasSubstr("It was closed before; nothing was changed.\n"),
                                    HasSubstr(closed.output.substr(0, closed.output.find('\n')))));
}

TEST_F(PeriodsTool, TryAMonthWithoutClosingIt) {
    settled_run("a", 10);

    const Finished shown = tool({"close", "2025-08", "--dry-run"});

    EXPECT_TRUE(shown.status.clean()) << shown.output;
    EXPECT_THAT(shown.output, AllOf(HasSubstr("2025-08: not closed: these are the numbers so far"),
                                    HasSubstr("billed                        0.003370000000 USD\n")));
    EXPECT_EQ(count("closed_periods"), 0);
    EXPECT_EQ(count("closed_runs"), 0);
}

TEST_F(PeriodsTool, NameWhatKeepsAMonthOpen) {
    settled_run("a", 10);
    settled_run("waits", 10);
    execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('waits')");

    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"close", "2025-08"}, {"close", "2025-08", "--dry-run"}}) {
        const Finished refused = tool(words);
        EXPECT_EQ(refused.status.code, answer_is_no) << refused.output;
        EXPECT_THAT(refused.output, AllOf(HasSubstr("1 runs that ended in"), HasSubstr("waits")));
    }
    EXPECT_EQ(count("closed_periods"), 0);
    EXPECT_TRUE(tool({"close", "2025-08", "--dry-run", "--unsettled", "allow"}).status.clean());

    const Finished closed = tool({"close", "2025-08", "--unsettled", "allow"});

    EXPECT_TRUE(closed.status.clean()) << closed.output;
    EXPECT_THAT(closed.output, HasSubstr("1 runs that ended in it were waiting to be settled"));
    const Finished early = tool({"close", "2999-01", "--dry-run"});
    EXPECT_EQ(early.status.code, answer_is_no) << early.output;
    EXPECT_THAT(early.output,
                AllOf(HasSubstr("2999-01: not closed: these are the numbers so far"),
                      HasSubstr("can't be closed before 2025-09"), HasSubstr("HINT:"), Not(HasSubstr("CONTEXT:"))));
    EXPECT_EQ(tool({"close", "2999-01"}).status.code, answer_is_no);
    EXPECT_EQ(tool({"close", "August"}).status.code, misused);
    EXPECT_EQ(tool({"close", "2025-08", "--unsettled", "maybe"}).status.code, misused);
}

// Unknown is what a run cost whose price is not known. No run, and a run that is not charged, cost nothing.
TEST_F(PeriodsTool, BillNothingForAMonthWithoutAChargedRun) {
    const auto billed = [](const char* amount) {
        return AllOf(HasSubstr(std::string("cost of its runs              ") + amount + " USD"),
                     HasSubstr(std::string("billed                        ") + amount + " USD\n"));
    };
    EXPECT_THAT(tool({"statement", "2025-07"}).output, AllOf(billed("0"), HasSubstr("0 cancelled; 0 ms\n")));

    insert_generation("fails");
    receive("fails",
            {{event_text({.run_id = "fails"}), 0}, {event_text({.run_id = "fails", .status = "failed"}), 1'000'000}});

    for (const char* month : {"2025-08", "2025-09"}) {
        EXPECT_THAT(tool({"close", month}).output, AllOf(billed("0"), HasSubstr("restated    0 USD\n"))) << month;
    }

    EXPECT_TRUE(tool({"audit"}).status.clean());
}

TEST_F(PeriodsTool, BillAnUnknownAmountForRunsWithoutAPrice) {
    insert_metadata(R"({"run_id": "unpriced"})");
    receive("unpriced", {{event_text({.run_id = "unpriced"}), 0},
                         {event_text({.run_id = "unpriced", .status = "success"}), 1'000'000}});

    EXPECT_THAT(tool({"close", "2025-08"}).output, HasSubstr("billed                        unknown USD\n"));
}

TEST_F(PeriodsTool, StateAMonthAsOfAnInstant) {
    settled_run("a", 10);
    ASSERT_TRUE(tool({"close", "2025-08"}).status.clean());
    const std::string between =
        value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    longer_by("a", 5);

    const Finished before = tool({"statement", "2025-08", "--as-of", between});
    const Finished now = tool({"statement", "2025-08"});

    EXPECT_TRUE(before.status.clean()) << before.output;
    EXPECT_THAT(before.output, AllOf(HasSubstr("billed                        0.003370000000 USD\n"),
                                     HasSubstr("corrected since then          0 USD, 0 corrections"),
                                     HasSubstr("restated    0.003370000000 USD\n")));
    EXPECT_THAT(now.output, AllOf(HasSubstr("billed                        0.003370000000 USD\n"),
                                  HasSubstr("corrected since then          0.001685000000 USD, 1 corrections"),
                                  HasSubstr("restated    0.005055000000 USD\n")));

    const Finished open = tool({"statement", "2025-08", "--as-of", "2025-09-01"});
    EXPECT_EQ(open.status.code, answer_is_no) << open.output;
    EXPECT_THAT(open.output, HasSubstr("nothing had been billed"));
    const Finished next = tool({"statement", "2025-09"});
    EXPECT_EQ(next.status.code, answer_is_no) << next.output;
    EXPECT_THAT(next.output, HasSubstr("corrections of earlier months 0.001685000000 USD, 1 of them\n"));
    EXPECT_EQ(tool({"statement", "2025-08", "--as-of", "2999-01-01"}).status.code, misused);
    EXPECT_EQ(tool({"statement", "8/2025"}).status.code, misused);
}

TEST_F(PeriodsTool, WriteEachLineAsCsv) {
    settled_run("a", 10);
    const std::string in_json = R"(with, \"odd\" name)";
    insert_generation(in_json);
    receive(R"(with, "odd" name)",
            {{event_text({.run_id = in_json}), 0}, {event_text({.run_id = in_json, .status = "success"}), 20'000'000}});
    ASSERT_TRUE(tool({"close", "2025-08"}).status.clean());
    longer_by("a", 5);

    const Finished august = tool({"statement", "2025-08", "--csv"});
    const Finished open = tool({"statement", "2025-09", "--csv"});
    ASSERT_TRUE(tool({"close", "2025-09"}).status.clean());
    const Finished september = tool({"statement", "2025-09", "--csv"});

    EXPECT_TRUE(august.status.clean()) << august.output;
    EXPECT_THAT(august.output, testing::StartsWith("period,kind,about_period,generation_id,run_id,"));
    EXPECT_THAT(august.output, HasSubstr("2025-08,run,2025-08,1,a,42,2025-08-29T02:35:48.000000Z,completed,10000.000,,"
                                         "0.000337,second,0.003370000000,,0.003370000000,,,,,,\r\n"));
    EXPECT_THAT(august.output, HasSubstr(",\"with, \"\"odd\"\" name\",42,"));
    EXPECT_EQ(std::count(august.output.begin(), august.output.end(), '\n'), 3);
    EXPECT_EQ(open.status.code, answer_is_no) << open.output;
    EXPECT_THAT(september.output,
                AllOf(HasSubstr("2025-09,correction,2025-08,1,a,42,"), HasSubstr(",0.005055000000,,0.001685000000,"),
                      HasSubstr(",resettled,0.003370000000,,,\r\n")));
}

TEST_F(PeriodsTool, SpeakJson) {
    settled_run("a", 10);

    const Finished closed = tool({"close", "2025-08", "--json"});
    const Finished stated = tool({"statement", "2025-08", "--json"});

    rapidjson::Document object;
    object.Parse(closed.output.c_str());
    ASSERT_FALSE(object.HasParseError()) << closed.output;
    EXPECT_TRUE(object["is_new"].GetBool());
    EXPECT_EQ(std::string(object["cost_usd"].GetString()), "0.003370000000");
    EXPECT_EQ(object["runs"].GetInt(), 1);
    object.Parse(stated.output.c_str());
    ASSERT_FALSE(object.HasParseError()) << stated.output;
    EXPECT_EQ(std::string(object["state"].GetString()), "closed");
    EXPECT_EQ(std::string(object["billed_usd"].GetString()), "0.003370000000");
}

TEST_F(PeriodsTool, AreAudited) {
    settled_run("a", 10);
    ASSERT_TRUE(tool({"close", "2025-08"}).status.clean());
    EXPECT_THAT(tool({"audit"}).output, Not(HasSubstr("closed month")));

    execute("SET LOCAL session_replication_role = replica; UPDATE runledger.closed_runs SET cost_usd = 1");

    const Finished audited = tool({"audit"});
    EXPECT_EQ(audited.status.code, answer_is_no);
    EXPECT_THAT(audited.output, HasSubstr("DOES NOT ADD UP: closed month 2025-08: 1 runs and 0.003370000000 USD"));
    EXPECT_THAT(tool({"audit", "--since", "2025-10-01"}).output, Not(HasSubstr("closed month")));
}

}  // namespace
}  // namespace runledger::test
