#include "daemon/tool/audit/audit.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "daemon/database/database.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "daemon/tool/time_option.hpp"

namespace runledger::tool {
namespace {

void print_line(Output& out, std::string_view day, std::string_view edge, std::string_view segment,
                const BookSums& sums, std::string_view note) {
    out.print("{:<10}  {:<20}  {:<32}  {:>9} {:>12} {:>12} {:>12} {:>12}  {}\n", day, edge, segment, sums.batches,
              sums.stored, sums.applied, sums.duplicate, sums.quarantined, note);
}

// What is not in the rows any more, for eyes.
std::string note_of(const BookEntry& entry) {
    std::string note;
    if (entry.is_dropped) {
        note = "partition dropped";
    } else if (entry.events_removed > entry.simulated_removed) {
        note = fmt::format("{} events deleted", entry.events_removed - entry.simulated_removed);
    }
    if (entry.simulated_removed > 0) {
        note += fmt::format("{}{} simulated events removed", note.empty() ? "" : ", ", entry.simulated_removed);
    }
    if (entry.replayed > 0) {
        note += fmt::format("{}{} replayed from quarantine", note.empty() ? "" : ", ", entry.replayed);
    }
    if (entry.set_aside_removed > 0) {
        note += fmt::format("{}{} deleted from quarantine", note.empty() ? "" : ", ", entry.set_aside_removed);
    }
    return note;
}

void print_text(const Books& books, bool segments, Output& out) {
    out.print("{:<10}  {:<20}  {:<32}  {:>9} {:>12} {:>12} {:>12} {:>12}\n", "DAY", "EDGE", "SEGMENT", "BATCHES",
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
        out.print("{} entries are of dropped partitions: only the books have them\n", dropped);
    }
    if (books.spool) {
        out.print("spool: {} segments with {} events; {} events in {} batches are on their way\n",
                  books.spool->segments, books.spool->events, books.spool->events_waiting,
                  books.spool->batches_waiting);
    }
    for (const OpenEdge& edge : books.open_edges) {
        out.print("edge {} has {} open segment{}; the newest of their batches here: {}\n", edge.edge, edge.segments,
                  edge.segments == 1 ? "" : "s", edge.last_applied_at.empty() ? "none" : edge.last_applied_at);
    }
    out.print(
        "what edges hold and have not sent is not in these books; after a restore, have all edges send again: "
        "docs/operations.md, \"Restore the database to an earlier point\"\n");
    for (const std::string& finding : books.findings) {
        out.print("DOES NOT ADD UP: {}\n", finding);
    }
    for (const RowDifference& difference : books.differences) {
        out.print("NOT AS SETTLED: generation {}, run {}: {}\n", difference.name, difference.run_id,
                  difference.sentence);
    }
    if (books.differences_count > 0) {
        out.print("{} generations are not as they were settled{}\n", books.differences_count,
                  books.differences_count > books.differences.size()
                      ? fmt::format("; the first {} are shown", books.differences.size())
                      : "");
    }
    const BookSums total = books.total();
    out.print("the books {}: {} stored = {} applied + {} duplicate + {} quarantined\n",
              books.findings.empty() ? "close" : "DO NOT CLOSE", total.stored, total.applied, total.duplicate,
              total.quarantined);
}

void add_sums(JsonObject& object, const BookSums& sums) {
    object.add("batches", sums.batches).add("stored", sums.stored).add("applied", sums.applied);
    object.add("duplicate", sums.duplicate).add("quarantined", sums.quarantined);
}

JsonObject to_json(const BookEntry& entry) {
    JsonObject object;
    object.add("day", entry.day).add("edge", entry.edge).add("segment", entry.segment);
    add_sums(object, entry.sums);
    object.add("event_rows", entry.event_rows).add("events_deleted", entry.events_removed);
    object.add("simulated_removed", entry.simulated_removed);
    object.add("replayed", entry.replayed).add("partition_dropped", entry.is_dropped);
    return object;
}

JsonObject to_json(const OpenEdge& edge) {
    JsonObject object;
    object.add("edge", edge.edge).add("segments", edge.segments).add("last_applied_at", edge.last_applied_at);
    return object;
}

JsonObject to_json(const RowDifference& difference) {
    JsonObject object;
    object.add("generation", difference.generation).add("application_id", difference.application_id);
    object.add("run_id", difference.run_id);
    object.add("difference", difference.sentence);
    return object;
}

template <class Value>
std::vector<JsonObject> each_to_json(const std::vector<Value>& values) {
    std::vector<JsonObject> objects;
    for (const Value& value : values) {
        objects.push_back(to_json(value));
    }
    return objects;
}

void print_json(const Books& books, Output& out) {
    JsonObject object;
    object.add("closes", books.findings.empty());
    add_sums(object, books.total());
    object.add("entries", each_to_json(books.entries));
    object.add("spool_events", books.spool ? std::optional(books.spool->events) : std::nullopt);
    object.add("spool_events_waiting", books.spool ? std::optional(books.spool->events_waiting) : std::nullopt);
    object.add("open_edges", each_to_json(books.open_edges)).add("rows_not_as_settled", books.differences_count);
    object.add("differences", each_to_json(books.differences)).add("findings", books.findings);
    out.print(object);
}

}  // namespace

AuditCli::AuditCli(CLI::App& app)
    : command_(app.add_subcommand("audit", "Check that each event is counted once and each row is as it was settled")) {
    const auto check_day = [](const std::string& text) { return is_day(text) ? "" : text + " is no day: 2026-01-31"; };
    command_->add_option("--since", since_, "Only days from this one on (UTC), such as 2026-01-31; faster")
        ->check(check_day);
    command_->add_option("--spool", scope_.spool, "Also compare the segments of this spool folder, in use or not")
        ->check(CLI::ExistingDirectory);
    command_->add_flag("--segments", segments_, "Also print a line for each segment and day");
}

int AuditCli::run(const std::string& postgres_uri, Output& out) {
    require_has_come({.name = "--since", .text = since_});
    if (!since_.empty()) {
        scope_.since = since_;
    }
    if (!scope_.spool.empty()) {
        std::error_code code;
        const std::filesystem::directory_iterator readable(scope_.spool, code);
        if (code == std::errc::permission_denied) {
            throw std::runtime_error(fmt::format(
                "--spool {}: {}: run it as root, with --config FILE of a login over TCP that is a member of "
                "runledger_owner: \"host=localhost user=… dbname=…\", with password_file",
                scope_.spool.string(), code.message()));
        }
        if (const auto why = why_no_spool(scope_.spool)) {
            throw std::runtime_error("--spool " + *why);
        }
    }
    Database database(postgres_uri, "audit");
    const Books books = audit_books(database, scope_, [&out](std::uint64_t done, std::uint64_t total) {
        out.show_progress("comparing settlements", done, total);
    });
    if (out.as_json) {
        print_json(books, out);
    } else {
        print_text(books, segments_, out);
    }
    return books.findings.empty() && books.differences_count == 0 ? exit_yes : exit_no;
}

}  // namespace runledger::tool
