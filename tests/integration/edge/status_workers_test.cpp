// The figures of several workers as one: right sums, counters that never fall, and no gauge of the dead.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

[[nodiscard]] bool is_counter(std::string_view name) {
    return name.find("_total") != std::string_view::npos || name.starts_with("runledger_edge_commit_seconds_");
}

class StatusOfWorkers : public StatusFixture {
protected:
    static constexpr const char* committed = "runledger_edge_events_committed_total";

    // Several senders at once, until they are told to stop or have sent so many each; returns the number of answers.
    int post_from_threads(int threads, int posts_each, const std::atomic<bool>& stop) {
        const std::string url = nginx().url();
        std::atomic<int> answered{0};
        std::vector<std::jthread> senders;
        for (int sender = 0; sender < threads; ++sender) {
            senders.emplace_back([&, sender] {
                for (int i = 0; i < posts_each && !stop; ++i) {
                    const auto answer =
                        http_post(url, fmt::format(R"({{"run_id": "sender-{}-{}", "status": "running"}})", sender, i));
                    answered += answer.status == 200 ? 1 : 0;
                }
            });
        }
        senders.clear();  // Joins.
        return answered;
    }

    // No counter has fallen, and none has gone; remembers them for the next time.
    void expect_no_counter_fell() {
        auto now = samples();
        for (const auto& [name, value] : last_) {
            if (is_counter(name)) {
                ASSERT_TRUE(now.contains(name)) << name;
                EXPECT_GE(now[name], value) << name;
            }
        }
        last_ = std::move(now);
    }

private:
    std::map<std::string, double> last_;
};

TEST_F(StatusOfWorkers, AddUpUnderConcurrency) {
    start_daemon();
    start_nginx({.workers = 4});
    const std::atomic<bool> never{false};

    const int answered = post_from_threads(8, 40, never);

    EXPECT_EQ(answered, 320);
    wait_for_sample(requests("accepted"), 320);
    wait_for_sample(committed, 320);
    wait_for_sample("runledger_edge_commit_seconds_count", 320);
    wait_for_sample("runledger_edge_workers", 4);
    wait_for_sample("runledger_edge_links_up", 4);
    wait_for_sample("runledger_edge_daemon_endpoints_up", 4);
    wait_for_sample("runledger_edge_held_events", 0);
    wait_for_sample("runledger_edge_held_bytes", 0);
    wait_for_sample("runledger_edge_spool_batches", 0);
}

TEST_F(StatusOfWorkers, NeverFallAcrossReloadsAndDeaths) {
    start_daemon();
    start_nginx({.workers = 4});
    allow_alarm(NginxServer::death_notice());
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0};
    std::jthread load{[&] { answered = post_from_threads(3, 1'000'000, stop); }};
    eventually("the load is on", [this] { return sample(requests("accepted")) > 0; });

    for (int i = 0; i < 10; ++i) {
        expect_no_counter_fell();
        nginx().reload();
    }

    stop = true;
    load.join();
    // To the last one: an old worker adds what it has left when it ends.
    wait_for_sample(requests("accepted"), answered);
    wait_for_sample(committed, answered);
    wait_for_sample("runledger_edge_commit_seconds_count", answered);
    expect_no_counter_fell();
    for (int i = 0; i < 3; ++i) {
        nginx().kill_workers(SIGKILL);
        eventually("four workers count again", [this] { return sample("runledger_edge_workers") == 4; });
        expect_no_counter_fell();
    }
    static_cast<void>(post_until_answered(3));
    wait_for_sample(requests("accepted"), answered + 3);
}

TEST_F(StatusOfWorkers, AgeOfTheOldestGoesOnWhenItIsAdopted) {
    start_nginx();
    allow_alarm(NginxServer::death_notice());
    static_cast<void>(post_until_answered(1));
    constexpr const char* age = "runledger_edge_oldest_unacked_seconds";
    eventually("the batch is three seconds old", [&] { return sample(age) >= 3; });

    nginx().kill_workers(SIGKILL);

    wait_for_sample("runledger_edge_segments_adopted_total", 1);
    EXPECT_GE(sample(age), 3);
    const double before = sample(age);
    eventually("it grows older", [&] { return sample(age) > before; });
    start_daemon();
    wait_for_sample(age, 0);
}

TEST_F(StatusOfWorkers, CountTheSegmentsThatWereSetAside) {
    start_nginx();
    const std::vector<std::string> bodies = post_until_answered(3);
    nginx().quit();
    for (const auto& file : fs::directory_iterator{nginx().spool()}) {
        const std::string text = read_text(file.path());
        if (const std::size_t at = text.find(bodies.front()); at != std::string::npos) {
            std::fstream stream{file.path(), std::ios::in | std::ios::out | std::ios::binary};
            stream.seekp(static_cast<std::streamoff>(at));
            stream.put('!');
        }
    }

    start_daemon();
    nginx().start();

    wait_for_sample("runledger_edge_spool_segments_damaged", 1);
    EXPECT_GT(sample("runledger_edge_spool_segments"), 0);
    expect_delivered({bodies[1], bodies[2]});
}

TEST_F(StatusOfWorkers, BeginAgainWhenNginxIsStartedAndSaySo) {
    start_daemon();
    start_nginx();
    static_cast<void>(post_until_answered(2));
    wait_for_sample(requests("accepted"), 2);
    const double began = sample("runledger_edge_start_time_seconds");

    nginx().reload();
    EXPECT_EQ(sample("runledger_edge_start_time_seconds"), began);
    nginx().quit();
    eventually("the clock is a second further", [&] { return static_cast<double>(std::time(nullptr)) > began + 1; });
    nginx().start();

    EXPECT_EQ(sample(requests("accepted")), 0);
    EXPECT_GT(sample("runledger_edge_start_time_seconds"), began);
}

}  // namespace
}  // namespace runledger::test
