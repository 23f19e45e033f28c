// The simulated sender with every habit on, against one worker, and an oracle that knows nothing of the daemon.
#include <fmt/format.h>

#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

class SimulatedSender : public Pipeline {};

TEST_F(SimulatedSender, LeavesEveryRowAndMessageAsTheOracleSays) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = make_runs({.seed = seed, .runs = 1000, .arrival_span = std::chrono::seconds{8}});

    const auto deliveries = send(runs);

    for (const Delivery& delivery : deliveries) {
        ASSERT_TRUE(delivery.accepted()) << runs[delivery.run].events[delivery.event].body;
    }
    expect_the_oracle_agrees(runs, deliveries, {});
    expect_the_books_balance();
}

}  // namespace
}  // namespace runledger::test
