// What `runledger explain --json` prints: one object, with the columns of the queries in sql/queries/explain under
// their own names.
#pragma once

#include <string>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/json_object.hpp"

namespace runledger::tool {

// What was asked already, in the same snapshot.
struct ExplainedRun {
    std::string run_id;  // Empty: of a generation that names none.
    pqxx::result runs;   // One row or none.
    pqxx::result generations;
    pqxx::result gone;
    pqxx::result rest;  // One row.
};

// Asks for the events, settlements and notifications. Throws what pqxx throws.
[[nodiscard]] JsonObject explain_as_json(const Statements& work, const ExplainedRun& explained);

}  // namespace runledger::tool
