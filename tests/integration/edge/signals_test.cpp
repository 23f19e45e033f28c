// Signals that nginx is sent under load, with the daemon there and with the daemon away: a reload, fewer and more
// workers, QUIT, TERM, the death of a worker and of the master. What was answered is delivered, once.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

constexpr std::string_view accepted = R"(runledger_edge_requests_total{outcome="accepted"})";
constexpr std::string_view committed = "runledger_edge_events_committed_total";

class Signals : public LifecycleWithAndWithoutDaemon {
protected:
    static constexpr std::size_t some = 100;

    // A reload, until nothing of the old workers is left.
    void reload_with_workers(int workers) {
        const auto old = nginx().workers();
        nginx().set_conf(standard_conf({.workers = workers}));
        nginx().reload();
        expect_workers_gone(old);
        wait_for_workers(static_cast<std::size_t>(workers), old);
        open_other_connections();
    }
};

INSTANTIATE_TEST_SUITE_P(Edge, Signals, ::testing::Values(true, false), name_of_daemon_state);

TEST_P(Signals, ReloadLeavesNoRequestWithoutItsAnswerAndTheCountersGoOn) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 2});
    Load load{nginx().url()};
    for (int reloads = 0; reloads < 3; ++reloads) {
        load.wait_for_answers(some);

        reload_with_workers(2);
    }
    load.wait_for_answers(some);

    const auto answered = end_load_without_failure(load);
    wait_for_sample(std::string{accepted}, answered.size());
    wait_for_sample(std::string{committed}, answered.size());
    wait_for_serving_workers(2);
    start_daemon_if_it_was_away();
    expect_has_each_once(answered);
}

TEST_P(Signals, WorkersMayBecomeFewerAndMore) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 4});
    Load load{nginx().url()};
    load.wait_for_answers(some);

    for (const int workers : {1, 4}) {
        reload_with_workers(workers);
        load.wait_for_answers(some);
    }

    const auto answered = end_load_without_failure(load);
    start_daemon_if_it_was_away();
    expect_has_each_once(answered);
}

TEST_P(Signals, AKilledWorkersEventsAreDeliveredByTheOthers) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 2});
    allow_alarm(NginxServer::death_notice());
    Load load{nginx().url()};
    for (int kills = 0; kills < 3; ++kills) {
        load.wait_for_answers(some);
        const ProcessId victim = nginx().workers().front();

        ::kill(victim.pid, SIGKILL);

        expect_gone("the killed worker", {victim});
        wait_for_workers(2, {victim});
    }
    load.wait_for_answers(some);
    load.stop();

    start_daemon_if_it_was_away();
    expect_has_each_once(load.answered());
}

TEST_P(Signals, WhatWasAnsweredBeforeQuitIsDeliveredAfterTheNextStart) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 2});
    Load load{nginx().url()};
    load.wait_for_answers(some);

    quit_nginx();

    load.stop();
    start_daemon_if_it_was_away();
    nginx().start();
    expect_has_each_once(load.answered());
}

TEST_P(Signals, WhatWasAnsweredBeforeTermIsDeliveredAfterTheNextStart) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 2});
    Load load{nginx().url()};
    load.wait_for_answers(some);

    nginx().term();

    load.stop();
    start_daemon_if_it_was_away();
    nginx().start();
    expect_has_each_once(load.answered());
}

TEST_P(Signals, WorkersServeOnWithoutTheirMasterBesideANewNginxOnTheirSpool) {
    start_daemon_if_it_is_there();
    start_nginx({.workers = 2});
    const auto orphans = nginx().workers();
    Load load{nginx().url()};
    load.wait_for_answers(some);

    nginx().signal_master(SIGKILL);
    // The orphans hold the port, so the new one has another; the spool is the same.
    NginxServer second{folder(), standard_conf(), {.name = "second", .spool = nginx().spool()}};
    second.start();
    Load load_of_second{second.url()};
    load.wait_for_answers(some);
    load_of_second.wait_for_answers(some);

    auto answered = end_load_without_failure(load);
    for (const ProcessId& orphan : orphans) {
        ::kill(orphan.pid, SIGQUIT);
    }
    expect_workers_gone(orphans);
    for (std::string& body : end_load_without_failure(load_of_second)) {
        answered.push_back(std::move(body));
    }
    start_daemon_if_it_was_away();
    expect_has_each_once(answered);
    second.quit();
    second.check_logs();
}

TEST_P(Signals, QuitWaitsForHeldRequestsAndAnswersThem) {
    start_daemon_if_it_is_there();
    start_nginx();
    spool_becomes_unwritable();
    replace_workers_by_force();
    const std::string event = fresh_event();
    RawConnection held{nginx().port()};
    held.send(raw_post(event, "Connection: close\r\n"));
    wait_for_sample("runledger_edge_held_events", 1);

    nginx().signal_master(SIGQUIT);
    eventually("nginx takes no connection any more", [this] { return !takes_connections(nginx().port()); });
    spool_becomes_writable();

    EXPECT_EQ(held.read_to_end().find("HTTP/1.1 200"), 0U);
    held.close();  // Or nginx would linger.
    quit_nginx();
    start_daemon_if_it_was_away();
    nginx().start();
    expect_has_each_once({event});
}

}  // namespace
}  // namespace runledger::test
