// One turn of apply in SQL: from batches to rows, inside the caller's transaction.
//
// Lock order, so that two appliers never deadlock: segments, batches, the books' days, runs, their outputs; each sorted
// by key.
// Owned by one applier's thread; keeps nothing between turns.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/ingest/run_state.hpp"

namespace runledger {

// The result for a batch of a committed turn.
enum class BatchResult : std::uint8_t {
    applied,   // New: its events took effect.
    copy,      // Its name and digest were in the ledger, or its segment is retired: ignored.
    conflict,  // Its name is in the ledger with another digest: kept in quarantine.
};

struct TurnResult {
    std::vector<BatchResult> batch_results;  // In the order of the batches.
    std::uint64_t events_applied{0};
    std::uint64_t events_quarantined{0};
    std::uint64_t events_cut{0};  // Of those applied: the ones whose outputs were refused and are in quarantine.
};

enum class ApplyMode : std::uint8_t {
    together,    // The usual way: all events are merged and written with a few statements.
    one_by_one,  // After a data error: each event in a savepoint; one with such an error goes to quarantine alone.
    set_aside,   // As one_by_one, of events that are refused in any way that does not pass by itself.
};

// Writes the turn. Precondition: no two batches of one name. Throws what pqxx throws; nothing of the turn is kept then.
[[nodiscard]] TurnResult write_turn(const Statements& work, std::span<const wire::Batch* const> batches,
                                    ApplyMode mode);

// Some runs' states, folded in memory, and the names of the edges that the events came from.
struct FoldedRuns {
    const std::map<std::string, RunState>& runs;
    const std::map<SegmentId, std::string>& edges;
};
// Merges them with the stored rows, in this schema or in one with the same tables.
void write_states(const Statements& work, const FoldedRuns& folded, std::string_view schema = "runledger");

struct AcceptedEvent;
// Writes one event from quarantine as a turn would have. Throws what pqxx throws if it is still refused.
void write_event_again(const Statements& work, const AcceptedEvent& accepted);
// Writes only the outputs of a stored event; rows that had their place without content get it.
void write_outputs_again(const Statements& work, const AcceptedEvent& accepted);

// Writes the tombstone and deletes the batches' names. False, and no change, if the ledger does not have `batch_count`
// batches of the segment.
[[nodiscard]] bool write_retirement(const Statements& work, const wire::Retire& retire);

// "2026-01-31 12:00:00.123456+00", as PostgreSQL reads it.
[[nodiscard]] std::string timestamp_text(WallTime time);

}  // namespace runledger
