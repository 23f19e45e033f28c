#include "daemon/tool/explain/json.hpp"

#include <cstdint>
#include <vector>

#include "queries/explain.hpp"

namespace runledger::tool {
namespace {

std::vector<JsonObject> each_row(const pqxx::result& rows) {
    std::vector<JsonObject> objects;
    for (const auto& row : rows) {
        objects.emplace_back().add(row);
    }
    return objects;
}

// The rows of generations, each with its settlements and notifications.
std::vector<JsonObject> with_history(const Statements& work, const std::string& run_id, const pqxx::result& rows) {
    std::vector<JsonObject> objects;
    for (const auto& row : rows) {
        const auto id = row["id"].as<std::int64_t>();
        JsonObject& object = objects.emplace_back().add(row);
        object.add("settlements", each_row(work.run(queries::explain::settlements, id)));
        object.add("notifications", each_row(work.run(queries::explain::notifications, run_id, id)));
    }
    return objects;
}

}  // namespace

JsonObject explain_as_json(const Statements& work, const ExplainedRun& explained) {
    JsonObject object;
    if (explained.run_id.empty()) {
        object.add_null("run_id");
    } else {
        object.add("run_id", explained.run_id);
    }
    if (explained.runs.empty()) {
        object.add_null("run");
    } else {
        object.add("run", std::move(JsonObject().add(explained.runs[0])));
    }
    object.add("events", each_row(work.run(queries::explain::events, explained.run_id)));
    object.add("generations", with_history(work, explained.run_id, explained.generations));
    object.add("gone", with_history(work, explained.run_id, explained.gone));
    object.add(explained.rest[0]);
    return object;
}

}  // namespace runledger::tool
