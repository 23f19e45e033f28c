// A dashboard of config/grafana as its file says it: for tests that check the file, and that ask its questions.
#pragma once

#include <rapidjson/document.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

// One question that a dashboard asks its data source.
struct DashboardQuery {
    std::string panel;   // The panel's title, or "variable edge", "annotation Alerts".
    std::string text;    // PromQL or SQL, with Grafana's variables and macros.
    std::string format;  // "table", "time_series", "heatmap"; empty: of a variable or an annotation.
};

class Dashboard {
public:
    // `name` without folder and ending: "runledger-flow". Throws if it isn't there or is no JSON.
    explicit Dashboard(std::string_view name);

    [[nodiscard]] const rapidjson::Document& json() const noexcept { return json_; }
    // Without the rows' titles.
    [[nodiscard]] std::vector<const rapidjson::Value*> panels() const;
    [[nodiscard]] std::vector<DashboardQuery> panel_queries() const;
    // `expr` of the annotations, and the queries of variables.
    [[nodiscard]] std::vector<DashboardQuery> annotation_queries() const;
    [[nodiscard]] std::vector<DashboardQuery> variable_queries() const;

private:
    rapidjson::Document json_;
};

// All that config/grafana has.
[[nodiscard]] std::vector<std::string> dashboard_names();

// `text` with each variable's value in its place: {"$edge", "127.0.0.1:80"}. Longer names first.
[[nodiscard]] std::string filled_in(std::string text, const std::map<std::string, std::string>& values);

// The member's text; empty if there is none.
[[nodiscard]] std::string text_of(const rapidjson::Value& object, const char* member);

}  // namespace runledger::test
