// Many reloads: the master's memory grows no more than a stock nginx's does, and nothing else grows at all.
//
// RUNLEDGER_RELOADS sets how many, half of them with the daemon there and half with the daemon away; 200 for a release.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/integration/edge/process_facts.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

// A sanitizer keeps freed memory for a while, and hides what this test looks for: it runs for the findings alone.
const bool measures_memory = !is_sanitized;
const int reloads_default = is_sanitized ? 10 : 40;

// After so many, the allocator has what it needs.
constexpr int warm_up = 5;

// What the allocator may take more of by chance, in either nginx, and what each reload may leave behind: a leak of a
// KiB at each reload shows at 40 reloads as it does at 200, where stock nginx and ours have been seen to grow by 0 KiB.
constexpr double chance_kib = 8;
constexpr double growth_per_reload_max_kib = 0.25;

int reloads_to_make() { return from_environment("RUNLEDGER_RELOADS", reloads_default, 4) / 2; }

class ReloadGrowth : public LifecycleWithAndWithoutDaemon {
protected:
    // Of the last reload's worker: it has taken an event, so what a worker needs is there.
    struct Seen {
        ProcessFacts master;
        ProcessFacts worker;
    };

    static void reload_once(NginxServer& server) {
        const auto old = server.workers();
        server.reload();
        expect_gone("the old worker", old);
    }

    Seen look() {
        answered_.push_back(post_until_answered(1).front());
        return {facts_of(nginx().master_pid()), facts_of(nginx().worker_pids().front())};
    }

    // The master's growth by so many reloads after the warm-up, in KiB.
    static double growth_of(NginxServer& server, int reloads) {
        const auto before = static_cast<double>(facts_of(server.master_pid()).anonymous_kib);
        for (int i = 0; i < reloads; ++i) {
            reload_once(server);
        }
        return static_cast<double>(facts_of(server.master_pid()).anonymous_kib) - before;
    }

    std::vector<std::string> answered_;
};

INSTANTIATE_TEST_SUITE_P(Edge, ReloadGrowth, ::testing::Values(true, false), name_of_daemon_state);

TEST_P(ReloadGrowth, NothingGrowsWithReloads) {
    const int reloads = reloads_to_make();
    start_daemon_if_it_is_there();
    start_nginx();
    for (int i = 0; i < warm_up; ++i) {
        reload_once(nginx());
    }
    const Seen first = look();
    const auto before = static_cast<double>(first.master.anonymous_kib);

    Seen last;
    std::size_t worker_descriptors_max = 0;
    for (int i = 0; i < reloads; ++i) {
        reload_once(nginx());
        last = look();
        worker_descriptors_max = std::max(worker_descriptors_max, last.worker.descriptors);
    }

    EXPECT_EQ(last.master.threads, 1U);
    // The master has two for a worker until it has seen that one's end.
    EXPECT_TRUE(comes_true([&] { return facts_of(nginx().master_pid()).descriptors <= first.master.descriptors; },
                           default_patience))
        << last.master.descriptors << ", at first " << first.master.descriptors;
    EXPECT_EQ(last.master.shared_zones, first.master.shared_zones);
    EXPECT_EQ(last.master.modules, first.master.modules);
    EXPECT_EQ(last.worker.threads, first.worker.threads);
    EXPECT_EQ(last.worker.modules, first.worker.modules);
    // A worker opens the segments that it adopts, 8 that it sends and 16 that wait, whatever the folder holds.
    EXPECT_LE(worker_descriptors_max, first.worker.descriptors + 8 + 16);
    if (measures_memory) {
        const double ours = static_cast<double>(last.master.anonymous_kib) - before;
        NginxServer stock{folder(), bare_conf(false), {.name = "stock"}};
        stock.start();
        static_cast<void>(growth_of(stock, warm_up));
        const double theirs = growth_of(stock, reloads);
        fmt::print("{} reloads: the master grew by {} KiB, a stock nginx's by {} KiB\n", reloads, ours, theirs);
        EXPECT_LT(ours - theirs, reloads * growth_per_reload_max_kib + chance_kib);
        stock.quit();
        stock.check_logs();
    }
    start_daemon_if_it_was_away();
    expect_has_each_once(answered_);
}

}  // namespace
}  // namespace runledger::test
