// Events that come too late: their run was forgotten, or retention removed it after it was settled. Called by
// write_turn, in its transaction.
//
// An event of a forgotten run still counts in timing and cost, under the run's pseudonym and without its content. An
// event of a removed run would start the run anew without its beginning and so change a cost: it goes to quarantine.
#pragma once

#include <deque>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "daemon/ingest/ledger_rows.hpp"

namespace runledger {

struct LateEvents {
    std::deque<std::string> bodies;      // What the scrubbed events' bodies view: keep until the turn is written.
    std::vector<QuarantineRow> removed;  // To be written to quarantine; they are no longer among the events.
};

// Scrubs events of forgotten runs in `events`, and takes out those of removed runs. Until the transaction ends, nobody
// else is forgotten. Throws what pqxx
// throws.
[[nodiscard]] LateEvents set_apart_late_events(pqxx::work& work, std::vector<AcceptedEvent>& events);

}  // namespace runledger
