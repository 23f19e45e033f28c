// Puts what was set aside through apply again, once its cause was mended.
//
// Each row is one transaction, which holds the row and marks it: whatever dies in between, it is stored once, and stays
// marked. A row is never deleted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/database/transaction.hpp"

namespace runledger::tool {

enum class ReplayResult : std::uint8_t {
    stored,         // It is where it belongs now.
    known,          // The ledger had it already: marked, nothing else done.
    resolved,       // An earlier replay had done it: nothing was done.
    still_refused,  // The cause is not mended: nothing was changed.
    not_there,      // No row of that id.
};

struct Replayed {
    ReplayResult result{};
    std::string sentence;  // For people; one line.
};

// Throws what pqxx throws where PostgreSQL can't be asked, or answers otherwise than with a data error.
[[nodiscard]] Replayed replay_quarantined(Database& database, std::int64_t id);

// A row of quarantine as it is read back; an empty optional is NULL.
struct QuarantinedRow {
    std::int64_t id{};
    std::string quarantined_at;
    std::string scope;
    std::string reason;
    std::string segment;
    std::int64_t batch_number{};
    std::optional<std::uint32_t> event_index;
    std::string edge;
    std::optional<std::string> received_text;
    std::optional<std::int64_t> received_us;
    std::optional<std::string> boot;
    std::optional<std::int64_t> boottime_us;
    bool redelivered{false};
    std::optional<std::string> run_id;
    std::string content;
    std::optional<std::string> resolved_at;
    std::optional<std::string> resolution;
};

[[nodiscard]] std::optional<QuarantinedRow> find_quarantined(const Statements& work, std::int64_t id);

}  // namespace runledger::tool
