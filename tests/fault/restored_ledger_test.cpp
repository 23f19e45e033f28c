// The database is restored to an earlier point. The edges have kept what it had retired since (keep_acked=), and what
// is in open segments; they send it once more, and the ledger takes what it lacks and nothing twice.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/oracle/generation_rows.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

class RestoredLedger : public Pipeline {
protected:
    RestoredLedger() {
        nginx_conf.workers = 2;
        nginx_conf.spool_options = "keep_acked=1h";
    }

    [[nodiscard]] std::vector<fs::path> kept_segments() {
        std::vector<fs::path> kept;
        for (const auto& entry : fs::directory_iterator(nginx().spool())) {
            if (entry.path().extension() == ".kept") {
                kept.push_back(entry.path());
            }
        }
        return kept;
    }

    // The oldest workers end and leave their segments to the next, who retire them.
    void retire_all() {
        nginx().reload();
        eventually(
            "every segment is retired, and kept",
            [this] {
                return value("SELECT count(*) FROM runledger.spool_segments WHERE retired_at IS NULL") == "0" &&
                       value("SELECT count(*) FROM runledger.spool_segments") == std::to_string(kept_segments().size());
            },
            std::chrono::seconds{60}, [this] { return nginx().error_log(); });
    }

    // The runs of the plan from one place to another; the deliveries name them as the whole plan does.
    void send_some(const std::vector<RunPlan>& runs, std::size_t first, std::size_t last) {
        const std::vector<RunPlan> some(runs.begin() + static_cast<std::ptrdiff_t>(first),
                                        runs.begin() + static_cast<std::ptrdiff_t>(last));
        for (Delivery& delivery : send_runs(some, {.url = nginx().url()})) {
            ASSERT_TRUE(delivery.accepted());
            delivery.run += first;
            deliveries_.push_back(std::move(delivery));
        }
    }

    // With nobody connected, as a copy needs it.
    void copy_database(std::string_view from, std::string_view to) {
        daemon().stop();
        postgres().drop_database(to);
        static_cast<void>(postgres().create_database(to, from));
        daemon().start();
    }

    std::vector<Delivery> deliveries_;
};

TEST_F(RestoredLedger, IsFedAgainFromKeptSegments) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = make_runs({.seed = seed, .runs = 90, .arrival_span = std::chrono::seconds{1}});
    {
        GenerationRows rows(application_uri,
                            runs);  // Before the backup: they are the application's to restore, not ours.
        rows.insert_first();
        rows.insert_rest();
    }
    const Judgement judgement{.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}};

    // At the backup some segments are retired, some are only begun, and some are still to come.
    send_some(runs, 0, 30);
    retire_all();
    const std::size_t retired_before = kept_segments().size();
    send_some(runs, 30, 60);
    expect_the_oracle_agrees(runs, deliveries_, judgement);
    copy_database("runledger", "backup");
    send_some(runs, 60, 90);
    expect_the_oracle_agrees(runs, deliveries_, judgement);
    retire_all();
    ASSERT_GT(kept_segments().size(), retired_before);

    copy_database("backup", "runledger");
    ASSERT_LT(std::stoul(value("SELECT count(*) FROM runledger.webhook_events")), deliveries_.size())
        << "the restored ledger lacks events";
    for (const fs::path& kept : kept_segments()) {
        fs::rename(kept, kept.parent_path() / kept.stem());
    }

    expect_the_oracle_agrees(runs, deliveries_, judgement);
    expect_the_books_balance();
    eventually(
        "every segment is retired and kept again",
        [this] {
            return value("SELECT count(*) FROM runledger.spool_segments WHERE retired_at IS NULL") == "0" &&
                   value("SELECT count(*) FROM runledger.spool_segments") == std::to_string(kept_segments().size());
        },
        std::chrono::seconds{60}, [this] { return nginx().error_log(); });
    EXPECT_EQ(value("SELECT count(*) FROM runledger.quarantine WHERE scope = 'batch'"), "0");
}

// No segment is full or retired: what the edge holds is in open segments, whose events were acknowledged.
TEST_F(RestoredLedger, IsFedAgainFromOpenSegmentsOnceNginxIsReloaded) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = make_runs({.seed = seed, .runs = 60, .arrival_span = std::chrono::seconds{1}});
    {
        GenerationRows rows(uri(), runs);
        rows.insert_first();
        rows.insert_rest();
    }
    const Judgement judgement{.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}};
    send_some(runs, 0, 30);
    expect_the_oracle_agrees(runs, deliveries_, judgement);
    copy_database("runledger", "backup");
    send_some(runs, 30, 60);
    expect_the_oracle_agrees(runs, deliveries_, judgement);

    copy_database("backup", "runledger");
    ASSERT_LT(std::stoul(value("SELECT count(*) FROM runledger.webhook_events")), deliveries_.size())
        << "the restored ledger lacks events";
    const Finished audited = daemon().tool({"audit"});
    EXPECT_THAT(audited.output, testing::HasSubstr("open segments; the newest of their batches here: 20"));
    EXPECT_THAT(audited.output, testing::HasSubstr("have all edges send again"));
    nginx().reload();

    expect_the_oracle_agrees(runs, deliveries_, judgement);
    expect_the_books_balance();
    EXPECT_EQ(value("SELECT count(*) FROM runledger.quarantine WHERE scope = 'batch'"), "0");
}

}  // namespace
}  // namespace runledger::test
