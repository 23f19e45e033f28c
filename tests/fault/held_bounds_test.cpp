// Everything is bounded, also the requests that are held: over the bound the edge refuses before it accepts, at once,
// and counts it. The bound of held bytes has its test in the edge's durability_test.cpp.
#include <sys/resource.h>

#include <memory>

#include "nginx-module/courier.hpp"
#include "tests/fault/disk_fault_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;

const std::size_t held_events_max = edge::CourierConfig{}.held_events_max;

class HeldBounds : public DiskFaultFixture {
protected:
    // For a connection of each held request in this process, and as many in nginx's, which inherits the limit.
    [[nodiscard]] static bool may_open(rlim_t files) {
        rlimit limit{};
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < files) {
            return false;
        }
        limit.rlim_cur = std::max(limit.rlim_cur, files);
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
    }
};

TEST_F(HeldBounds, OneRequestOverTheBoundIsRefusedAtOnceAndTheOthersAreAnswered) {
    if (!may_open(held_events_max + 1000)) {
        GTEST_SKIP() << "not that many files may be open here";
    }
    start_daemon();
    start_edge(
        {.worker_connections = 2 * static_cast<int>(held_events_max), .location_extra = "runledger_timeout 120s;"});
    disk().hang(disk_sync);
    std::vector<std::string> events;
    std::vector<std::unique_ptr<RawConnection>> held;
    for (std::size_t i = 0; i < held_events_max; ++i) {
        events.push_back(fresh_event());
        held.push_back(std::make_unique<RawConnection>(nginx().port()));
        held.back()->send(raw_post(events.back(), "Connection: close\r\n"));
    }
    wait_until_held(static_cast<long>(held_events_max));

    const HttpAnswer answer = post(fresh_event());

    EXPECT_EQ(answer.status, 503);
    EXPECT_NE(answer.body.find("over_bound"), std::string::npos) << answer.body;
    EXPECT_EQ(status_value("requests_total{outcome=\"over_bound\"}"), 1);
    disk().heal();
    for (auto& connection : held) {
        EXPECT_EQ(connection->read_to_end(seconds{30}).find("HTTP/1.1 200"), 0U);
    }
    expect_delivered(events);
}

}  // namespace
}  // namespace runledger::test
