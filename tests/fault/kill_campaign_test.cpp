// Under load, each part is killed with SIGKILL again and again, and nginx is reloaded: every event that got a 2xx is in
// the ledger once, and every row is what the oracle says.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

class KillCampaign : public Pipeline {
protected:
    // RUNLEDGER_CAMPAIGN_ROUNDS makes it longer than ./test's share.
    [[nodiscard]] static int rounds() { return from_environment("RUNLEDGER_CAMPAIGN_ROUNDS", 3, 3); }

    // Until the edge has taken some more events after the last fault, so that each fault meets a running system.
    void let_some_events_through() {
        const auto before = accepted_.load();
        eventually(
            "the edge takes events", [&] { return accepted_ >= before + 20 || all_sent_; }, std::chrono::seconds{40});
    }

    // Counts what is accepted as it goes; `runs` must outlive the future.
    [[nodiscard]] std::future<std::vector<Delivery>> send_in_background(const std::vector<RunPlan>& runs) {
        return std::async(std::launch::async, [this, &runs] {
            auto deliveries =
                send(runs, 64, [this](const Delivery& delivery) { accepted_ += delivery.accepted() ? 1U : 0U; });
            all_sent_ = true;
            return deliveries;
        });
    }

    std::atomic<std::size_t> accepted_{0};
    std::atomic<bool> all_sent_{false};
};

// The edge lives on and remembers what was acknowledged: an ack that came before its COMMIT would be a loss here, where
// no new worker sends everything once more.
TEST_F(KillCampaign, AcknowledgesNothingBeforeItIsCommitted) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = make_runs({.seed = seed,
                                 .runs = static_cast<std::size_t>(rounds()) * 60,
                                 .arrival_span = std::chrono::seconds{4} * rounds()});
    auto sending = send_in_background(runs);

    for (int round = 0; round < rounds(); ++round) {
        let_some_events_through();
        daemon().kill();
        daemon().start();
        let_some_events_through();
        postgres().kill_hard();
        postgres().start();
    }
    const auto deliveries = sending.get();

    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
}

TEST_F(KillCampaign, LosesNothingAndDoublesNothing) {
    nginx_conf.workers = 2;
    start_all();
    expect_worker_deaths();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = make_runs({.seed = seed,
                                 .runs = static_cast<std::size_t>(rounds()) * 120,
                                 .arrival_span = std::chrono::seconds{8} * rounds()});
    auto sending = send_in_background(runs);

    for (int round = 0; round < rounds(); ++round) {
        let_some_events_through();
        nginx().kill_workers();
        let_some_events_through();
        daemon().kill();
        let_some_events_through();
        daemon().start();
        let_some_events_through();
        postgres().kill_hard();
        let_some_events_through();
        postgres().start();
        let_some_events_through();
        nginx().reload();
    }
    EXPECT_FALSE(all_sent_) << "the faults came too late to meet any load";
    const auto deliveries = sending.get();

    std::size_t accepted = 0;
    for (const Delivery& delivery : deliveries) {
        accepted += delivery.accepted() ? 1U : 0U;
    }
    EXPECT_GT(accepted, deliveries.size() * 9 / 10) << "held requests bridge a fault; hardly any may be refused";
    // A daemon that dies between a call and its record may tell somebody twice; outputs may come after the grace.
    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
    RecordProperty("events_accepted", static_cast<int>(accepted));
}

}  // namespace
}  // namespace runledger::test
