// Everything is bounded: requests held, and what the spool's folder takes of the disk. Over a bound the edge refuses
// before it accepts, at once, and counts it. The bound of held bytes has its test in the edge's durability_test.cpp.
#include <sys/resource.h>

#include <atomic>
#include <memory>

#include "nginx-module/courier/courier.hpp"
#include "tests/fault/disk_fault_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;

const std::size_t held_events_max = edge::CourierSettings{}.held_events_max;

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

    // From so many connections at once, until each was refused a few times in a row; returns what was answered 200.
    [[nodiscard]] std::vector<std::string> fill_the_spool(int senders) {
        std::vector<std::future<std::vector<std::string>>> filling;
        for (int sender = 0; sender < senders; ++sender) {
            std::vector<std::string> events;
            for (int i = 0; i < 40; ++i) {
                events.push_back(fresh_event_of_bytes(1'500'000));
            }
            filling.push_back(std::async(std::launch::async, [this, events = std::move(events)] {
                std::vector<std::string> answered;
                int refused = 0;
                for (auto event = events.begin(); refused < 2 && event != events.end(); ++event) {
                    const HttpAnswer answer = post(*event);
                    refused = answer.status == 200 ? 0 : refused + 1;
                    if (answer.status == 200) {
                        answered.push_back(*event);
                    }
                }
                EXPECT_EQ(refused, 2) << "the spool took all that there was";
                return answered;
            }));
        }
        std::vector<std::string> all;
        for (auto& each : filling) {
            for (std::string& event : each.get()) {
                all.push_back(std::move(event));
            }
        }
        return all;
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

// Our own bound is far above the 768 connections of a stock Debian's worker: other sites need some of them.
TEST_F(HeldBounds, HeldRequestsLeaveConnectionsToOtherSites) {
    constexpr int connections = 64;
    constexpr int senders = connections + 16;
    constexpr int visitors = 4;
    start_daemon();
    start_edge({.worker_connections = connections,
                .server_extra = "location = /other { return 200 other; }",
                .location_extra = "runledger_timeout 120s;"});
    disk().hang(disk_sync);
    std::vector<std::string> events;
    std::vector<std::unique_ptr<RawConnection>> held;
    for (int i = 0; i < senders; ++i) {
        events.push_back(fresh_event());
        held.push_back(std::make_unique<RawConnection>(nginx().port()));
        held.back()->send(raw_post(events.back()));  // Refused or not, the client keeps its connection open.
    }
    long refused = 0;
    eventually(
        "each is held, or refused",
        [&] {
            refused = status_value("requests_total{outcome=\"over_bound\"}");
            return refused > 0 && status_value("held_events") + refused == senders;
        },
        seconds{20}, [&] { return nginx().error_log(); });

    std::vector<std::unique_ptr<RawConnection>> others;
    for (int i = 0; i < visitors; ++i) {
        others.push_back(std::make_unique<RawConnection>(nginx().port()));
        others.back()->send("GET /other HTTP/1.1\r\nHost: edge\r\n\r\n");
    }

    for (auto& other : others) {
        EXPECT_EQ(other->read_until("\r\n").find("HTTP/1.1 200"), 0U);
    }
    EXPECT_GE(senders - refused, connections / 2) << "half of the connections may be held";
    disk().heal();
    std::vector<std::string> answered;
    for (std::size_t i = 0; i < held.size(); ++i) {
        const std::string answer = held[i]->read_until("\r\n", seconds{30});
        if (answer.starts_with("HTTP/1.1 200")) {
            answered.push_back(events[i]);
        } else {
            EXPECT_EQ(answer.find("HTTP/1.1 503"), 0U) << answer;
        }
    }
    EXPECT_EQ(answered.size() + static_cast<std::size_t>(refused), events.size());
    expect_delivered(answered);
}

TEST_F(HeldBounds, TheFolderStaysWithinItsSizeThoughWorkersMakeSegmentsAtOnce) {
    constexpr std::uint64_t bytes_max = 64UL * 1024 * 1024;
    constexpr std::uint64_t segment = bytes_max / 16;
    constexpr int workers = 4;
    // Between a look at the folder and the next segment: time for the other couriers to look, too.
    disk().set(disk_reserve, {.delay = std::chrono::milliseconds{100}});
    start_edge({.workers = workers, .spool_options = "max_size=64m", .location_extra = "runledger_timeout 1s;"});
    std::atomic<bool> is_full{false};
    auto watching = std::async(std::launch::async, [&] {
        std::uint64_t most = 0;
        while (!is_full) {
            most = std::max(most, allocated_bytes());
        }
        return most;
    });

    auto answered = fill_the_spool(workers);
    is_full = true;

    const std::uint64_t most = watching.get();
    EXPECT_LE(most, bytes_max + (workers - 1) * segment) << "while each worker makes the segment that fits no more";
    eventually("who sees that it was too much gives way", [&] { return allocated_bytes() <= bytes_max; });
    EXPECT_GT(most, bytes_max * 3 / 4) << "the room is put to use";
    start_daemon();
    for (std::string& body : post_until_it_recovers()) {
        answered.push_back(std::move(body));
    }
    expect_all_delivered(answered);
}

}  // namespace
}  // namespace runledger::test
