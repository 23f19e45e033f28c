#include "daemon/database/generation_name.hpp"

#include <fmt/format.h>

#include "daemon/base/masked_links.hpp"
#include "daemon/base/obeyed_characters.hpp"
#include "queries/generation.hpp"

namespace runledger {

std::string generation_name(const pqxx::row& row, const char* number_column) {
    const auto number = row[number_column].as<std::string>();
    const pqxx::field application_id = row["application_id"];
    if (application_id.is_null()) {
        return number;
    }
    const std::string key = masked_links({application_id.c_str(), application_id.size()});
    return fmt::format("{} ({} in the ledger)", one_line(key), number);
}

std::vector<KeyedGeneration> generations_by_key(const Statements& work, const std::string& key) {
    std::vector<KeyedGeneration> generations;
    for (const auto& row : work.run(queries::generation::by_key, key)) {
        generations.push_back({.id = row["generation_id"].as<std::int64_t>(),
                               .name = generation_name(row),
                               .run_id = row["run_id"].as<std::string>(),
                               .is_by_application_id = row["is_by_application_id"].as<bool>()});
    }
    return generations;
}

}  // namespace runledger
