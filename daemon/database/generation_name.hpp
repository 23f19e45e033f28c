// A generation as people know it, and the generations that a key names: the one place for every command of the tool and
// for the page.
//
// In a table that was adopted with a key of its own (uuid, text) the ledger numbers the rows for itself. People know
// the key, so they read it first and may give it; the number stands beside it, because docs and SQL name rows by it.
#pragma once

#include <pqxx/pqxx>

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"

namespace runledger {

// "KEY (NUMBER in the ledger)"; the number alone if it is the application's key, too, or if the row was deleted. One
// line; links have no query. The row has application_id, and the number, which is not NULL, in `number_column`.
[[nodiscard]] std::string generation_name(const pqxx::row& row, const char* number_column = "generation_id");

struct KeyedGeneration {
    std::int64_t id{};            // The ledger's number.
    std::string name;             // As generation_name() has it.
    std::string run_id;           // Empty: it names none.
    bool is_by_application_id{};  // The key is the application's own; else it is the ledger's number.
};

// The generation with this key of the application, and then the one with this number: none, one, or two, which can be
// the same. Throws what pqxx throws.
[[nodiscard]] std::vector<KeyedGeneration> generations_by_key(const Statements& work, const std::string& key);

}  // namespace runledger
