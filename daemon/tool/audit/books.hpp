// The ledger's books as `runledger audit` reads and judges them: for each segment and day,
//
//   stored = applied + duplicate + quarantined
//
// where `stored` are the events of all batches that came from the edge's spool, a batch counted each time it came. Each
// side is counted by somebody else: batches by their names, applied events by their rows, quarantined ones by theirs.
// And each generation is compared with its last settlement, so many at a time that no statement takes long. What an
// edge holds and has not sent, the ledger cannot know: the open segments say of which edges. Reading takes one snapshot
// and changes nothing. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"

namespace runledger::tool {

struct BookSums {
    std::int64_t batches{0};
    std::int64_t stored{0};
    std::int64_t applied{0};
    std::int64_t duplicate{0};
    std::int64_t quarantined{0};

    BookSums& operator+=(const BookSums& other);
};

// What one segment brought on one UTC day, by the books, and what is there of it.
struct BookEntry {
    std::string segment;  // 32 hexadecimal digits.
    std::string day;      // "2026-01-31"
    std::string edge;
    BookSums sums;
    std::int64_t event_rows{0};         // Of webhook_events.
    std::int64_t events_removed{0};     // Deleted from there, by ledger_removals.
    std::int64_t simulated_removed{0};  // Of these, events that `runledger simulate` had made up.
    std::int64_t set_aside{0};          // Events in quarantine.
    std::int64_t set_aside_removed{0};  // Deleted from there.
    std::int64_t replayed{0};           // Quarantined events that were stored later, on this day.
    bool is_dropped{false};             // Its partition of webhook_events was dropped: the books are the record.
};

// A live segment of a spool that was compared.
struct SpoolSums {
    std::int64_t segments{0};
    std::int64_t events{0};
    std::int64_t batches_waiting{0};  // On the disk and not in the ledger yet: they are on their way.
    std::int64_t events_waiting{0};
};

// A generation that is not as it was settled.
struct RowDifference {
    std::string generation;
    std::optional<std::string> application_id;
    std::string name;  // Of both: generation_name().
    std::string run_id;
    std::string sentence;
};

// What the ledger has of an edge whose segments are open: the edge may hold more.
struct OpenEdge {
    std::string edge;
    std::int64_t segments{0};
    std::string last_applied_at;  // "2026-01-31T12:00:00Z"; empty: no batch is there.
};

struct Books {
    std::vector<BookEntry> entries;  // By day, edge, segment.
    std::int64_t events_in_runs{0};
    std::int64_t events_in_removed_runs{0};
    std::optional<SpoolSums> spool;
    std::vector<std::string> findings;       // A sentence for each thing that does not add up; none: the books close.
    std::vector<RowDifference> differences;  // The first of those that there are.
    std::uint64_t differences_count{0};
    std::vector<OpenEdge> open_edges;

    [[nodiscard]] BookSums total() const;
    // By "day edge", in that order.
    [[nodiscard]] std::map<std::pair<std::string, std::string>, BookSums> by_day_and_edge() const;
};

struct AuditScope {
    std::optional<std::string> since;  // "2026-01-31": entries and rows of earlier days are left out.
    std::filesystem::path spool;       // Compared with the ledger, too, unless empty.
};

// Called before each page of settlements: up to which id they are compared, and the last id.
using AuditProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Throws what pqxx throws, and SpoolError if the folder can't be read.
[[nodiscard]] Books audit_books(Database& database, const AuditScope& scope, const AuditProgress& progress);

}  // namespace runledger::tool
