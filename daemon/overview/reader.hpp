// Reads the ledger's numbers, by the rights of runledger_reader: what its views show, and so no link and no payload.
//
// Every query is bounded, in time and by the rows that it counts. Owned by one thread at a time.
#pragma once

#include <chrono>
#include <string>

#include "daemon/database/database.hpp"
#include "daemon/overview/numbers.hpp"

namespace runledger {

class OverviewReader {
public:
    // Connects at the first read. `purpose`: for application_name.
    OverviewReader(const std::string& uri, std::string_view purpose) : database_(uri, purpose) {}

    // Cheap: what moves. Throws what pqxx throws; the next call connects again.
    [[nodiscard]] LiveNumbers read_live();
    // A second or two at ten million runs: the month, and what takes a long look.
    [[nodiscard]] MonthNumbers read_month();

private:
    Database database_;
};

// For people: why a read failed, with what to do about it where that is known. A sentence without links.
[[nodiscard]] std::string why_not_read(const std::exception& error);

}  // namespace runledger
