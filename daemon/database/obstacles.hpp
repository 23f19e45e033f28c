// What stands in the way of adopting a table: all of it at once, each with the statement that removes it.
#pragma once

#include <pqxx/pqxx>

#include <string>
#include <vector>

#include "daemon/database/adopted_columns.hpp"
#include "daemon/database/status_words.hpp"

namespace runledger {

struct Obstacle {
    std::string sentence;
    // It runs as it is, outside a transaction, and the obstacle is gone. Empty: there is none, and the sentence says
    // what to do.
    std::string statement{};
};

// What a table is like that is to be adopted. The members outlive the call.
struct TableToAdopt {
    const std::string& name;  // Quoted.
    const std::vector<TableColumn>& columns;
    const AdoptedColumns& adopted;
    const std::vector<StatusWord>& status_words;
    const std::vector<std::string>& requested_at;
    const std::vector<std::string>& ended_at;
};

// Whether the login may look at the table's rows.
[[nodiscard]] bool may_read(pqxx::transaction_base& work, const std::string& table);

// Reads the whole table, at its reader's rights and locks, if it may; changes nothing. Throws what pqxx throws.
[[nodiscard]] std::vector<Obstacle> find_obstacles(pqxx::work& work, const TableToAdopt& table);

}  // namespace runledger
