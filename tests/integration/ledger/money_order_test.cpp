// Promise 3 for money: what a price depends on (stamps, endings, rates, a run that moves) comes in any order to the
// same row.
#include <fmt/format.h>

#include <algorithm>

#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

// One event of the run, by both clocks of one boot: seconds after ledger_epoch, and since the boot.
struct Heard {
    const char* status;
    std::int64_t wall_seconds{};
    std::int64_t boot_seconds{};
    std::uint8_t boot{1};
};

class MoneyOrder : public Ledger {
protected:
    void hear(const Heard& heard) {
        const Stamp stamp{.received_at = WallTime{std::chrono::microseconds{ledger_epoch_us}} +
                                         std::chrono::seconds{heard.wall_seconds},
                          .boottime = BootTime{std::chrono::seconds{heard.boot_seconds}}};
        BootId boot;
        boot.bytes[0] = heard.boot;
        const MadeBatch batch({segment(1), next_batch_++}, event_text({.status = heard.status}), stamp, boot, false);
        apply({&batch});
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    [[nodiscard]] std::string row() {
        return value(
            "SELECT concat_ws('|', status, duration_ms, coalesce(cost_usd::text, '-'), coalesce(cost_note, '-')) "
            "FROM runledger.generations");
    }
    void forget_the_run() {
        execute(
            "DELETE FROM runledger.notifications; DELETE FROM runledger.settlements; "
            "DELETE FROM runledger.generations; DELETE FROM runledger.runs; DELETE FROM runledger.settle_queue");
    }

private:
    BatchNumber next_batch_{0};
};

struct ClockStep {
    const char* name;
    std::vector<Heard> heard;
    const char* row;
};

void PrintTo(const ClockStep& step, std::ostream* out) { *out << step.name; }

class ClockSteps : public MoneyOrder, public testing::WithParamInterface<ClockStep> {};

TEST_P(ClockSteps, ChangeNoDurationThatOneBootHasMeasuredInAnyOrder) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < GetParam().heard.size(); ++i) {
        order.push_back(i);
    }
    do {
        insert_generation("run-1");
        for (const std::size_t i : order) {
            hear(GetParam().heard[i]);
            settle("run-1");  // After each, so that what was settled too early is mended.
        }

        EXPECT_EQ(row(), GetParam().row) << fmt::format("{}", fmt::join(order, ", "));

        forget_the_run();
    } while (std::next_permutation(order.begin(), order.end()));
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, ClockSteps,
    testing::Values(
        ClockStep{"back_before_a_repeated_running",
                  {{"running", 0, 100}, {"running", -20, 110}, {"success", 30, 160}},
                  "completed|60000.000|0.020220000000|-"},
        ClockStep{"back_before_a_repeated_ending",
                  {{"running", 0, 100}, {"success", 60, 160}, {"success", 20, 180}},
                  "completed|60000.000|0.020220000000|-"},
        ClockStep{"forward_within_the_run",
                  {{"running", 0, 100}, {"running", 3600, 105}, {"success", 3655, 160}},
                  "completed|60000.000|0.020220000000|-"},
        // Between boots there is no other clock than the wall's; the first boot's own first is what is compared.
        ClockStep{"back_in_one_boot_beside_another",
                  {{"running", 0, 100, 1}, {"running", -20, 110, 1}, {"running", -5, 7, 2}, {"success", 60, 160, 1}},
                  "completed|65000.000|0.021905000000|clocks_differ"}),
    [](const auto& step) { return std::string(step.param.name); });

constexpr const char* rate_that_changes =
    "INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective) VALUES "
    "('TEST-GPU', 1, tstzrange(NULL, '2025-08-30 00:00+00')), ('TEST-GPU', 2, tstzrange('2025-08-30 00:00+00', NULL))";
constexpr std::int64_t midnight = 77'062;  // Seconds from ledger_epoch, 02:35:38, to the next day.

TEST_F(MoneyOrder, PricesByTheRateAtTheEndingThatCountsInAnyOrder) {
    execute(rate_that_changes);
    const Heard running{"running", midnight - 60, 100};
    const Heard early{"success", midnight - 1, 159};
    const Heard late{"success", midnight + 1, 161};
    for (const auto& [first, second] : {std::pair{early, late}, std::pair{late, early}}) {
        insert_metadata(R"({"run_id": "run-1", "gpu": "TEST-GPU"})");
        hear(running);
        hear(first);
        settle("run-1");
        hear(second);
        settle("run-1");

        EXPECT_EQ(row(), "completed|59000.000|59.000000000000|-");

        forget_the_run();
    }
}

TEST_F(MoneyOrder, SaysThatNoRateHoldsAtAnEndingThatMovedToADayWithout) {
    execute(
        "INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective) VALUES "
        "('TEST-GPU', 2, tstzrange('2025-08-30 00:00+00', NULL))");
    insert_metadata(R"({"run_id": "run-1", "gpu": "TEST-GPU"})");
    hear({"running", midnight - 60, 100});
    hear({"success", midnight + 1, 161});
    settle("run-1");
    ASSERT_EQ(row(), "completed|61000.000|122.000000000000|-");

    hear({"success", midnight - 1, 159});
    settle("run-1");

    EXPECT_EQ(row(), "completed|59000.000|-|gpu_rate_missing");
}

TEST_F(MoneyOrder, KeepsTheRateOfTheApplicationWhenTheEndingMoves) {
    insert_generation("run-1");
    hear({"running", 0, 100});
    hear({"success", 61, 161});
    settle("run-1");
    execute(R"(UPDATE runledger.generations SET metadata = jsonb_set(metadata, '{costRate,amount}', '9'))");

    hear({"success", 60, 160});
    settle("run-1");

    EXPECT_EQ(row(), "completed|60000.000|0.020220000000|-") << "at the rate that was copied";
}

// Retention removes a run and keeps its settlement: the price stays with the row that has it.
TEST_F(MoneyOrder, LeavesThePriceWithItsRowWhenARemovedRunIsGivenToAnother) {
    insert_generation("run-1");
    hear({"running", 0, 100});
    hear({"success", 60, 160});
    settle("run-1");
    execute(
        "DELETE FROM runledger.settle_queue; "
        "UPDATE runledger.runs SET changed_at = now() - interval '9 days', applied_at = now() - interval '9 "
        "days'; "
        "SELECT runledger.remove_expired('runs', 1, 10)");
    ASSERT_EQ(count("runs"), 0);
    insert_metadata(R"({"costRate": {"amount": 1, "currency": "USD", "unit": "run"}})");

    execute(R"(UPDATE runledger.generations SET metadata = metadata - 'run_id' WHERE id = 1;
               UPDATE runledger.generations SET metadata = metadata || '{"run_id": "run-1"}' WHERE id = 2)");

    EXPECT_EQ(settle("run-1"), "no_run");
    EXPECT_EQ(value("SELECT string_agg(coalesce(cost_usd::text, '-'), ' ' ORDER BY id) FROM runledger.generations"),
              "0.020220000000 -");
    EXPECT_EQ(count("settlements"), 1);
}

}  // namespace
}  // namespace runledger::test
