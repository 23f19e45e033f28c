// What PostgreSQL holds after a run of tests, read into plain values for the oracle to judge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runledger::test {

// A row of runledger.webhook_events.
struct StoredEvent {
    std::string segment{};
    std::int64_t batch_number{};
    int event_index{};
    std::int64_t received_at_us{};  // Since the Unix epoch.
    std::string boot_id{};          // As PostgreSQL writes a uuid: its text order is its order.
    std::int64_t boottime_us{};
    bool redelivered{};
    std::string run_id{};
    std::string status{};
    std::string body{};
};

// A row of runledger.generations; numerics as text, so that nothing is rounded on the way.
struct StoredGeneration {
    std::int64_t id{};
    std::string run_id{};
    std::string status{};
    std::optional<std::string> duration_ms{};
    std::optional<std::string> cost_usd{};
    std::optional<std::string> cost_note{};
    std::optional<std::string> response_payload{};
};

struct Ledger {
    std::vector<StoredEvent> events{};
    std::vector<StoredGeneration> generations{};
    std::vector<std::string> quarantined{};  // Every value of every row of runledger.quarantine, bytea decoded.

    [[nodiscard]] bool is_quarantined(const std::string& body) const;
};

// One snapshot: all tables in one transaction. Throws libpqxx's exceptions.
[[nodiscard]] Ledger read_ledger(const std::string& uri);

}  // namespace runledger::test
