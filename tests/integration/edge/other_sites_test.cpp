// Reloads beside a site whose connections stay open for longer than the test: an old worker lives on for them, and
// must not keep what belongs to the webhooks.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/integration/edge/process_facts.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class OtherSites : public LifecycleFixture {
protected:
    // So many that each of the workers has some, which it can't close: their requests are not complete.
    void open_connections(int count) {
        for (int i = 0; i < count; ++i) {
            others_.push_back(std::make_unique<RawConnection>(nginx().port()));
            others_.back()->send("GET /other HTTP/1.1\r\nHost: other\r\n");
        }
    }

    // Returns the workers that go on for the other site's connections alone.
    std::vector<ProcessId> reload_beside_connections() {
        open_connections(connections_per_reload);
        // Connections are accepted in their order: when this request is answered, the workers have those before it.
        static_cast<void>(sample("runledger_edge_workers"));
        const auto old = nginx().workers();
        nginx().reload();
        return old;
    }

    void TearDown() override {
        others_.clear();
        LifecycleFixture::TearDown();
    }

    static constexpr int connections_per_reload = 64;
    static constexpr int requests_per_reload = 32;
    std::vector<std::unique_ptr<RawConnection>> others_;
};

TEST_F(OtherSites, LeaveTheSpoolsRoomToTheNewWorkers) {
    std::string conf =
        standard_conf({.workers = 4, .spool_options = "max_size=64m", .http_extra = "client_header_timeout 600s;"});
    conf.insert(conf.find(" backlog="), " reuseport");  // So that each worker gets some of the requests.
    prepare_nginx(conf);
    nginx().start();
    std::vector<std::string> events = post_until_answered(requests_per_reload);
    std::vector<ProcessId> draining;

    for (int reload = 0; reload < 5; ++reload) {
        for (const ProcessId& old : reload_beside_connections()) {
            draining.push_back(old);
        }
        for (std::string& event : post_until_answered(requests_per_reload)) {
            events.push_back(std::move(event));
        }
    }

    EXPECT_TRUE(std::ranges::any_of(draining, is_alive));
    start_daemon();
    expect_delivered(events);
}

TEST_F(OtherSites, DoNotKeepEventsFromTheDaemonThatIsNamedNow) {
    RecordingDaemon other{folder() / "other.sock"};
    other.start();
    start_nginx({.workers = 2, .http_extra = "client_header_timeout 600s;"});
    std::vector<std::string> events = post_until_answered(6);
    open_connections(connections_per_reload);
    const auto old = nginx().workers();

    nginx().set_conf(standard_conf({.workers = 2,
                                    .daemon_endpoints = "ipc://@TEST_FOLDER@/other.sock",
                                    .http_extra = "client_header_timeout 600s;"}));
    nginx().reload();

    std::ranges::sort(events);
    eventually("the daemon that is named now has all events", [&] {
        auto delivered = other.delivered_bodies();
        std::ranges::sort(delivered);
        return delivered == events;
    });
    EXPECT_TRUE(std::ranges::any_of(old, is_alive));
    // Whoever listens at the old endpoint from now on gets nothing.
    start_daemon();
    std::vector<std::string> later = post_until_answered(4);
    eventually("the later events have come, too",
               [&] { return other.delivered_bodies().size() == events.size() + later.size(); });
    EXPECT_TRUE(daemon().delivered_bodies().empty());
    other.stop();
}

TEST_F(OtherSites, DoNotKeepAnOldWorkerFromAnsweringWhatItHolds) {
    start_daemon();
    start_nginx({.http_extra = "client_header_timeout 600s; client_body_timeout 600s;"});
    const std::string event = fresh_event();
    const std::string request = raw_post(event, "Connection: close\r\n");
    RawConnection slow{nginx().port()};
    slow.send(request.substr(0, request.size() - 5));
    const auto old = reload_beside_connections();
    std::vector<std::string> events = post_until_answered(2);
    eventually("the old worker has let go of its link",
               [this] { return sample("runledger_edge_workers") == 2 && sample("runledger_edge_links_up") == 1; });

    slow.send(request.substr(request.size() - 5));

    EXPECT_TRUE(slow.read_to_end().starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(std::ranges::any_of(old, is_alive));
    events.push_back(event);
    expect_delivered(events);
}

}  // namespace
}  // namespace runledger::test
