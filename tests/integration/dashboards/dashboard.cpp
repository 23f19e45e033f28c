#include "tests/integration/dashboards/dashboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

const std::filesystem::path dashboards_folder =
    std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "config/grafana/dashboards";

}  // namespace

Dashboard::Dashboard(std::string_view name) {
    const std::string text = read_text(dashboards_folder / fmt::format("{}.json", name));
    if (json_.Parse(text.c_str()).HasParseError() || !json_.IsObject()) {
        throw std::runtime_error(fmt::format("{} is no JSON object, at byte {}", name, json_.GetErrorOffset()));
    }
}

std::vector<const rapidjson::Value*> Dashboard::panels() const {
    std::vector<const rapidjson::Value*> all;
    for (const auto& panel : json_["panels"].GetArray()) {
        if (text_of(panel, "type") != "row") {
            all.push_back(&panel);
        }
    }
    return all;
}

std::vector<DashboardQuery> Dashboard::panel_queries() const {
    std::vector<DashboardQuery> all;
    for (const rapidjson::Value* panel : panels()) {
        for (const auto& target : (*panel)["targets"].GetArray()) {
            const char* const member = target.HasMember("expr") ? "expr" : "rawSql";
            all.push_back({text_of(*panel, "title"), text_of(target, member), text_of(target, "format")});
        }
    }
    return all;
}

std::vector<DashboardQuery> Dashboard::annotation_queries() const {
    std::vector<DashboardQuery> all;
    for (const auto& annotation : json_["annotations"]["list"].GetArray()) {
        if (annotation.HasMember("expr")) {
            all.push_back({"annotation " + text_of(annotation, "name"), text_of(annotation, "expr"), ""});
        }
    }
    return all;
}

std::vector<DashboardQuery> Dashboard::variable_queries() const {
    std::vector<DashboardQuery> all;
    for (const auto& variable : json_["templating"]["list"].GetArray()) {
        if (text_of(variable, "type") == "query") {
            all.push_back({"variable " + text_of(variable, "name"), text_of(variable, "definition"), ""});
        }
    }
    return all;
}

std::vector<std::string> dashboard_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dashboards_folder)) {
        names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string filled_in(std::string text, const std::map<std::string, std::string>& values) {
    for (auto value = values.rbegin(); value != values.rend(); ++value) {
        for (std::size_t at = text.find(value->first); at != std::string::npos;
             at = text.find(value->first, at + value->second.size())) {
            text.replace(at, value->first.size(), value->second);
        }
    }
    return text;
}

std::string text_of(const rapidjson::Value& object, const char* member) {
    const auto found = object.FindMember(member);
    return found != object.MemberEnd() && found->value.IsString() ? found->value.GetString() : "";
}

}  // namespace runledger::test
