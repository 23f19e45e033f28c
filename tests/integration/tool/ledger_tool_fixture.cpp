#include "tests/integration/tool/ledger_tool_fixture.hpp"

#include <utility>

namespace runledger::test {

LedgerTool::LedgerTool() : program_(folder_, {.postgres_uri = owner_uri()}) {}

std::string LedgerTool::tool_says(std::vector<std::string> words, int exit_code) const {
    const Finished finished = tool(std::move(words));
    EXPECT_EQ(finished.status.code, exit_code) << finished.output;
    return finished.output;
}

void LedgerTool::sql(const std::string& statements) {
    pqxx::work work(db());
    work.exec(statements);
    work.commit();
}

std::string LedgerTool::rows(const std::string& query) {
    pqxx::work work(db());
    std::string text;
    for (const auto& row : work.exec(query)) {
        for (const auto& field : row) {
            text += (field.num() == 0 ? "" : "|") + (field.is_null() ? std::string("NULL") : field.as<std::string>());
        }
        text += '\n';
    }
    return text;
}

}  // namespace runledger::test
