// Names of daemons that DNS resolves late, not at all, or to several addresses: only the link to that daemon suffers.
#include <fmt/format.h>

#include <chrono>
#include <csignal>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/scarcity.hpp"

namespace runledger::test {
namespace {

class HangingNames : public LifecycleFixture {
protected:
    void TearDown() override {
        scarcity_.end();  // Or nginx would wait for it, as long as it may.
        LifecycleFixture::TearDown();
    }

    // One endpoint has a name, the other is the daemon's socket.
    void start_edge(int port = 1) {
        start_nginx({.daemon_endpoints = fmt::format("tcp://localhost:{} ipc://@TEST_FOLDER@/d.sock", port)},
                    {.env = scarcity_.env()});
    }
    void wait_for_links(std::uint64_t count) { wait_for_sample("runledger_edge_daemon_endpoints_up", count); }

    Scarcity scarcity_{folder()};
};

TEST_F(HangingNames, DoNotStopTheLinksToOtherDaemons) {
    scarcity_.let_names_hang();
    start_edge();
    eventually("the name is looked up", [this] { return scarcity_.names_waiting() > 0; });

    start_daemon();

    expect_delivered(post_until_answered(3));
    wait_for_error_log("name not resolved: tcp://localhost:1: ");
    wait_for_sample("runledger_edge_names_unresolved_total", 1);
}

TEST_F(HangingNames, DoNotDelayAReload) {
    scarcity_.let_names_hang();
    start_daemon();
    start_edge();
    eventually("the name is looked up", [this] { return scarcity_.names_waiting() > 0; });
    const auto old = nginx().workers();

    nginx().reload();

    expect_gone("the old workers", old, std::chrono::seconds{4});
    EXPECT_EQ(nginx().error_log().find("the courier did not stop in time"), std::string::npos);
    expect_delivered(post_until_answered(3));
}

TEST_F(HangingNames, ThatAreUnknownAreSaidOnceAndTriedAgain) {
    scarcity_.forget_names();
    const std::uint16_t port = free_port();
    StandInDaemon named{fmt::format("tcp://127.0.0.1:{}", port), [](auto) { return StandInDaemon::Answers{}; }};
    named.start();
    start_edge(port);
    eventually("it has been tried several times",
               [this] { return sample("runledger_edge_names_unresolved_total") >= 3; });
    const std::string log = nginx().error_log();
    const std::size_t said = log.find("name not resolved: ");
    ASSERT_NE(said, std::string::npos);
    EXPECT_EQ(log.find("name not resolved: ", said + 1), std::string::npos) << log;

    scarcity_.end();

    wait_for_links(1);
}

// On a stock Debian localhost is ::1 first, where a daemon that binds 127.0.0.1 does not listen.
TEST_F(HangingNames, OfSeveralAddressesAreConnectedToByTheOneThatAnswers) {
    const std::uint16_t port = free_port();
    StandInDaemon named{fmt::format("tcp://127.0.0.1:{}", port), [](auto) { return StandInDaemon::Answers{}; }};
    named.start();

    start_edge(port);

    wait_for_links(1);
    named.stop();
    wait_for_links(0);
    named.start();
    wait_for_links(1);
}

}  // namespace
}  // namespace runledger::test
