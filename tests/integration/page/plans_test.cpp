// The page's queries at any size of the ledger: each can be answered through indexes, whatever is in the tables.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "queries/overview.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

namespace sql = queries::overview;

struct Asked {
    std::string_view name;
    std::string_view query;
    std::vector<std::string> values{};
};

std::vector<Asked> all_queries() {
    return {{"become_reader", sql::become_reader},
            {"in_flight", sql::in_flight, {"10000"}},
            {"commit_lag", sql::commit_lag},
            {"settle_lag", sql::settle_lag},
            {"unsettled", sql::unsettled, {"6"}},
            {"outbox", sql::outbox, {"10000"}},
            {"failed_messages", sql::failed_messages, {"6"}},
            {"failed_runs", sql::failed_runs, {"6"}},
            {"quarantine", sql::quarantine, {"10000", "6"}},
            {"stuck", sql::stuck, {"10000", "6"}},
            {"unpriced", sql::unpriced},
            {"month_days", sql::month_days},
            {"month_gpus", sql::month_gpus, {"12"}},
            {"find_by_run", sql::find_by_run, {"'r-1'"}},
            {"find_by_key", sql::find_by_key, {"'1'"}},
            {"find_by_chat", sql::find_by_chat, {"42", "25"}},
            {"run", sql::run, {"'r-1'"}},
            {"cost", sql::cost, {"'r-1'"}},
            {"timeline", sql::timeline, {"'r-1'", "501"}}};
}

class PageQueries : public Ledger {
protected:
    // With the values in the places of its parameters.
    [[nodiscard]] static std::string text_of(const Asked& asked) {
        std::string text(asked.query);
        for (std::size_t i = asked.values.size(); i > 0; --i) {
            const std::string place = "$" + std::to_string(i);
            for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + 1)) {
                text.replace(at, place.size(), asked.values[i - 1]);
            }
        }
        return text;
    }
};

TEST_F(PageQueries, AreAllInTheTable) {
    std::set<std::string> in_table;
    for (const Asked& asked : all_queries()) {
        in_table.insert(std::string(asked.name));
    }
    std::set<std::string> there;
    for (const auto& file : std::filesystem::directory_iterator(RUNLEDGER_SOURCE_DIR "/sql/queries/overview")) {
        there.insert(file.path().stem());
    }
    EXPECT_EQ(in_table, there);
}

// Without sequential scans the planner takes one only where no index will do. settle_queue has only what waits.
TEST_F(PageQueries, NeedNoTableAsAWhole) {
    for (const Asked& asked : all_queries()) {
        pqxx::work work(db());
        work.exec("SET LOCAL enable_seqscan = off; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off");
        std::string plan;
        for (const auto& row : work.exec("EXPLAIN (COSTS off) " + text_of(asked))) {
            plan += row[0].as<std::string>() + "\n";
        }
        for (std::size_t at = plan.find("Seq Scan on "); at != std::string::npos;
             at = plan.find("Seq Scan on ", at + 1)) {
            const std::string table = plan.substr(at + 12, plan.find_first_of(" \n", at + 12) - at - 12);
            EXPECT_EQ(table, "settle_queue") << asked.name << ":\n" << plan;
        }
    }
}

TEST_F(PageQueries, RunByTheReadersRightsAndReadOnly) {
    for (const Asked& asked : all_queries()) {
        pqxx::work work(db());
        work.exec(
            "SET TRANSACTION READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; "
            "SET LOCAL ROLE runledger_reader");
        EXPECT_NO_THROW(work.exec(text_of(asked))) << asked.name;
    }
}

}  // namespace
}  // namespace runledger::test
