#include "daemon/tool/replay/command.hpp"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace runledger::tool {
namespace {

constexpr int exit_same = 0;
constexpr int exit_differs = 3;

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

void put(JsonWriter& writer, const char* name, const std::optional<std::string>& value) {
    writer.Key(name);
    if (value) {
        writer.String(value->c_str(), static_cast<rapidjson::SizeType>(value->size()));
    } else {
        writer.Null();
    }
}

void put(JsonWriter& writer, const char* name, const RunDifference::Side& side) {
    writer.Key(name);
    writer.StartObject();
    put(writer, "run_status", side.run_status);
    put(writer, "status", side.status);
    put(writer, "duration_ms", side.duration_ms);
    put(writer, "cost_usd", side.cost_usd);
    put(writer, "cost_note", side.cost_note);
    writer.EndObject();
}

std::string to_json(const RunDifference& difference) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer(buffer);
    writer.StartObject();
    put(writer, "run_id", difference.run_id);
    put(writer, "generation_id", difference.generation_id);
    put(writer, "stored", difference.stored);
    put(writer, "replayed", difference.replayed);
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

// "status pending → completed, cost_usd - → 0.0034": only what differs.
std::string to_line(const RunDifference& difference) {
    std::string line;
    const auto& [stored, replayed] = std::pair{difference.stored, difference.replayed};
    const std::initializer_list<
        std::pair<const char*, std::pair<std::optional<std::string>, std::optional<std::string>>>>
        columns{{"run", {stored.run_status, replayed.run_status}},
                {"status", {stored.status, replayed.status}},
                {"duration_ms", {stored.duration_ms, replayed.duration_ms}},
                {"cost_usd", {stored.cost_usd, replayed.cost_usd}},
                {"cost_note", {stored.cost_note, replayed.cost_note}}};
    for (const auto& [name, values] : columns) {
        if (values.first != values.second) {
            line += fmt::format("{}{} {} → {}", line.empty() ? "" : ", ", name, values.first.value_or("-"),
                                values.second.value_or("-"));
        }
    }
    std::string run_id = difference.run_id;
    std::replace_if(
        run_id.begin(), run_id.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return fmt::format("{:<36}  {:>10}  {}", run_id, difference.generation_id.value_or("-"), line);
}

}  // namespace

ReplayCli::ReplayCli(CLI::App& app) {
    command_ = app.add_subcommand(
        "replay", "Apply stored events to a scratch schema and show the runs that differ; exit code 0: none, 3: some");
    command_->add_option("--from", range_.from, "Receive time of the first event: 2026-01-31 or 2026-01-31T12:00Z")
        ->required();
    command_->add_option("--to", range_.to, "Receive times before this one")->required();
    command_->add_option("--into", into_, "The scratch schema; one that `replay` made before is made anew")->required();
    command_->add_flag("--json", json_, "Print one JSON object on a line for each run that differs");
}

int ReplayCli::run(const Config& config, std::FILE* out) {
    const ScratchSchema scratch(into_);
    Database database(config.postgres.direct_uri, "replay");
    if (!json_) {
        fmt::print(out, "{:<36}  {:>10}  {}\n", "RUN", "GENERATION", "STORED → REPLAYED");
    }
    const ReplaySums sums = replay(database, scratch, range_, config.settle, [&](const RunDifference& difference) {
        fmt::print(out, "{}\n", json_ ? to_json(difference) : to_line(difference));
    });
    if (!json_) {
        fmt::print(out,
                   "{} events ({} of them would be quarantined) and {} reports of {} runs; {} runs also have events "
                   "outside this time and are left out\n{} runs compared, {} differ; cost_usd {} stored, {} replayed\n",
                   sums.events, sums.set_aside, sums.reports, sums.runs, sums.runs - sums.compared, sums.compared,
                   sums.differing, sums.cost_stored, sums.cost_replayed);
    }
    return sums.differing == 0 ? exit_same : exit_differs;
}

}  // namespace runledger::tool
