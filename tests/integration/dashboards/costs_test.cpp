// Every question of the dashboard of costs, asked as the login that docs/metrics.md has Grafana use.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <regex>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dashboards/dashboard.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/benchmark_rows.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::filesystem::path source_folder{RUNLEDGER_SOURCE_DIR};
constexpr unsigned timestamptz_oid = 1184;

class CostsDashboard : public Ledger {
protected:
    // As the benchmark fills its database, and what went wrong beside it.
    void fill() {
        ASSERT_NO_FATAL_FAILURE(load_benchmark_rows(uri()));
        execute(
            "UPDATE runledger.runs SET applied_at = now() - interval '1 day' WHERE terminal_status IS NULL;"
            "INSERT INTO runledger.settle_queue (run_id, attempts, last_error) VALUES ('run-1', 3, 'locked')");
        apply_events({{.body = event_text({.run_id = "nobody's"})}});
        execute("UPDATE runledger.runs SET applied_at = now() - interval '1 day' WHERE run_id = 'nobody''s'");
    }
    // The statements of docs/metrics.md.
    void make_login() {
        const std::string document = read_text(source_folder / "docs/metrics.md");
        const std::size_t begin = document.find("    CREATE ROLE grafana");
        ASSERT_NE(begin, std::string::npos);
        execute(document.substr(begin, document.find("\n\n", begin) - begin));
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }

    const Dashboard dashboard_{"runledger-costs"};
};

// Grafana's macros, as its PostgreSQL data source expands them.
std::string expanded(const std::string& sql, const std::string& gpus) {
    const std::string from = "'2000-01-01T00:00:00Z'";
    const std::string to = "'2100-01-01T00:00:00Z'";
    std::string text =
        std::regex_replace(sql, std::regex(R"(\$__timeFilter\(([^)]*)\))"), "$1 BETWEEN " + from + " AND " + to);
    text = filled_in(text, {{"$__timeFrom()", from}, {"$__timeTo()", to}, {"$gpu", gpus}});
    EXPECT_EQ(text.find('$'), std::string::npos) << text;
    return text;
}

TEST_F(CostsDashboard, HasAnAnswerToEachQuestionAndAsksItAsAReader) {
    fill();
    make_login();
    const auto grafana = connect_to(server().uri_as("grafana", value("SELECT current_database()")));
    pqxx::read_transaction work(*grafana);
    ASSERT_EQ(
        libpqxx::run1(work, "SELECT current_user::text || ' ' || current_setting('statement_timeout')")[0].c_str(),
        std::string("grafana 30s"));

    std::string gpus;
    for (const DashboardQuery& query : dashboard_.variable_queries()) {
        for (const auto& row : work.exec(expanded(query.text, ""))) {
            gpus += fmt::format("{}'{}'", gpus.empty() ? "" : ",", row[0].c_str());
        }
    }
    EXPECT_THAT(gpus, HasSubstr("'H100'"));

    for (const DashboardQuery& query : dashboard_.panel_queries()) {
        const pqxx::result answer = work.exec(expanded(query.text, gpus));

        EXPECT_THAT(answer, Not(IsEmpty())) << query.panel;
        if (query.format == "time_series") {
            EXPECT_EQ(answer.column_type(answer.column_number("time")), timestamptz_oid) << query.panel;
        } else if (answer.size() == 1) {
            EXPECT_FALSE(answer[0][0].is_null()) << query.panel;
        }
    }
}

// What of the ledger a statement names, in whatever case and layout: tables and views, but no functions.
std::vector<std::string> relations_of(const std::string& sql) {
    const std::regex relation(R"re("?\brunledger"?\s*\.\s*"?(\w+)"?(?!\w|"|\s*\())re", std::regex::icase);
    std::vector<std::string> names;
    for (std::sregex_iterator match(sql.begin(), sql.end(), relation), end; match != end; ++match) {
        names.push_back((*match)[1].str());
    }
    return names;
}

TEST(RelationsOf, AreFoundInAnyCaseAndLayout) {
    EXPECT_THAT(relations_of("select 1 from runledger.runs"), testing::ElementsAre("runs"));
    EXPECT_THAT(relations_of("SELECT 1 FROM  runledger.a_v1\n\tJOIN\n runledger . \"b\" USING (id), RUNLEDGER.c"),
                testing::ElementsAre("a_v1", "b", "c"));
    EXPECT_THAT(relations_of("SELECT extract(epoch FROM silent_for), runledger.report_time_zone (), runledger.f()"),
                IsEmpty());
}

// What it may not read would be an empty panel in nobody's hands; so no question reads a table. The login's search path
// has only pg_catalog and pg_temp, so a name without its schema would have failed above.
TEST_F(CostsDashboard, ReadsVersionedViewsAlone) {
    std::vector<DashboardQuery> queries = dashboard_.panel_queries();
    for (DashboardQuery& query : dashboard_.variable_queries()) {
        queries.push_back(std::move(query));
    }
    for (const DashboardQuery& query : queries) {
        EXPECT_THAT(relations_of(query.text),
                    testing::AllOf(Not(IsEmpty()), testing::Each(testing::ContainsRegex("_v[0-9]+$"))))
            << query.panel << ": " << query.text;
    }
}

}  // namespace
}  // namespace runledger::test
