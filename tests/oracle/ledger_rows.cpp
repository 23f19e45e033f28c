#include "tests/oracle/ledger_rows.hpp"

#include <algorithm>
#include <pqxx/pqxx>

#include "daemon/database/libpqxx.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {
namespace {

std::optional<std::string> text_or_nothing(const pqxx::field& field) {
    return field.is_null() ? std::nullopt : std::optional<std::string>{field.c_str()};
}

StoredEvent event_of(const pqxx::row& row) {
    return {.segment = row[0].c_str(),
            .batch_number = row[1].as<std::int64_t>(),
            .event_index = row[2].as<int>(),
            .received_at_us = row[3].as<std::int64_t>(),
            .boot_id = row[4].c_str(),
            .boottime_us = row[5].as<std::int64_t>(),
            .redelivered = row[6].as<bool>(),
            .run_id = row[7].c_str(),
            .status = row[8].c_str(),
            .body = row[9].c_str()};
}

StoredGeneration generation_of(const pqxx::row& row) {
    return {.id = row[0].as<std::int64_t>(),
            .run_id = row[1].c_str(),
            .status = row[2].c_str(),
            .duration_ms = text_or_nothing(row[3]),
            .cost_usd = text_or_nothing(row[4]),
            .cost_note = text_or_nothing(row[5]),
            .response_payload = text_or_nothing(row[6])};
}

}  // namespace

bool Ledger::is_quarantined(const std::string& body) const {
    return std::any_of(quarantined.begin(), quarantined.end(),
                       [&](const std::string& value) { return value.find(body) != std::string::npos; });
}

Ledger read_ledger(const std::string& uri) {
    const auto connection = connect_to(uri);
    pqxx::transaction<pqxx::repeatable_read> work(*connection);
    Ledger ledger;
    // extract() of a timestamptz is numeric since PostgreSQL 14: no microsecond is lost.
    for (const pqxx::row& row :
         work.exec("SELECT segment_id, batch_number, event_index, (extract(epoch FROM received_at) * 1000000)::bigint, "
                   "boot_id, boottime_us, redelivered, run_id, status, body FROM runledger.webhook_events")) {
        ledger.events.push_back(event_of(row));
    }
    for (const pqxx::row& row :
         work.exec("SELECT id, coalesce(run_id, ''), status, duration_ms::text, cost_usd::text, cost_note, "
                   "response_payload::text FROM runledger.generations ORDER BY id")) {
        ledger.generations.push_back(generation_of(row));
    }
    for (const pqxx::row& row : work.exec("SELECT * FROM runledger.quarantine")) {
        for (const pqxx::field& field : row) {
            constexpr pqxx::oid bytea = 17;
            if (!field.is_null()) {
                ledger.quarantined.push_back(field.type() == bytea ? libpqxx::bytes_of(field)
                                                                   : std::string{field.c_str(), field.size()});
            }
        }
    }
    return ledger;
}

}  // namespace runledger::test
