// Events that come too late: their run was forgotten, or retention removed it after it was settled. Called by
// write_turn, in its transaction.
//
// An event of a forgotten run still counts in timing and cost, under the run's pseudonym and without its content; that
// holds for what goes to quarantine, too. An event of a removed run would start the run anew without its beginning and
// so change a cost: it goes to quarantine.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/ingest/turn_rows.hpp"

namespace runledger {

struct LateEvents {
    std::deque<std::string> bodies;      // What the scrubbed events' bodies view: keep until the turn is written.
    std::vector<QuarantineRow> removed;  // To be written to quarantine; they are no longer among the events.
};

// Scrubs events of forgotten runs in `events`, and takes out those of removed runs. Scrubs rows of forgotten runs in
// `refused`. Until the transaction ends, nobody else is forgotten. Throws what pqxx throws.
[[nodiscard]] LateEvents set_apart_late_events(const Statements& work, std::vector<AcceptedEvent>& events,
                                               std::vector<QuarantineRow>& refused);

// Forgotten runs: of each id, its pseudonym.
using Pseudonyms = std::map<std::string, std::string>;

// Those of the batch's runs that are forgotten. Until the transaction ends, nobody else is.
[[nodiscard]] Pseudonyms find_forgotten(const Statements& work, const wire::Batch& batch);

// Scrubs the events of these runs in a batch that is kept as a whole. `bodies`: what those events view afterwards.
// Returns how many there were.
std::size_t scrub_batch(const Statements& work, wire::Batch& batch, const Pseudonyms& forgotten,
                        std::deque<std::string>& bodies);

}  // namespace runledger
