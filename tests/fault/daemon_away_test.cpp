// The daemon is away for a minute under load: the edge keeps its promise alone, and its memory stays flat.
#include <fmt/format.h>

#include <fstream>
#include <future>
#include <random>
#include <sstream>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

class DaemonAway : public Pipeline {
protected:
    // Resident memory of the newest worker, in KiB.
    [[nodiscard]] long worker_memory_kib() {
        const auto workers = nginx().worker_pids();
        std::ifstream status(fmt::format("/proc/{}/status", workers.back()));
        std::string line;
        while (std::getline(status, line)) {
            if (line.starts_with("VmRSS:")) {
                return std::stol(line.substr(6));
            }
        }
        return 0;
    }

    [[nodiscard]] static std::chrono::seconds away() {
        return std::chrono::seconds{from_environment("RUNLEDGER_AWAY_SECONDS", 20)};
    }
};

TEST_F(DaemonAway, LeavesTheEdgeAnsweringAndTheLedgerCatchingUp) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto span = away();
    const auto runs =
        make_runs({.seed = seed, .runs = static_cast<std::size_t>(span.count()) * 20, .arrival_span = span});

    daemon().stop();
    const auto start = std::chrono::steady_clock::now();
    const auto is_past = [&](int percent) { return std::chrono::steady_clock::now() - start > span * percent / 100; };
    auto sending = std::async(std::launch::async, [&] { return send(runs); });
    std::vector<long> memory;
    for (const int percent : {30, 60, 90}) {
        eventually(
            "time passes", [&] { return is_past(percent); }, span + std::chrono::seconds{10});
        memory.push_back(worker_memory_kib());
        if (percent < 90) {
            nginx().reload();
        }
    }
    const auto deliveries = sending.get();
    EXPECT_EQ(value("SELECT count(*) FROM runledger.webhook_events"), "0") << "the daemon was away all the time";
    daemon().start();

    for (const Delivery& delivery : deliveries) {
        ASSERT_TRUE(delivery.accepted()) << runs[delivery.run].events[delivery.event].body;
    }
    expect_the_oracle_agrees(runs, deliveries, {.messages = {.follow_ups_allowed = true}});
    expect_the_books_balance();
    fmt::print("worker memory at 30, 60 and 90 % of {} s, in KiB: {} {} {}\n", span.count(), memory[0], memory[1],
               memory[2]);
    EXPECT_LT(memory[2], memory[0] + 16 * 1024) << "the spool holds the backlog, not the worker";
}

}  // namespace
}  // namespace runledger::test
