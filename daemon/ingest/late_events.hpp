// Events that come when their run's story is over in the ledger: of a run that was forgotten, or that retention removed
// after it was settled. Called by write_turn, in its transaction.
//
// An event of a forgotten run still counts in timing and cost, under the run's pseudonym and without what it says. One
// of a removed run would begin a run that lacks its beginning, and so change a cost: it goes to quarantine.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/ingest/turn_rows.hpp"

namespace runledger {

struct LateEvents {
    std::deque<std::string> bodies;      // What the scrubbed events' bodies view: keep until the turn is written.
    std::vector<QuarantineRow> removed;  // To be written to quarantine; they are no longer among the events.
};

// Scrubs, and takes out, in `events`. From here until the transaction ends, nobody is forgotten. Throws what pqxx
// throws.
[[nodiscard]] LateEvents set_apart_late_events(const Statements& work, std::vector<AcceptedEvent>& events);

}  // namespace runledger
