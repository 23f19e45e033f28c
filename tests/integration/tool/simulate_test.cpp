// `runledger simulate` through a real nginx and daemon: what it proves, what it leaves, and what nobody ever sees.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* token = "a-token-of-this-test";

class Simulate : public Pipeline {
protected:
    // The edge demands a token; the tool gets it from the edge's own file.
    void start_parts() {
        token_file_ = folder().write_secret("runledger.tokens", fmt::format("# of this test\nstudio {}\n", token));
        nginx_conf.token = fmt::format("runledger_token $arg_token file={};", token_file_.string());
        start_all();
    }
    [[nodiscard]] std::vector<std::string> words(const std::vector<std::string>& more = {}) {
        std::vector<std::string> all{"simulate", nginx().url(), "--token-file", token_file_.string()};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] Finished simulate(const std::vector<std::string>& more = {}) { return daemon().tool(words(more)); }

    // All rows of every table that have a made-up run's id.
    [[nodiscard]] std::string rows_left() const {
        return value(
            "SELECT (SELECT count(*) FROM runledger.webhook_events WHERE run_id LIKE 'runledger-simulated-%')"
            " + (SELECT count(*) FROM runledger.runs WHERE run_id LIKE 'runledger-simulated-%')"
            " + (SELECT count(*) FROM runledger.run_outputs WHERE run_id LIKE 'runledger-simulated-%')"
            " + (SELECT count(*) FROM runledger.settle_queue WHERE run_id LIKE 'runledger-simulated-%')"
            " + (SELECT count(*) FROM runledger.quarantine WHERE run_id LIKE 'runledger-simulated-%')");
    }
    [[nodiscard]] static rapidjson::Document parsed(const std::string& line) {
        rapidjson::Document object;
        object.Parse(line.c_str());
        EXPECT_TRUE(!object.HasParseError() && object.IsObject()) << line;
        return object;
    }
    // As the daemon's role: what the simulated run of another test must not change.
    [[nodiscard]] std::string visible() const {
        return value(
            "SELECT concat_ws(' ', (SELECT count(*) FROM runledger.generations), (SELECT count(*) FROM "
            "runledger.settlements), (SELECT count(*) FROM runledger.notifications), (SELECT count(*) FROM "
            "runledger.day_costs_v1), (SELECT count(*) FROM runledger.run_costs_v1), (SELECT count(*) FROM "
            "runledger.runs_without_generation_v1), (SELECT count(*) FROM runledger.stuck_runs_v1), (SELECT count(*) "
            "FROM runledger.unsettled_v1))");
    }

private:
    std::filesystem::path token_file_;
};

TEST_F(Simulate, ProvesThatEventsArriveAndRunsSettleAndLeavesNothing) {
    start_parts();
    const std::string before = visible();

    const Finished ended = simulate({"--runs", "3", "--json"});

    EXPECT_EQ(ended.status.code, 0) << ended.output;
    const auto said = parsed(ended.output);
    EXPECT_EQ(said["events"].GetInt(), 18);
    EXPECT_EQ(said["accepted"].GetInt(), 18);
    EXPECT_EQ(said["arrived"].GetInt(), 18);
    EXPECT_EQ(said["settled"].GetInt(), 3);
    EXPECT_EQ(said["taken_by_settle"].GetInt(), 3);
    EXPECT_TRUE(said["proved"].GetBool());
    EXPECT_GE(std::stod(said["duration_ms"].GetString()), 1000.0);
    EXPECT_EQ(said["removed"]["webhook_events"].GetInt(), 18);
    EXPECT_THAT(ended.output, Not(HasSubstr(token)));

    EXPECT_EQ(rows_left(), "0");
    EXPECT_EQ(visible(), before);
    EXPECT_THAT(nginx().access_log(), AllOf(HasSubstr("GET /api/webhook"), HasSubstr("run=runledger-simulated-")));
    const Finished audit = daemon().tool({"audit", "--segments"});
    EXPECT_EQ(audit.status.code, 0) << audit.output;
    EXPECT_THAT(audit.output, HasSubstr("18 simulated events removed"));
    EXPECT_EQ(value("SELECT bool_and(is_simulated) FROM runledger.ledger_removals"), "t");
    EXPECT_EQ(value("SELECT events - events_counted_in_runs FROM runledger.ledger_balance_v1"), "0");
}

TEST_F(Simulate, IsCleanedUpAfterItsDeathByASecondOne) {
    start_parts();
    ASSERT_EQ(post(R"({"run_id": "real", "status": "running"})"), 401);  // Without the token.
    ASSERT_EQ(simulate().status.code, 0);
    const std::string before = visible();

    ChildProcess process({.argv = daemon().tool_command(words({"--seconds", "600"}))});
    eventually("its first events are in the ledger", [&] {
        return value("SELECT count(*) FROM runledger.webhook_events WHERE run_id LIKE 'runledger-simulated-%'") == "4";
    });
    process.kill();

    EXPECT_EQ(visible(), before) << "a run that has not ended is shown as real";
    EXPECT_NE(rows_left(), "0");
    const Finished cleaned = daemon().tool({"simulate", "--clean"});
    EXPECT_EQ(cleaned.status.code, 0) << cleaned.output;
    EXPECT_THAT(cleaned.output, AllOf(HasSubstr("1 runs"), HasSubstr("4 webhook_events")));
    EXPECT_EQ(rows_left(), "0");
    EXPECT_THAT(daemon().tool({"simulate", "--clean"}).output, HasSubstr("removed   nothing"));
    EXPECT_EQ(daemon().tool({"audit"}).status.code, 0);
}

TEST_F(Simulate, NeverRemovesARunThatIsRealOrThatAGenerationNames) {
    start_parts();
    const std::string named = "runledger-simulated-" + std::string(32, 'a');
    insert_generation(named);
    for (const std::string& run_id : {named, std::string("runledger-simulated-by-hand"), std::string("real")}) {
        ASSERT_EQ(http_post(nginx().url() + "?token=" + token,
                            fmt::format(R"({{"run_id": "{}", "status": "running"}})", run_id))
                      .status,
                  200);
    }
    eventually("all three are in the ledger", [&] { return value("SELECT count(*) FROM runledger.runs") == "3"; });

    EXPECT_EQ(daemon().tool({"simulate", "--clean"}).status.code, 0);

    EXPECT_EQ(value("SELECT count(*) FROM runledger.runs"), "3");
}

TEST_F(Simulate, SaysWhichPartOfTheWayIsNotProved) {
    start_parts();
    const auto wrong = folder().write_secret("wrong.tokens", "studio not-the-token-of-this-test\n");
    const Finished refused =
        daemon().tool({"simulate", nginx().url(), "--token-file", wrong.string(), "--seconds", "0"});
    EXPECT_EQ(refused.status.code, 3) << refused.output;
    EXPECT_THAT(refused.output, AllOf(HasSubstr("6 of 6 events were not accepted, in three tries each: status 401"),
                                      Not(HasSubstr("not-the-token"))));

    {
        const auto connection = connect_to(uri());
        pqxx::work work(*connection);
        work.exec("ALTER TABLE runledger.generations ADD CONSTRAINT not_ours CHECK (cost_usd IS NULL) NOT VALID");
        work.commit();
    }
    const Finished held_back = simulate({"--seconds", "0"});
    EXPECT_EQ(held_back.status.code, 3) << held_back.output;
    EXPECT_THAT(held_back.output, AllOf(HasSubstr("NOT PROVED"), HasSubstr("not_ours")));
    EXPECT_EQ(rows_left(), "0");

    daemon().stop();
    const Finished away = simulate({"--seconds", "0", "--wait", "1"});
    EXPECT_EQ(away.status.code, 3) << away.output;
    EXPECT_THAT(away.output, HasSubstr("6 of 6 accepted events are not in the ledger after 1 s"));
    daemon().start();
    eventually("they arrive later", [&] { return rows_left() != "0"; });
    eventually("and are removed", [&] {
        return daemon().tool({"simulate", "--clean"}).status.code == 0 && rows_left() == "0" &&
               value(
                   "SELECT coalesce(sum(events), 0) FROM runledger.ledger_removals WHERE from_table = "
                   "'webhook_events'") == "12";
    });
}

TEST_F(Simulate, SendsNothingIfItMayNotRemoveIt) {
    start_parts();
    const auto configuration =
        folder().write_file("as_daemon.toml", fmt::format("[postgres]\nuri = \"{}\"\n", direct_daemon_uri));

    std::vector<std::string> argv = daemon().tool_command(words());
    argv[2] = configuration.string();
    const Finished ended = run_to_end({.argv = argv}, folder());

    EXPECT_EQ(ended.status.code, 1) << ended.output;
    EXPECT_THAT(ended.output, AllOf(HasSubstr("permission denied"), HasSubstr("dba.md, \"Roles\"")));
    EXPECT_THAT(nginx().access_log(), Not(HasSubstr("simulated")));
}

}  // namespace
}  // namespace runledger::test
