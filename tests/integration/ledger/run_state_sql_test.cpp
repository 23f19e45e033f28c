// The C++ fold and the SQL upsert are the same merge: events of few times, boots and outputs, applied to one database
// in one turn, to another one by one in another order, give the same rows.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

constexpr const char* all_rows =
    "SELECT coalesce(string_agg(t, E'\\n' ORDER BY t), '') FROM ("
    " SELECT (to_jsonb(r) - 'applied_at' - 'changed_at')::text AS t FROM runledger.runs AS r"
    " UNION ALL SELECT to_jsonb(o)::text FROM runledger.run_outputs AS o"
    " UNION ALL SELECT to_jsonb(s)::text FROM runledger.run_other_statuses AS s) AS rows";

std::string pick(std::mt19937& random, std::initializer_list<const char*> choices) {
    return *(choices.begin() + random() % choices.size());
}

Incoming random_event(std::mt19937& random) {
    std::string outputs = "[]";
    if (random() % 2 == 0) {
        outputs = fmt::format(R"([{{"id": "{}", "updated_at": "{}", "data": {}}}, {{"data": {}}}])",
                              pick(random, {"a", "b", ""}),
                              pick(random, {"2025-08-29T02:35:38.214Z", "2025-08-29T02:35:39Z", "yesterday"}),
                              random() % 3, random() % 2);
    }
    return {event_text({.run_id = pick(random, {"run-1", "run-2"}),
                        .status = pick(random, {"queued", "started", "running", "running", "uploading", "success",
                                                "failed", "cancelled", "timeout", "exploding"}),
                        .outputs = outputs,
                        .live_status = pick(random, {"null", "\"A\"", "\"B\""}),
                        .progress = pick(random, {"0.0", "0.5", "NaN"})}),
            static_cast<std::int64_t>(random() % 3), random() % 2 == 0};
}

TEST_F(Ledger, MergesInSqlAsInMemory) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    for (int round = 0; round < 30; ++round) {
        std::vector<std::pair<Incoming, std::uint8_t>> events;  // And the boot.
        for (std::size_t i = 0, n = 2 + random() % 10; i < n; ++i) {
            events.emplace_back(random_event(random), static_cast<std::uint8_t>(1 + random() % 2));
        }
        const auto rows_after = [&](std::size_t events_a_turn) {
            {
                pqxx::work work(db());
                work.exec(
                    "TRUNCATE runledger.runs, runledger.run_outputs, runledger.run_other_statuses, "
                    "runledger.webhook_events, runledger.ingested_batches, runledger.spool_segments");
                work.commit();
            }
            BatchNumber number = 0;
            for (std::size_t i = 0; i < events.size(); i += events_a_turn) {
                std::deque<MadeBatch> batches;
                std::vector<const MadeBatch*> turn;
                for (std::size_t k = i; k < std::min(events.size(), i + events_a_turn); ++k) {
                    batches.emplace_back(BatchName{segment(1), number++}, std::vector{events[k].first},
                                         events[k].second);
                    turn.push_back(&batches.back());
                }
                apply(turn);
            }
            return value(all_rows);
        };

        const std::string folded = rows_after(events.size());
        std::shuffle(events.begin(), events.end(), random);
        const std::string one_by_one = rows_after(1);
        std::shuffle(events.begin(), events.end(), random);
        const std::string in_threes = rows_after(3);

        ASSERT_EQ(one_by_one, folded) << "round " << round;
        ASSERT_EQ(in_threes, folded) << "round " << round;
    }
}

}  // namespace
}  // namespace runledger::test
