#include "tests/integration/views/views_fixture.hpp"

#include <fmt/format.h>

#include "daemon/database/libpqxx.hpp"

namespace runledger::test {

std::int64_t Views::insert_ended(const EndedGeneration& generation) {
    const char* note = generation.cost_usd != "NULL"      ? "NULL"
                       : generation.status == "completed" ? "'rate_missing'"
                                                          : "'not_charged'";
    pqxx::work work(db());
    const auto row =
        libpqxx::run1(work, fmt::format("INSERT INTO runledger.generations (metadata, response_timestamp, status, "
                                        "cost_usd, cost_note, duration_ms) "
                                        "VALUES ('{{\"telegramChatId\": {}}}', '{}', '{}', {}, {}, {}) RETURNING id",
                                        generation.chat, generation.ended_at, generation.status, generation.cost_usd,
                                        note, generation.duration_ms));
    work.commit();
    return row[0].as<std::int64_t>();
}

void Views::execute(const std::string& sql) {
    pqxx::work work(db());
    work.exec(sql);
    work.commit();
}

std::vector<std::string> Views::rows(const std::string& query) {
    pqxx::work work(db());
    std::vector<std::string> lines;
    for (const auto& row : work.exec(query)) {
        std::string line;
        for (const auto& field : row) {
            line += fmt::format("{}{}", line.empty() ? "" : " ", field.is_null() ? "-" : field.c_str());
        }
        lines.push_back(line);
    }
    work.commit();
    return lines;
}

std::string Views::error_of(const std::string& query) {
    try {
        pqxx::work work(db());
        work.exec(query);
    } catch (const pqxx::sql_error& refusal) {
        return refusal.what();
    }
    return "none";
}

}  // namespace runledger::test
