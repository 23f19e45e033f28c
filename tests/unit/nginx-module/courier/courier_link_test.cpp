// A courier and several daemons over real sockets: dead from the start, dying later, hanging, busy all the time, coming
// back, and killed by what they read.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "nginx-module/courier/courier.hpp"
#include "tests/unit/nginx-module/courier/courier_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

// Answers every batch `committed`, in a process of its own, until it is stopped or killed.
class DaemonInAnotherProcess {
public:
    // Before any thread is made.
    explicit DaemonInAnotherProcess(const std::string& endpoint) : pid_(::fork()) {
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            LedgerDaemon daemon(endpoint);
            daemon.start();
            while (true) {
                daemon.serve();
                ::usleep(1000);  // It has nothing else to wait for.
            }
        }
    }
    ~DaemonInAnotherProcess() {
        signal(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    DaemonInAnotherProcess(const DaemonInAnotherProcess&) = delete;
    DaemonInAnotherProcess& operator=(const DaemonInAnotherProcess&) = delete;

    void signal(int number) const { ::kill(pid_, number); }

private:
    pid_t pid_;
};

class CourierLink : public CourierFixture {
protected:
    CourierLink() { settings_.link.endpoints.push_back(second_endpoint_); }

    // As the fixture's, but serves the second daemon, too.
    void eventually(std::string_view sentence, const std::function<bool()>& predicate) {
        CourierFixture::eventually(sentence, [&] {
            second_.serve();
            return predicate();
        });
    }
    std::multiset<std::uint64_t> submit_all(std::uint64_t first, std::uint64_t count) {
        std::multiset<std::uint64_t> numbers;
        for (std::uint64_t i = first; i < first + count; ++i) {
            (void)submit(i);
            numbers.insert(i);
        }
        return numbers;
    }
    // In batches of one event each, so that the daemons have something to share.
    std::multiset<std::uint64_t> submit_one_by_one(std::uint64_t first, std::uint64_t count) {
        std::multiset<std::uint64_t> numbers;
        for (std::uint64_t i = first; i < first + count; ++i) {
            const auto event = submit(i);
            eventually("it is answered", [&] { return is_answered(event); });
            numbers.insert(i);
        }
        return numbers;
    }
    // Of both daemons, which share one database: a copy counts once.
    [[nodiscard]] std::set<std::uint64_t> in_the_ledger() const {
        const auto first = daemon_.ledger.events();
        const auto second = second_.ledger.events();
        std::set<std::uint64_t> events(first.begin(), first.end());
        events.insert(second.begin(), second.end());
        return events;
    }
    void all_delivered(const std::multiset<std::uint64_t>& numbers) {
        eventually("every event is in the ledger",
                   [&] { return in_the_ledger() == std::set<std::uint64_t>(numbers.begin(), numbers.end()); });
    }
    void peers_up(std::uint64_t count) {
        eventually("so many daemons are connected: " + std::to_string(count),
                   [&] { return courier_->figures().link.endpoints_up == count; });
    }
    [[nodiscard]] std::size_t lines_with(std::string_view text) const {
        return static_cast<std::size_t>(std::count_if(lines_.begin(), lines_.end(), [&](const LogLine& line) {
            return line.text.find(text) != std::string::npos;
        }));
    }

    const std::string second_endpoint_{"ipc://" + (temp_ / "second.sock").string()};
    LedgerDaemon second_{second_endpoint_};
};

TEST_F(CourierLink, ADaemonThatIsDeadFromTheStartIsLeftOut) {
    daemon_.start();
    settings_.link.delivery.window.resend_after = 1h;
    start();
    peers_up(1);

    all_delivered(submit_one_by_one(0, 20));

    EXPECT_EQ(courier_->figures().delivery.batches_resent, 0U);
}

TEST_F(CourierLink, DaemonsShareTheBatches) {
    daemon_.start();
    second_.start();
    start();
    peers_up(2);

    all_delivered(submit_one_by_one(0, 20));

    EXPECT_GT(daemon_.ledger.batch_count(), 0U);
    EXPECT_GT(second_.ledger.batch_count(), 0U);
}

TEST_F(CourierLink, WhatADaemonHadWhenItDiedGoesToTheOther) {
    daemon_.start();
    second_.start();
    settings_.link.delivery.window.resend_after = 1h;  // Only the lost connection can be the cause.
    daemon_.ledger.rule = [](const BatchName&) { return std::nullopt; };
    start();
    peers_up(2);
    auto numbers = submit_one_by_one(0, 10);
    eventually("one of them has some and is silent", [&] { return !daemon_.ledger.order().empty(); });

    daemon_.stop();
    all_delivered(numbers);
    EXPECT_EQ(second_.ledger.events(), numbers);

    daemon_.ledger.rule = nullptr;
    daemon_.start();
    peers_up(2);
    numbers.merge(submit_one_by_one(10, 10));
    all_delivered(numbers);
    EXPECT_GT(daemon_.ledger.batch_count(), 0U) << "it came back behind the same path";
    EXPECT_EQ(lines_with("link down: "), 1U) << all_log();
    EXPECT_EQ(lines_with("link up: "), 2U) << "that it is back is said when ten seconds have passed: " << all_log();
}

TEST_F(CourierLink, ADaemonThatIsBusyAllTheTimeDoesNotSlowTheOtherDown) {
    daemon_.start();
    second_.start();
    daemon_.ledger.rule = [](const BatchName&) { return wire::Verdict::busy; };
    start();
    peers_up(2);

    all_delivered(submit_one_by_one(0, 50));

    // The courier publishes what it has done at the end of a turn.
    eventually("the other has all that are counted",
               [&] { return second_.ledger.batch_count() == courier_->figures().commits.batches; });
}

TEST_F(CourierLink, ADaemonThatFlapsDoesNotFloodTheLog) {
    start();
    for (int i = 0; i < 8; ++i) {
        daemon_.start();
        peers_up(1);
        daemon_.stop();
        peers_up(0);
    }

    EXPECT_LE(lines_with("link up: "), 3U) << "one in ten seconds";
    EXPECT_LE(lines_with("link down: "), 3U);
    EXPECT_EQ(courier_->figures().link.peers_lost, 8U);
}

// The kernel takes connections for a stopped process, and its socket takes batches: only that nothing comes back
// tells that it hangs.
class CourierHangingLink : public CourierFixture {
protected:
    CourierHangingLink() { settings_.link.endpoints.push_back(hanging_endpoint_); }

    const std::string hanging_endpoint_{"ipc://" + (temp_ / "hanging.sock").string()};
    DaemonInAnotherProcess hanging_{hanging_endpoint_};
};

TEST_F(CourierHangingLink, IsDroppedAndWhatItHadGoesToTheOther) {
    daemon_.start();
    start();
    eventually("both are connected", [&] { return courier_->figures().link.endpoints_up == 2; });
    hanging_.signal(SIGSTOP);

    std::multiset<std::uint64_t> numbers;
    for (std::uint64_t i = 0; i < 20; ++i) {
        const auto event = submit(i);
        eventually("it is answered", [&] { return is_answered(event); });
        numbers.insert(i);
    }

    eventually("the living one has all of them", [&] { return daemon_.ledger.events() == numbers; });
    const auto is_dropped = [&] {
        serve();
        return courier_->figures().link.endpoints_up == 1;
    };
    EXPECT_TRUE(runledger::test::comes_true(is_dropped, 30s * runledger::test::patience_factor))
        << "its heartbeats are missed";
    hanging_.signal(SIGCONT);
    EXPECT_TRUE(runledger::test::comes_true(
        [&] {
            serve();
            return courier_->figures().link.endpoints_up == 2;
        },
        30s * runledger::test::patience_factor))
        << "it comes back";
}

// A daemon that dies of a marked body, before it has answered whatever came with it, and is started again at once.
class CourierPoison : public CourierLink {
protected:
    CourierPoison() {
        settings_.link.delivery.refused_retry_every = 1500ms;
        settings_.link.delivery.suspect_pause = 200ms;
        settings_.link.delivery.window.resend_after = 1h;  // Only losses count here.
    }

    void die_of(LedgerDaemon& daemon, std::uint64_t number, int& deaths) {
        daemon.dies_of = [&deaths, number](const wire::Batch& batch) {
            const bool dies = std::any_of(batch.events.begin(), batch.events.end(),
                                          [&](const wire::Event& event) { return number_of(event.body) == number; });
            deaths += dies ? 1 : 0;
            return dies;
        };
    }
    void keep_alive(LedgerDaemon& daemon) {
        if (!daemon.is_running()) {
            daemon.start();
        }
    }

    int deaths_{0};
};

TEST_F(CourierPoison, HoldsUpNobodyAndIsDeliveredToADaemonThatWasMended) {
    settings_.link.endpoints.pop_back();
    start();
    auto numbers = submit_one_by_one(0, 30);
    die_of(daemon_, 11, deaths_);
    daemon_.start();

    eventually("all others are in the ledger", [&] {
        keep_alive(daemon_);
        return daemon_.ledger.events().size() == 29;
    });
    EXPECT_FALSE(daemon_.ledger.events().contains(11));
    EXPECT_LE(deaths_, 6) << "three with others, one alone, and another for each rare try since";
    const int deaths_before = deaths_;
    numbers.merge(submit_one_by_one(30, 5));
    eventually("what comes later flows", [&] {
        keep_alive(daemon_);
        return daemon_.ledger.events().size() == 34;
    });
    eventually("it is tried again", [&] {
        keep_alive(daemon_);
        return deaths_ > deaths_before && courier_->figures().delivery.batches_convicted >= 1;
    });
    EXPECT_THAT(all_log(), HasSubstr("a daemon was lost with only this batch in flight"));

    daemon_.dies_of = {};
    eventually("the mended one takes it", [&] {
        keep_alive(daemon_);
        return daemon_.ledger.events() == numbers;
    });
    eventually("no batch is refused or suspect", [&] { return courier_->figures().delivery.poison_batches == 0; });
}

TEST_F(CourierPoison, DoesNotKillTwoDaemonsInTurnForEver) {
    start();
    (void)submit_one_by_one(0, 30);
    die_of(daemon_, 11, deaths_);
    die_of(second_, 11, deaths_);
    daemon_.start();
    second_.start();

    eventually("all others are in the ledger", [&] {
        keep_alive(daemon_);
        keep_alive(second_);
        return in_the_ledger().size() == 29;
    });
    EXPECT_LE(deaths_, 6) << "three with others, one alone, and another for each rare try since";
}

}  // namespace
}  // namespace runledger::edge::test
