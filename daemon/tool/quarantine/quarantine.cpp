#include "daemon/tool/quarantine/quarantine.hpp"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string_view>

#include "common/wire.hpp"
#include "daemon/database/database.hpp"
#include "daemon/tool/quarantine/replay.hpp"
#include "queries/quarantine.hpp"

namespace runledger::tool {
namespace {

constexpr int exit_done = 0;
constexpr int exit_still_refused = 3;
constexpr std::size_t reason_characters_max = 60;

// One line, whatever is in it.
std::string line_of(std::string_view text, std::size_t characters_max = std::string_view::npos) {
    std::string line(text.substr(0, characters_max));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return line;
}

// Links in outputs can be presigned: what follows the question mark opens them for whoever reads this.
std::string without_query_strings(std::string_view text) {
    std::string masked;
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t scheme = std::min(text.find("http://", from), text.find("https://", from));
        const std::size_t end =
            std::min(text.find_first_of("\"' \t\r\n<>\\", std::min(scheme, text.size())), text.size());
        const std::size_t query = std::min(text.find('?', std::min(scheme, text.size())), text.size());
        if (scheme == std::string_view::npos) {
            masked += text.substr(from);
            break;
        }
        masked += text.substr(from, std::min(query, end) - from);
        masked += query < end ? "?…" : "";
        from = end;
    }
    return masked;
}

void print_text(std::FILE* out, std::string_view text, bool raw) {
    if (raw) {
        std::fwrite(text.data(), 1, text.size(), out);
    } else {
        fmt::print(out, "{}\n", without_query_strings(text));
    }
}

std::string event_name(std::string_view segment, std::int64_t batch, const pqxx::field& index) {
    return fmt::format("{}/{}{}", segment, batch, index.is_null() ? "" : fmt::format("/{}", index.c_str()));
}

std::string to_json(const pqxx::row& row) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.StartObject();
    for (const pqxx::field& field : row) {
        const std::string_view name = field.name();
        writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
        if (field.is_null()) {
            writer.Null();
        } else if (name == "id" || name == "batch_number" || name == "event_index" || name == "bytes") {
            writer.Int64(field.as<std::int64_t>());
        } else {
            writer.String(field.c_str(), static_cast<rapidjson::SizeType>(field.size()));
        }
    }
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

int list(Database& database, bool with_resolved, bool json, std::FILE* out) {
    pqxx::read_transaction work(database.connection());
    const auto rows = work.exec_params(std::string(queries::quarantine::list), with_resolved);
    if (!json) {
        fmt::print(out, "{:>8}  {:<20}  {:<6}  {:>9}  {:<46}  {:<36}  {}\n", "ID", "QUARANTINED", "SCOPE", "BYTES",
                   "NAME", "RUN", "REASON OR RESULT");
    }
    for (const auto& row : rows) {
        if (json) {
            fmt::print(out, "{}\n", to_json(row));
            continue;
        }
        const std::string why = row["resolved_at"].is_null()
                                    ? line_of(row["reason"].as<std::string>(), reason_characters_max)
                                    : "resolved: " + line_of(row["resolution"].as<std::string>());
        fmt::print(out, "{:>8}  {:<20}  {:<6}  {:>9}  {:<46}  {:<36}  {}\n", row["id"].c_str(),
                   row["quarantined_at"].c_str(), row["scope"].c_str(), row["bytes"].c_str(),
                   event_name(row["segment"].c_str(), row["batch_number"].as<std::int64_t>(), row["event_index"]),
                   row["run_id"].is_null() ? "-" : line_of(row["run_id"].as<std::string>()), why);
    }
    if (!json) {
        fmt::print(out, "{} rows\n", rows.size());
    }
    return exit_done;
}

void print_content(const QuarantinedRow& row, bool raw, std::FILE* out) {
    if (row.scope != "batch" || raw) {
        print_text(out, row.content, raw);
        return;
    }
    const auto decoded = wire::decode_batch(std::as_bytes(std::span(row.content)));
    if (const auto* batch = std::get_if<wire::Batch>(&decoded)) {
        for (const wire::Event& event : batch->events) {
            print_text(out, event.body, false);
        }
    } else {
        print_text(out, row.content, false);
    }
}

int show(Database& database, std::int64_t id, bool raw, std::FILE* out) {
    pqxx::work work(database.connection());
    const auto row = find_quarantined(work, id);
    if (!row) {
        throw std::runtime_error(fmt::format("quarantine has no row {}", id));
    }
    if (!raw) {
        fmt::print(
            out,
            "id          {}\nquarantined {}\nscope       {}\nreason      {}\nname        {}/{}{}\nedge        {}\n",
            row->id, row->quarantined_at, row->scope, line_of(row->reason), row->segment, row->batch_number,
            row->event_index ? fmt::format("/{}", *row->event_index) : "", line_of(row->edge));
        fmt::print(
            out, "received    {}\nrun         {}\nresolved    {}\n\n", row->received_text.value_or("-"),
            row->run_id ? line_of(*row->run_id) : "-",
            row->resolved_at ? fmt::format("{}: {}", *row->resolved_at, line_of(row->resolution.value_or(""))) : "-");
    }
    print_content(*row, raw, out);
    return exit_done;
}

int replay(Database& database, const std::vector<std::int64_t>& ids, std::FILE* out) {
    int exit_code = exit_done;
    for (const std::int64_t id : ids) {
        const Replayed replayed = replay_quarantined(database, id);
        std::string_view word;
        switch (replayed.fate) {
            case ReplayFate::stored:
                word = "stored";
                break;
            case ReplayFate::known:
                word = "known";
                break;
            case ReplayFate::resolved:
                word = "resolved";
                break;
            case ReplayFate::still_refused:
                word = "refused";
                exit_code = exit_still_refused;
                break;
            case ReplayFate::not_there:
                throw std::runtime_error(fmt::format("quarantine has no row {}", id));
        }
        fmt::print(out, "{:>8}  {:<8}  {}\n", id, word, line_of(replayed.sentence));
    }
    return exit_code;
}

std::vector<std::int64_t> open_ids(Database& database) {
    pqxx::read_transaction work(database.connection());
    std::vector<std::int64_t> ids;
    for (const auto& row : work.exec_params(std::string(queries::quarantine::list), false)) {
        ids.push_back(row["id"].as<std::int64_t>());
    }
    return ids;
}

}  // namespace

QuarantineCli::QuarantineCli(CLI::App& app) {
    quarantine_command_ =
        app.add_subcommand("quarantine", "List, show and replay what could not be stored in its place");
    quarantine_command_->require_subcommand(1);

    list_command_ = quarantine_command_->add_subcommand("list", "List the rows, the oldest first");
    list_command_->add_flag("--json", json_, "Print one JSON object on each line");
    list_command_->add_flag("--resolved", with_resolved_, "Include rows that were replayed");

    show_command_ = quarantine_command_->add_subcommand("show", "Show one row and its content");
    show_command_->add_option("ID", show_id_, "The row's id")->required();
    show_command_->add_flag("--raw", raw_, "Print only the bytes, unchanged, with the query strings of links");

    replay_command_ = quarantine_command_->add_subcommand(
        "replay", "Store rows in their place, after the cause was fixed; exit code 0: done, 3: a row is still refused");
    CLI::Option* ids = replay_command_->add_option("ID", replay_ids_, "The rows' ids");
    CLI::Option* all = replay_command_->add_flag("--all", all_, "All rows that are not resolved");
    ids->excludes(all);
}

int QuarantineCli::run(const std::string& postgres_uri, std::FILE* out) {
    spdlog::set_level(spdlog::level::off);  // Apply's own code logs; here, what it met is told line by line.
    Database database(postgres_uri, "quarantine");
    if (list_command_->parsed()) {
        return list(database, with_resolved_, json_, out);
    }
    if (show_command_->parsed()) {
        return show(database, show_id_, raw_, out);
    }
    if (replay_ids_.empty() && !all_) {
        throw std::runtime_error("quarantine replay: name the rows' ids, or --all");
    }
    return replay(database, all_ ? open_ids(database) : replay_ids_, out);
}

}  // namespace runledger::tool
