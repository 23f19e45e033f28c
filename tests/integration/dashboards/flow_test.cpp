// A real Prometheus scrapes the real edge and the real daemon, by the configuration of docs/metrics.md, while a run
// goes through; then it is asked every question of the dashboard and of the alerts.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "tests/integration/dashboards/dashboard.hpp"
#include "tests/integration/dashboards/prometheus_server.hpp"
#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::filesystem::path source_folder{RUNLEDGER_SOURCE_DIR};

class FlowDashboard : public Pipeline {
protected:
    void start_prometheus() {
        const std::string document = read_text(source_folder / "docs/metrics.md");
        const std::size_t begin = document.find("```yaml\n") + 8;
        const std::string scrapes = document.substr(begin, document.find("```\n", begin) - begin);
        EXPECT_THAT(scrapes, testing::HasSubstr("rule_files"));
        const auto rules =
            folder().write_file("rules.yml", read_text(source_folder / "config/prometheus/runledger.rules.yml"));
        const std::string configuration =
            filled_in(scrapes, {{"127.0.0.1:9145", edge_instance_},
                                {"127.0.0.1:9464", daemon_instance_},
                                {"/usr/share/runledger/prometheus/runledger.rules.yml", rules.string()}});
        prometheus_.emplace(folder(), "global: {scrape_interval: 200ms, evaluation_interval: 200ms}\n" + configuration);
        wait_for_scrapes();
    }
    // Of both, from now on, and enough of them for a rate.
    void wait_for_scrapes() {
        const std::string scrapes = "min(count_over_time(up[1m]))";
        const double before = prometheus_->value(scrapes).value_or(0);
        eventually("Prometheus has scraped both again", [&] {
            return prometheus_->value("count(up == 1)") == 2 && prometheus_->value(scrapes).value_or(0) >= before + 3;
        });
    }
    void start_everything() {
        start_all();
        edge_instance_ = fmt::format("127.0.0.1:{}", nginx().port());
        daemon_instance_ = fmt::format("127.0.0.1:{}", daemon().metrics_port());
        start_prometheus();
    }
    // From the request to the message.
    void let_a_run_through() {
        insert_generation("a-run");
        EXPECT_EQ(post(R"({"run_id": "a-run", "status": "running"})"), 200);
        EXPECT_EQ(post(R"({"run_id": "a-run", "status": "success", "outputs": []})"), 200);
        EXPECT_EQ(post("no event"), 400);
        eventually("the message is sent",
                   [&] { return value("SELECT count(*) FROM runledger.notifications WHERE state = 'sent'") == "1"; });
        wait_for_scrapes();
    }
    // As Grafana does it.
    [[nodiscard]] std::string grafana_fills_in(const std::string& query) const {
        std::string filled =
            filled_in(query, {{"$edge", edge_instance_}, {"$daemon", daemon_instance_}, {"$__rate_interval", "1m"}});
        EXPECT_EQ(filled.find('$'), std::string::npos) << filled;
        return filled;
    }
    [[nodiscard]] std::optional<double> panel_value(std::string_view title) const {
        for (const DashboardQuery& query : dashboard_.panel_queries()) {
            if (query.panel == title) {
                return prometheus_->value(grafana_fills_in(query.text));
            }
        }
        ADD_FAILURE() << "no panel " << title;
        return std::nullopt;
    }

    // Each, on metrics that there are; and none fires but for what the test has done.
    void expect_alerts_that_can_be_evaluated() {
        eventually("each alert is evaluated", [&] {
            const auto alerts = prometheus_->alerts();
            return !alerts.empty() &&
                   std::ranges::none_of(alerts, [](const auto& alert) { return alert.health == "unknown"; });
        });
        std::set<std::string> metrics;
        for (const auto& alert : prometheus_->alerts()) {
            EXPECT_EQ(alert.health, "ok") << alert.name << ": " << alert.error;
            const std::regex name("runledger_[a-z_]+");
            for (std::sregex_iterator match(alert.query.begin(), alert.query.end(), name), end; match != end; ++match) {
                metrics.insert(match->str());
            }
        }
        EXPECT_GT(metrics.size(), 20U);
        for (const std::string& metric : metrics) {
            EXPECT_THAT(prometheus_->ask(metric).values, Not(IsEmpty())) << metric;
        }
        EXPECT_EQ(prometheus_->value(R"(count(ALERTS{alertname!="RunledgerRefusesStrangers"}) or vector(0))"), 0);
    }

    const Dashboard dashboard_{"runledger-flow"};
    std::optional<PrometheusServer> prometheus_;
    std::string edge_instance_;
    std::string daemon_instance_;
};

TEST_F(FlowDashboard, HasAnAnswerToEachQuestionAndSaysWhetherWorkFlows) {
    start_everything();
    let_a_run_through();

    for (const DashboardQuery& query : dashboard_.panel_queries()) {
        const auto answer = prometheus_->ask(grafana_fills_in(query.text));
        EXPECT_EQ(answer.error, "") << query.panel << ": " << query.text;
        EXPECT_THAT(answer.values, Not(IsEmpty())) << query.panel << ": " << query.text;
    }
    for (const DashboardQuery& query : dashboard_.annotation_queries()) {
        EXPECT_EQ(prometheus_->ask(grafana_fills_in(query.text)).error, "") << query.panel;
    }
    for (const DashboardQuery& query : dashboard_.variable_queries()) {
        std::smatch parts;
        ASSERT_TRUE(std::regex_match(query.text, parts, std::regex(R"(label_values\((\w+), instance\))")));
        EXPECT_THAT(prometheus_->ask(parts[1].str()).values, SizeIs(1)) << query.panel;
    }
    expect_alerts_that_can_be_evaluated();
    EXPECT_EQ(panel_value("Is work flowing?"), 1);
    EXPECT_EQ(panel_value("PostgreSQL"), 1);
    EXPECT_EQ(panel_value("Workers without a link"), 0);

    postgres().stop();
    eventually("the verdict changes", [&] { return panel_value("Is work flowing?") == 0; });
    EXPECT_EQ(panel_value("PostgreSQL"), 0);
    eventually("the alert is pending",
               [&] { return prometheus_->value(R"(count(ALERTS{alertname="RunledgerPostgresAway"}))") == 1; });
    postgres().start();
    eventually(
        "the verdict is as before", [&] { return panel_value("Is work flowing?") == 1; }, std::chrono::seconds{30});
}

}  // namespace
}  // namespace runledger::test
