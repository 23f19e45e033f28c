// Promise 3 over both kinds of event: a run's row is a function of the set of its webhooks and reports.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <random>

#include "daemon/database/libpqxx.hpp"
#include "daemon/reconcile/lookups.hpp"
#include "queries/reconcile.hpp"
#include "tests/integration/reconcile/reconcile_fixture.hpp"

namespace runledger::test {
namespace {

class ReportState : public Ledger {
protected:
    // Stored as reconcile stores it, but fetched at a moment of the test's choosing.
    void report(const std::string& run_id, std::string_view status, std::string_view outputs, int fetched_at_s) {
        auto decoded = decode_report(run_id, ComfyApiAnswer::run(run_id, status, outputs).body);
        const auto& made = std::get<ProviderReport>(decoded);
        pqxx::work work(db());
        libpqxx::run(work,
                     "INSERT INTO runledger.provider_reports (run_id, fetched_at, digest, status, started_at, "
                     "ended_at, output_count, body) VALUES ($1, to_timestamp($2), $3, $4, to_timestamp($2), "
                     "to_timestamp($2 + 1), 0, '')",
                     run_id, fetched_at_s, made.digest, made.status_word);
        libpqxx::run(work, queries::reconcile::upsert_runs, fmt::format("{{\"{}\"}}", run_id));
        work.commit();
    }

    std::string row(const std::string& run_id) {
        return value(
            fmt::format("SELECT (to_jsonb(r) - 'run_id' - 'applied_at' - 'changed_at' - 'quiet_from')::text "
                        "FROM runledger.runs AS r WHERE run_id = '{}'",
                        run_id));
    }
};

TEST_F(ReportState, IsTheSameInWhateverOrderReportsAndWebhooksCome) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    for (int set = 0; set < 24; ++set) {
        const bool ends_by_webhook = set % 3 == 0;
        const auto event_count = static_cast<std::size_t>(set % 4);  // Of some runs the provider alone tells.
        std::string expected;
        for (int order = 0; order < 6; ++order) {
            const std::string run_id = fmt::format("run-{}-{}", set, order);
            std::vector<std::function<void()>> news;
            const auto event = [&](std::string_view status, std::int64_t at_us) {
                news.push_back([this, run_id, status, at_us] {
                    // The digest of a body decides nothing here: instants differ.
                    apply_events({{fmt::format(R"({{"run_id": "{}", "status": "{}"}})", run_id, status), at_us}});
                });
            };
            for (std::size_t i = 0; i < event_count; ++i) {
                event(std::array{"queued", "running", "running"}[i], static_cast<std::int64_t>(i) * 1'000'000);
            }
            if (ends_by_webhook) {
                event("cancelled", 9'000'000);
                event("success", 12'000'000);
            }
            news.push_back([this, run_id] { report(run_id, "failed", "[]", 1'756'500'000); });
            news.push_back([this, run_id] { report(run_id, "success", "[]", 1'756'400'000); });
            std::shuffle(news.begin(), news.end(), random);

            for (const auto& tell : news) {
                tell();
            }

            std::string seen = row(run_id);
            // Digests follow the run's id, which differs between the orders.
            seen = value(fmt::format(
                "SELECT ('{}'::jsonb - 'reported_digest' - 'finished_digest' - 'latest_digest')::text", seen));
            if (order == 0) {
                expected = seen;
                EXPECT_EQ(value(fmt::format("SELECT concat_ws('|', terminal_status, reported_status) "
                                            "FROM runledger.runs WHERE run_id = '{}'",
                                            run_id)),
                          ends_by_webhook ? "cancelled|success" : "success|success");
            }
            ASSERT_EQ(seen, expected) << "set " << set;
        }
    }
}

TEST_F(ReportState, QueuesARunForSettlementOnlyWhereItsEndingChanged) {
    apply_events({{event_text({.status = "success"}), 1}});
    const std::int64_t queued = count("settle_queue");

    report("run-1", "failed", "[]", 1'756'500'000);
    EXPECT_EQ(count("settle_queue"), queued) << "a webhook had ended it";

    report("run-2", "failed", "[]", 1'756'500'000);
    EXPECT_EQ(count("settle_queue"), queued + 1);
    report("run-2", "success", "[]", 1'756'600'000);
    EXPECT_EQ(count("settle_queue"), queued + 1) << "a later report changes nothing";
    apply_events({{event_text({.run_id = "run-2", .status = "cancelled"}), 2}});
    EXPECT_EQ(count("settle_queue"), queued + 2) << "a webhook's ending wins over the report's";
}

}  // namespace
}  // namespace runledger::test
