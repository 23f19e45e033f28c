#include "daemon/tool/audit/books.hpp"

#include <fmt/format.h>

#include <set>

#include "daemon/database/generation_name.hpp"
#include "daemon/ingest/turn_rows.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "queries/audit.hpp"

namespace runledger::tool {
namespace {

constexpr int settlements_a_page = 5000;
constexpr std::uint64_t differences_shown_max = 100;

// What the ledger has of a spool's segments.
struct KnownBatch {
    std::string digest;
    std::int64_t events{};
};
struct KnownSegments {
    std::map<std::string, std::map<BatchNumber, KnownBatch>> open;
    std::set<std::string> retired;
};

std::vector<BookEntry> read_entries(const Statements& work, const AuditScope& scope) {
    std::vector<BookEntry> entries;
    const char* since = scope.since ? scope.since->c_str() : nullptr;  // libpqxx 6 takes a null pointer for NULL.
    for (const auto& row : work.run(queries::audit::days, since)) {
        entries.push_back({.segment = row[0].c_str(),
                           .day = row[1].c_str(),
                           .edge = row[2].c_str(),
                           .sums = {.batches = row[3].as<std::int64_t>(),
                                    .stored = row[4].as<std::int64_t>(),
                                    .applied = row[5].as<std::int64_t>(),
                                    .duplicate = row[6].as<std::int64_t>(),
                                    .quarantined = row[7].as<std::int64_t>()},
                           .event_rows = row[8].as<std::int64_t>(),
                           .events_removed = row[9].as<std::int64_t>(),
                           .simulated_removed = row[13].as<std::int64_t>(),
                           .set_aside = row[10].as<std::int64_t>(),
                           .set_aside_removed = row[11].as<std::int64_t>(),
                           .replayed = row[12].as<std::int64_t>(),
                           .is_dropped = row[14].as<bool>()});
    }
    return entries;
}

std::string removed_text(std::int64_t removed) { return removed == 0 ? "" : fmt::format(" and {} deleted", removed); }

void judge(const BookEntry& entry, std::vector<std::string>& findings) {
    const BookSums& sums = entry.sums;
    const std::string where = fmt::format("segment {} of {} on {}", entry.segment, entry.edge, entry.day);
    if (sums.stored != sums.applied + sums.duplicate + sums.quarantined) {
        findings.push_back(fmt::format("{}: {} stored, but {} applied + {} duplicate + {} quarantined", where,
                                       sums.stored, sums.applied, sums.duplicate, sums.quarantined));
    }
    if (!entry.is_dropped && entry.event_rows + entry.events_removed != sums.applied + entry.replayed) {
        findings.push_back(fmt::format("{}: {} applied{}, but webhook_events has {}{}", where, sums.applied,
                                       entry.replayed == 0 ? "" : fmt::format(" and {} replayed", entry.replayed),
                                       entry.event_rows, removed_text(entry.events_removed)));
    }
    if (entry.set_aside + entry.set_aside_removed != sums.quarantined) {
        findings.push_back(fmt::format("{}: {} quarantined, but quarantine has {}{}", where, sums.quarantined,
                                       entry.set_aside, removed_text(entry.set_aside_removed)));
    }
}

void judge_segments(const Statements& work, std::vector<std::string>& findings) {
    for (const auto& row : work.run(queries::audit::segments)) {
        findings.push_back(fmt::format(
            "segment {} of {} was retired with {} batches, but the books have applied {}{}", row[0].c_str(),
            row[1].c_str(), row[2].c_str(), row[3].c_str(),
            row[4].as<std::int64_t>() == 0 ? "" : fmt::format(", and {} still stand as open", row[4].c_str())));
    }
}

std::string amount_text(const pqxx::field& cost) {
    return cost.is_null() ? "no cost" : cost.as<std::string>() + " USD";
}

void compare_rows(const Statements& work, const AuditScope& scope, const AuditProgress& progress, Books& books) {
    std::int64_t from =
        scope.since ? work.run1(queries::audit::first_settlement, *scope.since)[0].as<std::int64_t>() : 0;
    const auto last = work.run1("SELECT coalesce(max(id), 0) FROM runledger.settlements")[0].as<std::int64_t>();
    for (;;) {
        progress(static_cast<std::uint64_t>(std::min(from, last)), static_cast<std::uint64_t>(last));
        const auto page = work.run1(queries::audit::page_of_settlements, from, settlements_a_page);
        if (page[0].is_null()) {
            return;
        }
        const auto to = page[0].as<std::int64_t>();
        for (const auto& row : work.run(queries::audit::rows_not_as_settled, from, to)) {
            if (++books.differences_count > differences_shown_max) {
                continue;
            }
            const std::string settled = fmt::format("{}, {}", row[3].c_str(), amount_text(row[4]));
            books.differences.push_back(
                {.generation = row[0].c_str(),
                 .application_id = row["application_id"].is_null()
                                       ? std::nullopt
                                       : std::optional<std::string>(row["application_id"].c_str()),
                 .name = generation_name(row),
                 .run_id = row[1].c_str(),
                 .sentence = row[2].is_null()
                                 ? fmt::format("it is gone; settled: {}", settled)
                                 : fmt::format("{} differ from what was settled ({}); the row says {}, {}",
                                               row[2].c_str(), settled, row[5].c_str(), amount_text(row[6]))});
        }
        from = to;
    }
}

std::vector<OpenEdge> read_open_edges(const Statements& work) {
    std::vector<OpenEdge> edges;
    for (const auto& row : work.run(queries::audit::open_segments)) {
        edges.push_back(
            {.edge = row[0].c_str(), .segments = row[1].as<std::int64_t>(), .last_applied_at = row[2].c_str()});
    }
    return edges;
}

KnownSegments read_known(const Statements& work) {
    KnownSegments known;
    for (const auto& row : work.run(queries::audit::batches)) {
        if (row[1].is_null()) {
            known.retired.insert(row[0].c_str());
        } else {
            known.open[row[0].c_str()].emplace(
                row[1].as<BatchNumber>(), KnownBatch{.digest = row[2].c_str(), .events = row[3].as<std::int64_t>()});
        }
    }
    return known;
}

void judge_segment(const SegmentContent& content, std::map<BatchNumber, KnownBatch> known, SpoolSums& sums,
                   std::vector<std::string>& findings) {
    const std::string segment = content.id().hex();
    for (const RecordPlace& place : content.batches()) {
        const auto header = wire::decode_batch_header(content.frame(place));
        const auto* batch = std::get_if<wire::BatchHeader>(&header);
        if (batch == nullptr) {
            findings.push_back(fmt::format("segment {}: batch {} can't be read in the spool", segment, place.number));
            continue;
        }
        sums.events += batch->event_count;
        const auto found = known.find(place.number);
        if (found == known.end()) {
            ++sums.batches_waiting;
            sums.events_waiting += batch->event_count;
        } else if (found->second.digest != hex(batch->digest)) {
            findings.push_back(
                fmt::format("segment {}: batch {} is another in the ledger than in the spool: {} there, {} here",
                            segment, place.number, found->second.digest, hex(batch->digest)));
        }
        known.erase(place.number);
    }
    for (const auto& [number, batch] : known) {
        findings.push_back(
            fmt::format("segment {}: the ledger has batch {} with {} events, which the spool's file has not", segment,
                        number, batch.events));
    }
}

// The snapshot is older than the files: what it knows of a live segment must be there.
SpoolSums judge_spool(const std::filesystem::path& folder, KnownSegments known, std::vector<std::string>& findings) {
    SpoolSums sums;
    for (const SegmentPath& name : find_segments(folder)) {
        const auto look = name.kind == SegmentKind::live ? look_at(name) : std::nullopt;
        if (!look || known.retired.contains(name.id.hex())) {
            continue;  // Gone, or about to: the ledger has all of it.
        }
        ++sums.segments;
        if (const SegmentContent* content = look->segment()) {
            judge_segment(*content, known.open[name.id.hex()], sums, findings);
        } else {
            findings.push_back(fmt::format("segment {}: can't be read in the spool: {}", name.id.hex(),
                                           to_word(std::get<SegmentFault>(look->content))));
        }
    }
    return sums;
}

void judge_periods(const Statements& work, const AuditScope& scope, std::vector<std::string>& findings) {
    for (const auto& row : work.run(queries::audit::periods, scope.since)) {
        findings.push_back(fmt::format(
            "closed month {}: {} runs and {} USD as it was closed and {} runs and {} USD of corrections are not the {} "
            "runs and {} USD of the settlements, or its lines are not what was frozen",
            row["period"].as<std::string>(), row["runs_closed"].as<std::string>(),
            row["cost_usd_closed"].as<std::string>(), row["runs_corrected"].as<std::string>(),
            row["cost_usd_corrected"].as<std::string>(), row["runs_live"].as<std::string>(),
            row["cost_usd_live"].as<std::string>()));
    }
}

}  // namespace

BookSums& BookSums::operator+=(const BookSums& other) {
    batches += other.batches;
    stored += other.stored;
    applied += other.applied;
    duplicate += other.duplicate;
    quarantined += other.quarantined;
    return *this;
}

BookSums Books::total() const {
    BookSums sums;
    for (const BookEntry& entry : entries) {
        sums += entry.sums;
    }
    return sums;
}

std::map<std::pair<std::string, std::string>, BookSums> Books::by_day_and_edge() const {
    std::map<std::pair<std::string, std::string>, BookSums> days;
    for (const BookEntry& entry : entries) {
        days[{entry.day, entry.edge}] += entry.sums;
    }
    return days;
}

Books audit_books(Database& database, const AuditScope& scope, const AuditProgress& progress) {
    Books books;
    Snapshot work(database);
    books.entries = read_entries(work, scope);
    for (const BookEntry& entry : books.entries) {
        judge(entry, books.findings);
    }
    judge_segments(work, books.findings);
    const auto totals = work.run1(queries::audit::totals);
    const auto applied = totals[0].as<std::int64_t>();
    books.events_in_runs = totals[1].as<std::int64_t>();
    books.events_in_removed_runs = totals[2].as<std::int64_t>();
    if (books.events_in_runs + books.events_in_removed_runs != applied) {
        books.findings.push_back(fmt::format("{} applied in all, but the runs have counted {}{}", applied,
                                             books.events_in_runs, removed_text(books.events_in_removed_runs)));
    }
    judge_periods(work, scope, books.findings);
    compare_rows(work, scope, progress, books);
    books.open_edges = read_open_edges(work);
    if (!scope.spool.empty()) {
        const KnownSegments known = read_known(work);
        work.end();
        books.spool = judge_spool(scope.spool, known, books.findings);
    }
    return books;
}

}  // namespace runledger::tool
