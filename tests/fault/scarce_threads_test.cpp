// A task limit (TasksMax, ulimit -u) that leaves a worker too few threads: nginx and its other sites live on, nothing
// that was answered is lost, and the worker needs no restart when there are threads again.
#include <future>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scarcity.hpp"

namespace runledger::test {
namespace {

class ScarceThreads : public LifecycleFixture {
protected:
    void TearDown() override {
        scarcity_.end();
        LifecycleFixture::TearDown();
    }

    void start_edge(int threads_max) {
        scarcity_.allow_threads(threads_max);
        start_nginx({}, {.env = scarcity_.env()});
        eventually("threads are refused", [this] { return scarcity_.threads_denied() > 0; });
    }

    Scarcity scarcity_{folder()};
};

// The courier's thread, and fewer than ZeroMQ needs.
TEST_F(ScarceThreads, ForZeroMqLeaveAnEdgeThatStores) {
    for (const int threads_max : {1, 2}) {
        SCOPED_TRACE(threads_max);
        start_edge(threads_max);
        const auto workers = nginx().workers();
        start_daemon();

        std::vector<std::string> events = post_until_answered(3);

        wait_for_error_log("no link");
        EXPECT_EQ(sample("runledger_edge_links_up"), 0U);
        EXPECT_EQ(nginx().workers(), workers) << "no worker has died";
        scarcity_.end();
        wait_for_sample("runledger_edge_links_up", 1);
        expect_has_each_once(events);
        nginx().quit();
        daemon().stop();
    }
}

TEST_F(ScarceThreads, ForTheCourierAreWaitedFor) {
    start_daemon();
    start_edge(0);
    wait_for_error_log("the courier's thread can't be started");
    EXPECT_EQ(sample("runledger_edge_workers_without_courier"), 1U);
    const std::string event = fresh_event();
    auto posted = std::async(std::launch::async, [&] { return post(event); });
    wait_for_sample("runledger_edge_held_events", 1);

    scarcity_.end();

    EXPECT_EQ(posted.get().status, 200) << "it was held, as while a disk fails";
    expect_delivered({event});
    wait_for_error_log("the courier's thread runs");
    wait_for_sample("runledger_edge_workers_without_courier", 0);
}

TEST_F(ScarceThreads, ForTheCourierRefuseWhatIsOverItsTime) {
    scarcity_.allow_threads(0);
    start_nginx({.location_extra = "runledger_timeout 1s;"}, {.env = scarcity_.env()});

    const HttpAnswer answer = post(fresh_event());

    EXPECT_EQ(answer.status, 503);
    wait_for_access_log("timeout");
    const auto old = nginx().workers();
    nginx().reload();
    expect_workers_gone(old);
}

}  // namespace
}  // namespace runledger::test
