// A read-only transaction by the rights of runledger_reader, for the queries of sql/queries/overview.
#pragma once

#include <fmt/format.h>

#include <chrono>

#include "daemon/database/transaction.hpp"
#include "queries/overview.hpp"

namespace runledger {

class ReaderViews : public Snapshot {
public:
    // `statement_max` bounds each statement. Throws what connecting and beginning throw.
    ReaderViews(Database& database, std::chrono::milliseconds statement_max) : Snapshot(database) {
        run(fmt::format("SET LOCAL statement_timeout = {0}; SET LOCAL lock_timeout = {0}", statement_max.count()));
        (void)run(queries::overview::become_reader);  // No row: the login is no member, and reads by its own rights.
    }
};

}  // namespace runledger
