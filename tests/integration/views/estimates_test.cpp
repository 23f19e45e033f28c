// Quotes: run_estimates_v1 and run_estimates(), over generations that are put straight into the table.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <regex>

#include "tests/integration/views/views_fixture.hpp"
#include "tests/support/benchmark_rows.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Estimates : public Views {
protected:
    // Of one tool, ended a day ago: as many as there are durations, in milliseconds, each with its cost.
    void insert_runs(const std::string& metadata, const std::string& values, const std::string& age = "1 day") {
        execute(fmt::format(
            "INSERT INTO runledger.generations (metadata, response_timestamp, status, duration_ms, cost_usd, "
            "cost_note) SELECT '{}', now() - interval '{}', status, duration, cost, "
            "CASE WHEN cost IS NULL THEN 'rate_missing' END "
            "FROM (VALUES {}) AS v (status, duration, cost)",
            metadata, age, values));
    }
    [[nodiscard]] std::vector<std::string> estimates(const std::string& from = "runledger.run_estimates_v1") {
        return rows("SELECT * FROM " + from + " ORDER BY kind, name");
    }
};

TEST_F(Estimates, AreOfTheKnownValuesAlone) {
    insert_runs(R"({"tool": "upscale"})",
                "('completed', 1.5, 0.1), ('completed', 9, NULL), ('completed', 3, 0.3), ('completed', NULL, 0.2),"
                "('failed', 99999, NULL), ('cancelled', 99999, NULL)");

    // kind, name, runs; durations of 3: 1.5, 3, 9; costs of 3: 0.1, 0.2, 0.3.
    EXPECT_THAT(estimates(), ElementsAre("tool upscale 4 3 3 9 3 0.2 0.3"));
}

TEST_F(Estimates, SayThatNothingIsKnown) {
    insert_runs(R"({"tool": "upscale"})", "('completed', NULL::numeric, NULL::numeric)");

    EXPECT_THAT(estimates(), ElementsAre("tool upscale 1 0 - - 0 - -"));
}

TEST_F(Estimates, AreExactAndOfARunThatThereWas) {
    execute(
        "INSERT INTO runledger.generations (metadata, response_timestamp, status, duration_ms, cost_usd) "
        "SELECT '{\"tool\": \"t\"}', now() - interval '1 hour', 'completed', i + 0.001, i * 0.000000000001 "
        "FROM generate_series(1, 100) AS i");

    EXPECT_THAT(estimates(), ElementsAre("tool t 100 100 50.001 95.001 100 0.000000000050 0.000000000095"));
}

TEST_F(Estimates, CountARunForItsToolItsWorkflowAndItsGpu) {
    insert_runs(R"({"tool": "t", "workflow": "w", "gpu": "A10G"})", "('completed', 1, 1)");
    insert_runs(R"({"tool": "t", "workflow": 7, "gpu": ""})", "('completed', 3, 3)");
    insert_runs(R"("{\"workflow\": \"w\"}")", "('completed', 5, 5)");
    insert_runs(R"([])", "('completed', 7, 7)");

    EXPECT_THAT(estimates(), ElementsAre("gpu A10G 1 1 1 1 1 1 1", "tool t 2 2 1 3 2 1 3", "workflow w 2 2 1 5 2 1 5"));
}

TEST_F(Estimates, AreOfTheDaysThatAreAskedFor) {
    insert_runs(R"({"tool": "new"})", "('completed', 1, 1)", "1 day");
    insert_runs(R"({"tool": "old"})", "('completed', 1, 1)", "29 days");
    insert_runs(R"({"tool": "older"})", "('completed', 1, 1)", "31 days");

    EXPECT_THAT(estimates(), ElementsAre(HasSubstr("new"), HasSubstr("old")));
    EXPECT_THAT(estimates("runledger.run_estimates(2)"), ElementsAre(HasSubstr("new")));
    EXPECT_THAT(estimates("runledger.run_estimates(32)"),
                ElementsAre(HasSubstr("new"), HasSubstr("old"), HasSubstr("older")));
    for (const char* days : {"0", "-5", "NULL"}) {
        EXPECT_THAT(estimates(fmt::format("runledger.run_estimates({})", days)), IsEmpty()) << days;
    }
    EXPECT_THAT(estimates("runledger.run_estimates(2147483647)"), testing::SizeIs(3));
}

TEST_F(Estimates, AreReadByReadersAndTheApplication) {
    insert_runs(R"({"tool": "t"})", "('completed', 1, 1)");
    for (const char* role : {"runledger_reader", "runledger_application"}) {
        execute(fmt::format("SET ROLE {}", role));
        EXPECT_THAT(estimates(), ElementsAre("tool t 1 1 1 1 1 1 1")) << role;
        EXPECT_THAT(estimates("runledger.run_estimates(7)"), ElementsAre("tool t 1 1 1 1 1 1 1")) << role;
        execute("RESET ROLE");
    }
}

// A year of rows: those of a month are read by the index, however many there are before.
TEST_F(Estimates, ReadTheirDaysByTheIndex) {
    ASSERT_NO_FATAL_FAILURE(load_benchmark_rows(uri()));
    const std::string body = value("SELECT prosrc FROM pg_proc WHERE proname = 'run_estimates'");
    std::smatch query;
    ASSERT_TRUE(std::regex_search(body, query, std::regex("RETURN QUERY([^;]*);"))) << body;
    const std::string statement = std::regex_replace(query[1].str(), std::regex("p_days"), "30");

    std::string plan;
    for (const std::string& line : rows("EXPLAIN " + statement)) {
        plan += line + "\n";
    }

    EXPECT_THAT(plan, HasSubstr("generations_costs_by_day_idx"));
    EXPECT_THAT(plan, Not(HasSubstr("Seq Scan on generations")));
}

}  // namespace
}  // namespace runledger::test
