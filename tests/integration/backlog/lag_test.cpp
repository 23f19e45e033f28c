// The lags that apply and settle observe, by the clocks of the edge and of this host.
#include <gmock/gmock.h>

#include <numeric>

#include "tests/integration/ledger/appliers_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"

namespace runledger::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::uint64_t observed(const LagHistogram& lags) {
    const auto counts = lags.counts();
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

// How many of them are in buckets above `lower` and up to `upper`, which are bounds.
std::uint64_t between(const LagHistogram& lags, microseconds lower, microseconds upper) {
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < LagHistogram::bounds.size(); ++i) {
        found += LagHistogram::bounds[i] > lower && LagHistogram::bounds[i] <= upper ? lags.counts()[i] : 0;
    }
    return found;
}

class Lag : public Ledger {
protected:
    // A batch of one event that the edge received so long ago.
    [[nodiscard]] MadeBatch received(microseconds ago, std::uint64_t number,
                                     const EventText& event = {.run_id = "run-1"}) const {
        const auto now = std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch());
        return {{segment(1), number}, {{event_text(event), (now - ago).count() - ledger_epoch_us}}};
    }
};

TEST_F(Lag, OfApplyCountsEachEventOnceFromItsReceiptToItsCommit) {
    const MadeBatch soon = received(seconds{40}, 0);
    const MadeBatch late = received(hours{2}, 1);
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(soon);
    appliers.offer(late);
    appliers.wait_for(2);
    appliers.offer(soon);  // A copy.
    eventually("the copy is known", [&] { return appliers.counters().batch_copies == 1; });

    const LagHistogram& lags = appliers.counters().lag;
    EXPECT_EQ(observed(lags), 2U);
    EXPECT_EQ(between(lags, seconds{30}, minutes{5}), 1U);
    EXPECT_EQ(between(lags, hours{1}, hours{24}), 1U);
    EXPECT_GE(lags.sum(), hours{2} + seconds{40});
    EXPECT_EQ(appliers.counters().events_ahead_of_clock, 0U);
}

TEST_F(Lag, OfAnEdgeWhoseClockIsAheadIsNoneAndIsCounted) {
    const MadeBatch ahead = received(-hours{1}, 0);
    const MadeBatch within_a_second = received(-milliseconds{100}, 1);
    Appliers appliers(daemon_uri(), 1, {}, {&ahead, &within_a_second});
    appliers.wait_for(2);

    const LagHistogram& lags = appliers.counters().lag;
    EXPECT_EQ(observed(lags), 2U);
    EXPECT_EQ(appliers.counters().events_ahead_of_clock, 1U);
    EXPECT_LT(lags.sum(), hours{1});
}

TEST_F(Lag, OfSettleCountsTheFirstSettlementOfARunFromTheReceiptOfItsEnding) {
    insert_generation("run-1");
    const RunningSettlers settlers(daemon_uri());
    Appliers appliers(daemon_uri(), 1);
    const MadeBatch running = received(hours{5}, 0);
    const MadeBatch ended = received(minutes{3}, 1, {.run_id = "run-1", .status = "success"});

    appliers.offer(running);
    appliers.offer(ended);
    eventually("it is settled", [&] { return settlers.counters().settled == 1; });

    const LagHistogram& lags = settlers.counters().lag;
    EXPECT_EQ(observed(lags), 1U);
    EXPECT_EQ(between(lags, minutes{1}, minutes{5}), 1U);

    const MadeBatch earlier = received(hours{6}, 2);
    appliers.offer(earlier);
    eventually("it is settled again", [&] { return settlers.counters().resettled == 1; });
    EXPECT_EQ(observed(lags), 1U);
}

}  // namespace
}  // namespace runledger::test
