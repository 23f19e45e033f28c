// A migrated database with rows put straight into its tables, for what the readers' views make of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {

// A generation as it stands after its settlement; each member is the SQL text of its value.
struct EndedGeneration {
    std::string ended_at{"2025-08-29 12:00Z"};
    std::string status{"completed"};
    std::string cost_usd{"NULL"};
    std::string duration_ms{"NULL"};
    std::string chat{"null"};  // Of metadata.telegramChatId, as JSON.
};

class Views : public Ledger {
protected:
    // Returns its id.
    std::int64_t insert_ended(const EndedGeneration& generation);
    void execute(const std::string& sql);
    // Each row's columns with spaces between, in the query's order; NULL as "-".
    [[nodiscard]] std::vector<std::string> rows(const std::string& query);
    // What the database says to a query that it refuses; "none" where it takes it.
    [[nodiscard]] std::string error_of(const std::string& query);
};

}  // namespace runledger::test
