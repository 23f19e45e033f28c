// What the views take from the audit: a generation's GPU and rate, by its newest settlement.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;

class GpuCosts : public Views {
protected:
    void insert_settlement(std::int64_t generation, const std::string& finished_at, const std::string& outcome,
                           const std::string& gpu) {
        execute(fmt::format(
            "INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, rate_amount, "
            "rate_unit, rate_source, cost_usd, output_count, before, gpu) "
            "VALUES ({}, 'run-{}', '{}', 'test', 'completed', '{}', 0.1, 'run', 'metadata', 0.1, 0, '{{}}', {})",
            generation, generation, outcome, finished_at, gpu));
    }
    [[nodiscard]] std::vector<std::string> gpus() {
        return rows(
            "SELECT day, gpu, generations, priced, unpriced, cost_usd FROM runledger.gpu_costs_v1 "
            "ORDER BY day, gpu NULLS LAST");
    }
};

TEST_F(GpuCosts, AddUpByTheNewestSettlement) {
    const auto first = insert_ended({.ended_at = "2025-08-29 12:00Z", .cost_usd = "0.1"});
    const auto second = insert_ended({.ended_at = "2025-08-29 13:00Z", .cost_usd = "0.2"});
    insert_settlement(first, "2025-08-29 12:00Z", "settled", "'T4'");
    insert_settlement(first, "2025-08-29 12:00Z", "repriced", "'H100'");
    insert_settlement(second, "2025-08-29 13:00Z", "settled", "'H100'");

    EXPECT_THAT(gpus(), ElementsAre("2025-08-29 H100 2 2 0 0.3"));
}

TEST_F(GpuCosts, LookPastWhatWasReportedOfAnEdit) {
    const auto id = insert_ended({.ended_at = "2025-08-29 12:00Z", .cost_usd = "0.1"});
    insert_settlement(id, "2025-08-29 12:00Z", "settled", "'T4'");
    insert_settlement(id, "2025-08-29 12:00Z", "edited_by_hand", "'H100'");

    EXPECT_THAT(gpus(), ElementsAre("2025-08-29 T4 1 1 0 0.1"));
}

TEST_F(GpuCosts, FollowTheRowToTheDayThatItStandsOn) {
    // Settled on one day, then again with an ending of the day before; and one that somebody moved by hand.
    const auto moved_by_news = insert_ended({.ended_at = "2025-08-28 23:59Z", .cost_usd = "0.1"});
    insert_settlement(moved_by_news, "2025-08-29 00:01Z", "settled", "'T4'");
    insert_settlement(moved_by_news, "2025-08-28 23:59Z", "resettled", "'L4'");
    const auto moved_by_hand = insert_ended({.ended_at = "2025-08-27 12:00Z", .cost_usd = "0.2"});
    insert_settlement(moved_by_hand, "2025-08-29 12:00Z", "settled", "'H200'");

    EXPECT_THAT(gpus(), ElementsAre("2025-08-27 H200 1 1 0 0.2", "2025-08-28 L4 1 1 0 0.1"));
}

TEST_F(GpuCosts, KeepThoseOfAnUnknownGpu) {
    insert_ended({.ended_at = "2025-08-29 12:00Z", .cost_usd = "0.1"});  // Such as an adopted one: never settled.
    const auto without = insert_ended({.ended_at = "2025-08-29 12:00Z"});
    insert_settlement(without, "2025-08-29 12:00Z", "settled", "NULL");

    EXPECT_THAT(gpus(), ElementsAre("2025-08-29 - 2 1 1 0.1"));
}

TEST_F(GpuCosts, AddUpToTheDaysCosts) {
    const auto settled = insert_ended({.ended_at = "2025-08-29 12:00Z", .cost_usd = "0.1", .duration_ms = "3"});
    insert_ended({.ended_at = "2025-08-29 12:00Z", .status = "failed", .duration_ms = "4"});
    insert_ended({.ended_at = "2025-08-29 12:00Z", .status = "cancelled"});
    insert_settlement(settled, "2025-08-29 12:00Z", "settled", "'T4'");
    insert_settlement(settled, "2025-08-29 12:00Z", "resettled", "'T4'");
    constexpr auto sums =
        "SELECT day, sum(generations), sum(completed), sum(failed), sum(cancelled), sum(priced), sum(unpriced), "
        "sum(duration_ms), sum(cost_usd) FROM runledger.{} GROUP BY day ORDER BY day";

    EXPECT_THAT(rows(fmt::format(sums, "gpu_costs_v1")), ElementsAre("2025-08-29 3 1 1 1 1 0 7 0.1"));
    EXPECT_EQ(rows(fmt::format(sums, "gpu_costs_v1")), rows(fmt::format(sums, "day_costs_v1")));
    EXPECT_EQ(rows(fmt::format(sums, "chat_costs_v1")), rows(fmt::format(sums, "day_costs_v1")));
}

TEST_F(GpuCosts, AreOneRowAGenerationInRunCosts) {
    const auto twice = insert_ended({.cost_usd = "0.1"});
    insert_settlement(twice, "2025-08-29 12:00Z", "settled", "'T4'");
    insert_settlement(twice, "2025-08-29 12:00Z", "resettled", "'H100'");
    insert_settlement(twice, "2025-08-29 12:00Z", "edited_by_hand", "'B200'");
    const auto never = insert_metadata("{}");

    EXPECT_THAT(rows("SELECT generation_id, rate_source, gpu FROM runledger.run_costs_v1 ORDER BY generation_id"),
                ElementsAre(fmt::format("{} metadata H100", twice), fmt::format("{} - -", never)));
}

}  // namespace
}  // namespace runledger::test
