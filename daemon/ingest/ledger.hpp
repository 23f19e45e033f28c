// One turn of apply in SQL: from batches to rows, inside the caller's transaction.
//
// Lock order, so that two appliers never deadlock: segments, batches, the books' days, runs, their outputs; each sorted
// by key.
// Owned by one applier's thread; keeps nothing between turns.
#pragma once

#include <pqxx/pqxx>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire.hpp"
#include "daemon/ingest/run_state.hpp"

namespace runledger {

// The result for a batch of a committed turn.
enum class BatchFate : std::uint8_t {
    applied,   // New: its events took effect.
    copy,      // Its name and digest were in the ledger, or its segment is retired: ignored.
    conflict,  // Its name is in the ledger with another digest: kept in quarantine.
};

struct TurnResult {
    std::vector<BatchFate> fates;  // In the order of the batches.
    std::uint64_t events_applied{0};
    std::uint64_t events_quarantined{0};
};

enum class Care : std::uint8_t {
    together,    // The usual way: all events are merged and written with a few statements.
    one_by_one,  // After a data error: each event in a savepoint; one that is refused goes to quarantine alone.
};

// Writes the turn. Precondition: no two batches of one name. Throws what pqxx throws; nothing of the turn is kept then.
[[nodiscard]] TurnResult write_turn(pqxx::work& work, std::span<const wire::Batch* const> batches, Care care);

// Rewrites a query for another schema with the same tables.
[[nodiscard]] std::string text_in(std::string_view schema, std::string_view query);

// Some runs' states, folded in memory, and the names of the edges that the events came from.
struct FoldedRuns {
    const std::map<std::string, RunState>& runs;
    const std::map<SegmentId, std::string>& edges;
};
// Merges them with the stored rows, in this schema or in one with the same tables.
void write_states(pqxx::transaction_base& work, const FoldedRuns& folded, std::string_view schema = "runledger");

struct AcceptedEvent;
// Writes one event from quarantine as a turn would have. Throws what pqxx throws if it is still refused.
void write_event_again(pqxx::transaction_base& work, const AcceptedEvent& accepted);
// Writes only the outputs of a stored event; rows that had their place without content get it.
void write_outputs_again(pqxx::transaction_base& work, const AcceptedEvent& accepted);

// Writes the tombstone and deletes the batches' names. False, and no change, if the ledger does not have `batch_count`
// batches of the segment.
[[nodiscard]] bool write_retirement(pqxx::work& work, const wire::Retire& retire);

// "2026-01-31 12:00:00.123456+00", as PostgreSQL reads it.
[[nodiscard]] std::string timestamp_text(WallTime time);

}  // namespace runledger
