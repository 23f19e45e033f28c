// The daemon's metrics as others read them: promtool, and a reader of docs/metrics.md.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

class DaemonMetrics : public Pipeline {
protected:
    [[nodiscard]] std::string text() { return http_get(daemon().metrics_url()).body; }
};

TEST_F(DaemonMetrics, PleasePromtoolAndAreAllInTheDocumentation) {
    start_all();
    EXPECT_EQ(promtool_complaints(text(), folder()), "");

    EXPECT_EQ(post(R"({"run_id": "a-run", "status": "running"})"), 200);
    eventually("the event is applied", [this] { return samples_of(text()).at("runledger_events_applied_total") == 1; });
    EXPECT_EQ(promtool_complaints(text(), folder()), "");

    std::set<std::string> documented = documented_metrics();
    std::erase_if(documented, [](const std::string& name) { return name.starts_with("runledger_edge_"); });
    std::set<std::string> served = family_names(text());
    std::erase_if(served, [](const std::string& name) { return name.starts_with("exposer_"); });
    EXPECT_EQ(served, documented);
}

}  // namespace
}  // namespace runledger::test
