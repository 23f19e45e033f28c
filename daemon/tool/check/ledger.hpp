// The checks of PostgreSQL: the server, the schema, the login's rights, and its clock beside this machine's.
//
// Each connection is the daemon's own kind, in read-only transactions that are rolled back.
#pragma once

#include "daemon/database/settings.hpp"
#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

void check_ledger(const PostgresSettings& settings, Findings& findings);

}  // namespace runledger::tool
