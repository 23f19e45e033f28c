#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StuckRuns : public Views {
protected:
    // The run's last event was applied so long ago, whenever the edge received it.
    void hear_last_of(const std::string& run_id, const std::string& status, const std::string& ago) {
        apply_events({{.body = event_text({.run_id = run_id, .status = status})}});
        execute(fmt::format("UPDATE runledger.runs SET applied_at = now() - interval '{}' WHERE run_id = '{}'", ago,
                            run_id));
    }
    [[nodiscard]] std::vector<std::string> stuck() {
        return rows("SELECT run_id, status FROM runledger.stuck_runs_v1 ORDER BY run_id");
    }
};

struct Limit {
    const char* name;
    const char* status;
    const char* within;
    const char* past;
};

class SilenceLimit : public StuckRuns, public testing::WithParamInterface<Limit> {};

TEST_P(SilenceLimit, SuitsTheStatus) {
    hear_last_of("within", GetParam().status, GetParam().within);
    hear_last_of("past", GetParam().status, GetParam().past);

    EXPECT_THAT(rows("SELECT run_id FROM runledger.stuck_runs_v1"), ElementsAre("past"));
}

INSTANTIATE_TEST_SUITE_P(, SilenceLimit,
                         testing::Values(Limit{"NotStarted", "not-started", "29 minutes", "31 minutes"},
                                         Limit{"Queued", "queued", "29 minutes", "31 minutes"},
                                         Limit{"Started", "started", "14 minutes", "16 minutes"},
                                         Limit{"Running", "running", "59 minutes", "61 minutes"},
                                         Limit{"Uploading", "uploading", "14 minutes", "16 minutes"},
                                         Limit{"UnknownWord", "dreaming", "59 minutes", "61 minutes"}),
                         [](const auto& limit) { return std::string(limit.param.name); });

TEST_F(StuckRuns, LeaveOutRunsThatEnded) {
    hear_last_of("done", "success", "10 days");

    EXPECT_THAT(stuck(), IsEmpty());
}

TEST_F(StuckRuns, LeaveOutRunsThatWereMadeUp) {
    const std::string made_up = "runledger-simulated-" + std::string(32, '0');
    hear_last_of(made_up, "running", "10 days");
    hear_last_of(made_up + "0", "running", "10 days");  // A digit too many.

    EXPECT_THAT(stuck(), ElementsAre(made_up + "0 running"));
    EXPECT_THAT(rows("SELECT run_id FROM runledger.runs_without_generation_v1"), ElementsAre(made_up + "0"));
    execute("DELETE FROM runledger.settle_queue");
    execute(fmt::format("INSERT INTO runledger.settle_queue (run_id) VALUES ('{}'), ('real')", made_up));
    EXPECT_THAT(rows("SELECT run_id FROM runledger.unsettled_v1"), ElementsAre("real"));
}

TEST_F(StuckRuns, NameTheGenerationWhereOneNamesTheRun) {
    const auto id = insert_generation("run-1");
    hear_last_of("run-1", "running", "2 hours");
    hear_last_of("run-2", "running", "2 hours");

    EXPECT_THAT(rows("SELECT run_id, generation_id, date_trunc('hour', silent_for), silence_limit "
                     "FROM runledger.stuck_runs_v1 ORDER BY run_id"),
                ElementsAre(fmt::format("run-1 {} 02:00:00 01:00:00", id), "run-2 - 02:00:00 01:00:00"));
}

TEST_F(StuckRuns, HaveTheGenerationsOfWhoseRunNothingWasReceived) {
    insert_generation("unheard");
    insert_generation("heard");
    insert_generation("young");
    insert_metadata("{}");  // Not submitted yet: it names no run.
    execute(
        "UPDATE runledger.generations SET request_timestamp = now() - interval '2 hours' "
        "WHERE run_id IS DISTINCT FROM 'young'");
    hear_last_of("heard", "running", "1 minute");

    EXPECT_THAT(stuck(), ElementsAre("unheard -"));
}

TEST_F(StuckRuns, KeepToALimitThatTheDatabaseSets) {
    hear_last_of("film", "running", "2 hours");
    hear_last_of("queue", "not-started", "2 minutes");
    execute("SET runledger.silence_limit_running = '3 hours'; SET runledger.silence_limit_not_started = '1 minute'");

    EXPECT_THAT(stuck(), ElementsAre("queue not-started"));
}

TEST_F(StuckRuns, RefuseALimitThatIsNoLengthOfTimeAndNameIt) {
    hear_last_of("film", "running", "2 hours");
    for (const auto* limit : {"soon", "-1 hour", "0"}) {
        execute(fmt::format("SET runledger.silence_limit_running = '{}'", limit));

        EXPECT_THAT(
            error_of("SELECT * FROM runledger.stuck_runs_v1"),
            HasSubstr(fmt::format("runledger.silence_limit_running is \"{}\", which is no length of time", limit)));
    }
}

}  // namespace
}  // namespace runledger::test
