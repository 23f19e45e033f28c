// An fdatasync that never returns can't be taken back, but nginx must end all the same: each way to end it is bounded,
// nothing that was not stored is answered 2xx, and the next nginx finds all that was.
#include <algorithm>
#include <csignal>

#include "tests/fault/disk_fault_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;

constexpr int waiting_requests = 8;
// The requests' three seconds, the courier's five, and what a busy machine adds.
constexpr seconds end_patience{15};

class HangingDisk : public DiskFaultFixture {
protected:
    // Given: some events are answered, the disk hangs, and requests wait for it.
    void hang_with_requests_waiting() {
        start_edge({.location_extra = "runledger_timeout 3s;"});
        answered_ = post_until_answered(3);
        disk().hang(disk_sync);
        sending_ = send_at_once(waiting_requests);
        eventually("the courier hangs", [this] { return disk().hanging(disk_sync) > 0; });
        wait_until_held(waiting_requests);  // Or nginx would close the port before all have come.
    }

    void expect_refused_at_the_deadline() {
        for (const SentEvent& event : results_of(std::move(sending_))) {
            EXPECT_EQ(event.answer.status, 503) << event.answer.error;
            EXPECT_GE(event.waited, std::chrono::milliseconds{2900});
        }
    }

    void expect_none_accepted() {
        for (const SentEvent& event : results_of(std::move(sending_))) {
            // None, or 503 where the deadline came first.
            EXPECT_NE(event.answer.status, 200) << "what is not stored is not accepted";
        }
    }

    // When the disk works again, and nginx runs: all that was answered comes through.
    void expect_nothing_lost() {
        for (std::string& body : post_until_it_recovers()) {
            answered_.push_back(std::move(body));
        }
        start_daemon();
        expect_all_delivered(answered_);
    }

    void expect_gone(const std::vector<pid_t>& old) {
        eventually(
            "the old workers are gone",
            [&] {
                const auto now = nginx().worker_pids();
                return std::ranges::none_of(old, [&](pid_t pid) { return std::ranges::find(now, pid) != now.end(); });
            },
            end_patience);
    }

private:
    std::vector<std::string> answered_;
    std::vector<std::future<SentEvent>> sending_;
};

TEST_F(HangingDisk, LetsNginxQuitWithinItsBound) {
    hang_with_requests_waiting();

    nginx().quit(end_patience);

    expect_refused_at_the_deadline();
    wait_for_error_log("the courier did not stop in time");
    disk().heal();
    nginx().start();
    expect_nothing_lost();
}

TEST_F(HangingDisk, LetsOldWorkersGoAfterAReload) {
    hang_with_requests_waiting();
    const auto old = nginx().worker_pids();

    nginx().reload();

    expect_refused_at_the_deadline();
    expect_gone(old);
    wait_for_error_log("the courier did not stop in time");
    EXPECT_EQ(http_get(nginx().url("/runledger_status")).status, 200) << "the new worker serves, though its disk hangs";
    disk().heal();
    expect_nothing_lost();
}

TEST_F(HangingDisk, LetsNginxBeTerminated) {
    // The master waits for a second or two, and then kills: nginx's own way.
    allow_alarm(NginxServer::death_notice());
    hang_with_requests_waiting();

    nginx().term(end_patience);

    expect_none_accepted();
    disk().heal();
    nginx().start();
    expect_nothing_lost();
}

TEST_F(HangingDisk, LosesNothingWhenTheWorkerIsKilled) {
    allow_alarm(NginxServer::death_notice());
    hang_with_requests_waiting();

    nginx().kill_workers();

    expect_none_accepted();
    disk().heal();
    expect_nothing_lost();
}

TEST_F(HangingDisk, ThatRecoversWhileNginxQuitsIsWaitedFor) {
    hang_with_requests_waiting();
    expect_refused_at_the_deadline();
    nginx().signal_master(SIGQUIT);
    eventually("the worker ends: it takes no connections any more",
               [this] { return !takes_connections(nginx().port()); });

    disk().heal();

    nginx().quit(end_patience);
    EXPECT_EQ(nginx().error_log().find("the courier did not stop in time"), std::string::npos);
    nginx().start();
    expect_nothing_lost();
}

}  // namespace
}  // namespace runledger::test
