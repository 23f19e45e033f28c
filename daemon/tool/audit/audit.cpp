#include "daemon/tool/audit/audit.hpp"

#include <fmt/format.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <string_view>

#include "daemon/database/database.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/time_option.hpp"

namespace runledger::tool {
namespace {

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

void print_line(std::FILE* out, std::string_view day, std::string_view edge, std::string_view segment,
                const BookSums& sums, std::string_view note) {
    fmt::print(out, "{:<10}  {:<20}  {:<32}  {:>9} {:>12} {:>12} {:>12} {:>12}  {}\n", day, edge, segment, sums.batches,
               sums.stored, sums.applied, sums.duplicate, sums.quarantined, note);
}

// What is not in the rows any more, for eyes.
std::string note_of(const BookEntry& entry) {
    std::string note;
    if (entry.is_dropped) {
        note = "partition dropped";
    } else if (entry.events_removed > 0) {
        note = fmt::format("{} events deleted", entry.events_removed);
    }
    if (entry.replayed > 0) {
        note += fmt::format("{}{} replayed from quarantine", note.empty() ? "" : ", ", entry.replayed);
    }
    if (entry.set_aside_removed > 0) {
        note += fmt::format("{}{} deleted from quarantine", note.empty() ? "" : ", ", entry.set_aside_removed);
    }
    return note;
}

void print_text(const Books& books, bool segments, std::FILE* out) {
    fmt::print(out, "{:<10}  {:<20}  {:<32}  {:>9} {:>12} {:>12} {:>12} {:>12}\n", "DAY", "EDGE", "SEGMENT", "BATCHES",
               "STORED", "APPLIED", "DUPLICATE", "QUARANTINED");
    if (segments) {
        for (const BookEntry& entry : books.entries) {
            print_line(out, entry.day, entry.edge, entry.segment, entry.sums, note_of(entry));
        }
    }
    std::map<std::pair<std::string, std::string>, std::size_t> counts;
    std::size_t dropped = 0;
    for (const BookEntry& entry : books.entries) {
        ++counts[{entry.day, entry.edge}];
        dropped += entry.is_dropped ? 1 : 0;
    }
    for (const auto& [key, sums] : books.by_day_and_edge()) {
        print_line(out, key.first, key.second, fmt::format("{} segments", counts[key]), sums, "");
    }
    if (dropped > 0) {
        fmt::print(out, "{} entries are of dropped partitions: only the books have them\n", dropped);
    }
    if (books.spool) {
        fmt::print(out, "spool: {} segments with {} events; {} events in {} batches are on their way\n",
                   books.spool->segments, books.spool->events, books.spool->events_waiting,
                   books.spool->batches_waiting);
    }
    for (const OpenEdge& edge : books.open_edges) {
        fmt::print(out, "edge {} has {} open segments; the newest of their batches here: {}\n", edge.edge,
                   edge.segments, edge.last_applied_at.empty() ? "none" : edge.last_applied_at);
    }
    fmt::print(out,
               "what edges hold and have not sent is not in these books; after a restore, have all edges send again: "
               "docs/operations.md, \"Restore the database\"\n");
    for (const std::string& finding : books.findings) {
        fmt::print(out, "DOES NOT ADD UP: {}\n", finding);
    }
    for (const RowDifference& difference : books.differences) {
        fmt::print(out, "NOT AS SETTLED: generation {}, run {}: {}\n", difference.generation, difference.run_id,
                   difference.sentence);
    }
    if (books.differences_count > 0) {
        fmt::print(out, "{} generations are not as they were settled{}\n", books.differences_count,
                   books.differences_count > books.differences.size()
                       ? fmt::format("; the first {} are shown", books.differences.size())
                       : "");
    }
    const BookSums total = books.total();
    fmt::print(out, "the books {}: {} stored = {} applied + {} duplicate + {} quarantined\n",
               books.findings.empty() ? "close" : "DO NOT CLOSE", total.stored, total.applied, total.duplicate,
               total.quarantined);
}

void add_sums(JsonWriter& writer, const BookSums& sums) {
    const auto add = [&writer](const char* key, std::int64_t value) {
        writer.Key(key);
        writer.Int64(value);
    };
    add("batches", sums.batches);
    add("stored", sums.stored);
    add("applied", sums.applied);
    add("duplicate", sums.duplicate);
    add("quarantined", sums.quarantined);
}

void print_json(const Books& books, std::FILE* out) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer(buffer);
    const auto add_text = [&writer](const char* key, const std::string& value) {
        writer.Key(key);
        writer.String(value.c_str(), static_cast<rapidjson::SizeType>(value.size()));
    };
    writer.StartObject();
    writer.Key("closes");
    writer.Bool(books.findings.empty());
    add_sums(writer, books.total());
    writer.Key("entries");
    writer.StartArray();
    for (const BookEntry& entry : books.entries) {
        writer.StartObject();
        add_text("day", entry.day);
        add_text("edge", entry.edge);
        add_text("segment", entry.segment);
        add_sums(writer, entry.sums);
        writer.Key("event_rows");
        writer.Int64(entry.event_rows);
        writer.Key("events_deleted");
        writer.Int64(entry.events_removed);
        writer.Key("replayed");
        writer.Int64(entry.replayed);
        writer.Key("partition_dropped");
        writer.Bool(entry.is_dropped);
        writer.EndObject();
    }
    writer.EndArray();
    if (books.spool) {
        writer.Key("spool_events");
        writer.Int64(books.spool->events);
        writer.Key("spool_events_waiting");
        writer.Int64(books.spool->events_waiting);
    }
    writer.Key("open_edges");
    writer.StartArray();
    for (const OpenEdge& edge : books.open_edges) {
        writer.StartObject();
        add_text("edge", edge.edge);
        writer.Key("segments");
        writer.Int64(edge.segments);
        add_text("last_applied_at", edge.last_applied_at);
        writer.EndObject();
    }
    writer.EndArray();
    writer.Key("rows_not_as_settled");
    writer.Uint64(books.differences_count);
    writer.Key("differences");
    writer.StartArray();
    for (const RowDifference& difference : books.differences) {
        writer.StartObject();
        add_text("generation", difference.generation);
        add_text("run_id", difference.run_id);
        add_text("difference", difference.sentence);
        writer.EndObject();
    }
    writer.EndArray();
    writer.Key("findings");
    writer.StartArray();
    for (const std::string& finding : books.findings) {
        writer.String(finding.c_str(), static_cast<rapidjson::SizeType>(finding.size()));
    }
    writer.EndArray();
    writer.EndObject();
    fmt::print(out, "{}\n", buffer.GetString());
}

}  // namespace

AuditCli::AuditCli(CLI::App& app)
    : command_(app.add_subcommand("audit",
                                  "Check that the books close (stored = applied + duplicate + quarantined) and that "
                                  "each generation is as it was "
                                  "settled; exit code 0: yes, 3: no")) {
    const auto check_day = [](const std::string& text) { return is_day(text) ? "" : text + " is no day: 2026-01-31"; };
    command_->add_option("--since", since_, "Only days from this one on (UTC), such as 2026-01-31; faster")
        ->check(check_day);
    command_->add_option("--spool", scope_.spool, "Also compare the segments of this spool folder, in use or not")
        ->check(CLI::ExistingDirectory);
    command_->add_flag("--segments", segments_, "Also print a line for each segment and day");
    command_->add_flag("--json", json_, "Print one JSON object, with an entry for each segment and day");
}

int AuditCli::run(const std::string& postgres_uri, std::FILE* out) {
    if (!since_.empty()) {
        scope_.since = since_;
    }
    Database database(postgres_uri, "audit");
    const Books books = audit_books(database, scope_);
    if (json_) {
        print_json(books, out);
    } else {
        print_text(books, segments_, out);
    }
    return books.findings.empty() && books.differences_count == 0 ? exit_yes : exit_no;
}

}  // namespace runledger::tool
