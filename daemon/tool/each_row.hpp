// The rows of a query that may have a million of them, some at a time: memory does not grow with their number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/database/transaction.hpp"

namespace runledger::tool {

// Calls `each` for each row of the query, in its order, and returns how many they were. One such loop at a time in a
// transaction. Throws what pqxx throws.
template <class Each, class... Values>
std::uint64_t for_each_row(const Statements& work, std::string_view query, const Each& each, const Values&... values) {
    work.run("DECLARE each_row NO SCROLL CURSOR FOR " + std::string(query), values...);
    std::uint64_t count = 0;
    for (auto rows = work.run("FETCH 2000 FROM each_row"); !rows.empty(); rows = work.run("FETCH 2000 FROM each_row")) {
        for (const auto& row : rows) {
            each(row);
        }
        count += static_cast<std::uint64_t>(rows.size());
    }
    work.run("CLOSE each_row");
    return count;
}

}  // namespace runledger::tool
