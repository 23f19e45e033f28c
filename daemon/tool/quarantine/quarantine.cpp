#include "daemon/tool/quarantine/quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string_view>

#include "common/wire.hpp"
#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/each_row.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/quarantine/replay.hpp"
#include "queries/quarantine.hpp"

namespace runledger::tool {
namespace {

constexpr std::size_t reason_bytes_max = 60;

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

std::string event_name(std::string_view segment, std::int64_t batch, const pqxx::field& index) {
    return fmt::format("{}/{}{}", segment, batch, index.is_null() ? "" : fmt::format("/{}", index.c_str()));
}

int list(Database& database, bool with_resolved, Output& out) {
    const Snapshot work(database);
    if (!out.as_json) {
        out.print("{:>8}  {:<20}  {:<6}  {:>9}  {:<46}  {:<36}  {}\n", "ID", "QUARANTINED", "SCOPE", "BYTES", "NAME",
                  "RUN", "REASON OR RESULT");
    }
    const auto print_row = [&out](const pqxx::row& row) {
        if (out.as_json) {
            out.print(JsonObject().add(row));
            return;
        }
        const std::string why = row["resolved_at"].is_null()
                                    ? one_line(row["reason"].as<std::string>(), reason_bytes_max)
                                    : "resolved: " + row["resolution"].as<std::string>();
        out.print("{:>8}  {:<20}  {:<6}  {:>9}  {:<46}  {:<36}  {}\n", row["id"].c_str(), row["quarantined_at"].c_str(),
                  row["scope"].c_str(), row["bytes"].c_str(),
                  event_name(row["segment"].c_str(), row["batch_number"].as<std::int64_t>(), row["event_index"]),
                  row["run_id"].is_null() ? "-" : row["run_id"].c_str(), why);
    };
    const std::uint64_t count = for_each_row(work, queries::quarantine::list, print_row, with_resolved);
    if (!out.as_json) {
        out.print("{} rows\n", count);
    }
    return exit_yes;
}

// The bodies of an event, an output, or each event of a batch.
std::vector<std::string> bodies_of(const QuarantinedRow& row) {
    std::vector<std::string> bodies;
    if (row.scope == "batch") {
        const auto decoded = wire::decode_batch(std::as_bytes(std::span(row.content)));
        if (const auto* batch = std::get_if<wire::Batch>(&decoded)) {
            for (const wire::Event& event : batch->events) {
                bodies.push_back(without_query_strings(event.body));
            }
            return bodies;
        }
    }
    bodies.push_back(without_query_strings(row.content));
    return bodies;
}

void print_content(const QuarantinedRow& row, bool raw, Output& out) {
    if (raw) {
        out.write(row.content);
        return;
    }
    for (const std::string& body : bodies_of(row)) {
        out.print("{}\n", Lines{body});
    }
}

void print_object(const QuarantinedRow& row, Output& out) {
    JsonObject object;
    object.add("id", row.id).add("quarantined_at", row.quarantined_at).add("scope", row.scope);
    object.add("reason", row.reason).add("segment", row.segment).add("batch_number", row.batch_number);
    object.add("event_index", row.event_index).add("edge", row.edge).add("received_at", row.received_text);
    object.add("run_id", row.run_id).add("resolved_at", row.resolved_at).add("resolution", row.resolution);
    object.add("bodies", bodies_of(row));
    out.print(object);
}

int show(Database& database, std::int64_t id, bool raw, Output& out) {
    Transaction work(database, unbounded);
    const auto row = find_quarantined(work, id);
    if (!row) {
        throw NotThere(fmt::format("quarantine has no row {}", id));
    }
    if (out.as_json && raw) {
        throw Misused("quarantine show: --raw prints bytes, not JSON");
    }
    if (out.as_json) {
        print_object(*row, out);
        return exit_yes;
    }
    if (!raw) {
        out.print(
            "id          {}\nquarantined {}\nscope       {}\nreason      {}\nname        {}/{}{}\nedge        {}\n",
            row->id, row->quarantined_at, row->scope, one_line(row->reason), row->segment, row->batch_number,
            row->event_index ? fmt::format("/{}", *row->event_index) : "", one_line(row->edge));
        out.print(
            "received    {}\nrun         {}\nresolved    {}\n\n", row->received_text.value_or("-"),
            row->run_id ? one_line(*row->run_id) : "-",
            row->resolved_at ? fmt::format("{}: {}", *row->resolved_at, one_line(row->resolution.value_or(""))) : "-");
    }
    print_content(*row, raw, out);
    return exit_yes;
}

int replay(Database& database, const std::vector<std::int64_t>& ids, Output& out) {
    int exit_code = exit_yes;
    std::uint64_t done = 0;
    for (const std::int64_t id : ids) {
        out.show_progress("replaying rows of quarantine", done++, ids.size());
        const Replayed replayed = replay_quarantined(database, id);
        std::string_view word;
        switch (replayed.result) {
            case ReplayResult::stored:
                word = "stored";
                break;
            case ReplayResult::known:
                word = "known";
                break;
            case ReplayResult::resolved:
                word = "resolved";
                break;
            case ReplayResult::still_refused:
                word = "refused";
                exit_code = exit_no;
                break;
            case ReplayResult::not_there:
                throw NotThere(fmt::format("quarantine has no row {}", id));
        }
        if (out.as_json) {
            JsonObject object;
            object.add("id", id).add("result", word).add("detail", one_line(replayed.sentence));
            out.print(object);
        } else {
            out.print("{:>8}  {:<8}  {}\n", id, word, one_line(replayed.sentence));
        }
    }
    return exit_code;
}

std::vector<std::int64_t> open_ids(Database& database) {
    const Snapshot work(database);
    std::vector<std::int64_t> ids;
    for (const auto& row : work.run(queries::quarantine::list, false)) {
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
    list_command_->add_flag("--resolved", with_resolved_, "Include rows that were replayed");

    show_command_ = quarantine_command_->add_subcommand("show", "Show one row and its content");
    show_command_->add_option("ID", show_id_, "The row's id")->required();
    show_command_->add_flag("--raw", raw_, "Print only the bytes, unchanged, with the query strings of links");

    replay_command_ =
        quarantine_command_->add_subcommand("replay", "Store rows in their place, after the cause was fixed");
    CLI::Option* ids = replay_command_->add_option("ID", replay_ids_, "The rows' ids");
    CLI::Option* all = replay_command_->add_flag("--all", all_, "All rows that are not resolved");
    ids->excludes(all);
}

int QuarantineCli::run(const std::string& postgres_uri, Output& out) {
    Database database(postgres_uri, "quarantine");
    if (list_command_->parsed()) {
        return list(database, with_resolved_, out);
    }
    if (show_command_->parsed()) {
        return show(database, show_id_, raw_, out);
    }
    if (replay_ids_.empty() && !all_) {
        throw Misused("quarantine replay: name the rows' ids, or --all");
    }
    std::ranges::sort(replay_ids_);  // One that is named twice is one.
    replay_ids_.erase(std::unique(replay_ids_.begin(), replay_ids_.end()), replay_ids_.end());
    return replay(database, all_ ? open_ids(database) : replay_ids_, out);
}

}  // namespace runledger::tool
