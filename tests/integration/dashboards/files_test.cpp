// The dashboards' files: what Grafana and its readers need of them, and what they lean on in the documents.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "tests/integration/dashboards/dashboard.hpp"
#include "tests/support/prometheus_text.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::Eq;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> matches(const std::string& text, const std::string& pattern, std::size_t group = 0) {
    const std::regex regex(pattern);
    std::vector<std::string> found;
    for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match) {
        found.push_back((*match)[group].str());
    }
    return found;
}

class DashboardFile : public testing::TestWithParam<std::string> {
protected:
    const Dashboard dashboard_{GetParam()};
};

TEST_P(DashboardFile, HasAUidThatIsItsNameATitleAndADescription) {
    EXPECT_EQ(text_of(dashboard_.json(), "uid"), GetParam());
    EXPECT_THAT(text_of(dashboard_.json(), "title"), Not(IsEmpty()));
    EXPECT_THAT(text_of(dashboard_.json(), "description"), Not(IsEmpty()));
    EXPECT_FALSE(dashboard_.json().HasMember("id")) << "Grafana gives it";
}

TEST_P(DashboardFile, GivesEachPanelAnIdOfItsOwn) {
    std::set<int> ids;
    for (const auto& panel : dashboard_.json()["panels"].GetArray()) {
        EXPECT_TRUE(ids.insert(panel["id"].GetInt()).second) << text_of(panel, "title");
    }
}

TEST_P(DashboardFile, SaysOfEachPanelWhatItShowsAndInWhichUnit) {
    std::set<std::string> titles;
    for (const rapidjson::Value* panel : dashboard_.panels()) {
        const std::string title = text_of(*panel, "title");
        EXPECT_TRUE(titles.insert(text_of(*panel, "type") + " " + title).second) << title;
        EXPECT_THAT(text_of(*panel, "description"), Not(IsEmpty())) << title;
        const auto& defaults = (*panel)["fieldConfig"]["defaults"];
        EXPECT_THAT(text_of(defaults, "unit"), Not(IsEmpty())) << title;
        EXPECT_TRUE(defaults.HasMember("thresholds")) << title;
        std::set<std::string> refs;
        for (const auto& target : (*panel)["targets"].GetArray()) {
            EXPECT_TRUE(refs.insert(text_of(target, "refId")).second) << title;
            if (target.HasMember("expr") && text_of(*panel, "type") == "timeseries") {
                EXPECT_THAT(text_of(target, "legendFormat"), Not(IsEmpty())) << title;
            }
        }
        EXPECT_FALSE(refs.empty()) << title;
    }
}

TEST_P(DashboardFile, LaysItsPanelsOutWithoutOverlaps) {
    std::set<std::pair<int, int>> taken;
    for (const auto& panel : dashboard_.json()["panels"].GetArray()) {
        const auto& place = panel["gridPos"];
        const int x = place["x"].GetInt();
        const int width = place["w"].GetInt();
        EXPECT_LE(x + width, 24) << text_of(panel, "title");
        for (int column = x; column < x + width; ++column) {
            for (int line = place["y"].GetInt(); line < place["y"].GetInt() + place["h"].GetInt(); ++line) {
                EXPECT_TRUE(taken.emplace(column, line).second) << text_of(panel, "title");
            }
        }
    }
}

// A uid of a data source is another one in each Grafana: the reader chooses it by the variable.
TEST_P(DashboardFile, NamesNoDataSourceByItsUid) {
    const std::string text =
        read_text(fmt::format("{}/config/grafana/dashboards/{}.json", RUNLEDGER_SOURCE_DIR, GetParam()));
    for (const std::string& uid : matches(text, R"re("uid":\s*"([^"]*)")re", 1)) {
        EXPECT_THAT(uid, AnyOf(Eq("${datasource}"), Eq("-- Grafana --"), Eq(GetParam())));
    }
    EXPECT_EQ(text_of(dashboard_.json()["templating"]["list"][0], "type"), "datasource");
}

TEST_P(DashboardFile, AsksForNoMetricThatTheDocumentLacks) {
    const std::set<std::string> documented = documented_metrics();
    auto queries = dashboard_.panel_queries();
    for (const auto& more : {dashboard_.annotation_queries(), dashboard_.variable_queries()}) {
        queries.insert(queries.end(), more.begin(), more.end());
    }
    for (const DashboardQuery& query : queries) {
        if (query.text.find("runledger.") != std::string::npos) {
            continue;  // SQL.
        }
        for (const std::string& metric : matches(query.text, "runledger_[a-z_]+")) {
            EXPECT_THAT(documented, AnyOf(Contains(metric), Contains(metric.substr(0, metric.rfind("_bucket")))))
                << query.panel;
        }
    }
}

// docs/operations.md, "Disk"
TEST_P(DashboardFile, LeadsToSectionsThatThereAre) {
    for (const rapidjson::Value* panel : dashboard_.panels()) {
        const std::string description = text_of(*panel, "description");
        for (const std::string& document : matches(description, R"re(docs/[a-z]+\.md, "[^"]+"(?: and "[^"]+")*)re")) {
            const std::string path = document.substr(0, document.find(','));
            const std::string content = "\n" + read_text(fmt::format("{}/{}", RUNLEDGER_SOURCE_DIR, path));
            for (const std::string& section : matches(document, R"re("([^"]+)")re", 1)) {
                EXPECT_NE(content.find(fmt::format("# {}\n", section)), std::string::npos)
                    << text_of(*panel, "title") << ": " << path << " has no section " << section;
            }
        }
    }
}

// Grafana does not start with a data source whose file is missing; so the document says how to make each.
TEST(DataSources, ReadNoFileThatTheDocumentDoesNotMake) {
    const std::string folder = std::string{RUNLEDGER_SOURCE_DIR} + "/config/grafana/provisioning";
    const std::string document = read_text(std::string{RUNLEDGER_SOURCE_DIR} + "/docs/metrics.md");
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            std::ranges::move(matches(read_text(entry.path()), R"re(\$__file\{([^}]+)\})re", 1),
                              std::back_inserter(files));
        }
    }
    EXPECT_THAT(files, Not(IsEmpty()));
    for (const std::string& file : files) {
        EXPECT_THAT(matches(document, "    install [^\\n]*" + file), Not(IsEmpty())) << file;
    }
}

INSTANTIATE_TEST_SUITE_P(, DashboardFile, testing::ValuesIn(dashboard_names()), [](const auto& name) {
    std::string camel;
    for (const std::string& word : matches(name.param, "[a-z]+")) {
        camel += static_cast<char>(std::toupper(word.front()));
        camel += word.substr(1);
    }
    return camel;
});

}  // namespace
}  // namespace runledger::test
