// A hundred faults at random moments under the simulated sender's load, each part of the system in its turn: what was
// answered is applied, nothing is applied twice, nginx sounds no alarm. docs/faults.md has the table that it prints.
//
// And once more beside a site whose connections stay open for longer than the test, so that old workers live on.
//
//   RUNLEDGER_KILLS=100     how many; ./test has a share of 12, and of 10 beside the other site
//   RUNLEDGER_SEED=…        the same faults in the same order again; the moments are the machine's
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <unordered_map>

#include "tests/integration/edge/raw_connection.hpp"
#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/oracle/ledger_rows.hpp"
#include "tests/support/daemonised_nginx.hpp"
#include "tests/support/dice.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

constexpr int workers = 2;
constexpr std::size_t kind_count = 10;
constexpr int runs_per_second = 10;
// A fault takes one to five seconds; the load ends with the last fault and is only planned for longer.
constexpr std::chrono::seconds planned_for_each_fault{10};

// An event is put down to the fault that was the last to begin before its answer.
struct FaultBegun {
    std::size_t kind{};
    BootTime at{};
};

struct Tally {
    int faults{};
    int answered{};
    int applied{};
    int lost{};
    int doubled{};
};

class KillTable : public Pipeline {
protected:
    KillTable() {
        nginx_conf.workers = workers;
        nginx_conf.http_extra = "client_header_timeout 3600s;";
    }

    void TearDown() override {
        other_connections_.clear();  // Or old masters would wait for them.
        Pipeline::TearDown();
    }

    void start() {
        prepare_all();
        nginx().set_conf(daemonised_conf(nginx_conf));
        server_.emplace(nginx(), workers);
        daemon().start();
        server_->start();
        expect_worker_deaths();
    }

    // As many as the dice say, so that a fault meets the moment that nobody has thought of.
    void let_some_events_through() {
        const std::size_t until = accepted_ + dice_.below(60);
        eventually(
            "the edge takes events", [&] { return accepted_ >= until; }, std::chrono::seconds{60},
            [this] { return nginx().error_log(); });
    }

    // Some for each worker, whose requests are not complete; they stay open until the end.
    void open_other_connections() {
        for (int i = 0; is_beside_another_site_ && i < 16; ++i) {
            other_connections_.push_back(std::make_unique<RawConnection>(nginx().port()));
            other_connections_.back()->send("GET /other HTTP/1.1\r\nHost: other\r\n");
        }
    }

    void upgrade() {
        server_->upgrade(is_beside_another_site_ ? DaemonisedNginx::OldMaster::lives_on
                                                 : DaemonisedNginx::OldMaster::ends);
    }

    void kill_a_worker(int signal_number) {
        const auto some = server_->workers();
        server_->end_worker(dice_.pick(some), signal_number);
    }

    void kill_nginx() {
        server_->kill_all();
        server_->start();
    }

    void rotate_the_access_log() {
        const auto log = nginx().folder() / "access.log";
        std::filesystem::rename(log, log.string() + fmt::format(".{}", ++rotations_));
        server_->signal_master(SIGUSR1);
        eventually("nginx has opened a new log", [&] { return std::filesystem::exists(log); });
    }

    struct Kind {
        const char* name;
        void (*happens)(KillTable&);
    };
    static const std::array<Kind, kind_count> kinds;

    // Every kind once before any comes again, in an order that the dice say.
    [[nodiscard]] std::size_t next_kind() {
        if (deck_.empty()) {
            for (std::size_t kind = 0; kind < kind_count; ++kind) {
                deck_.insert(deck_.begin() + static_cast<std::ptrdiff_t>(dice_.below(deck_.size() + 1)), kind);
            }
        }
        const std::size_t kind = deck_.back();
        deck_.pop_back();
        return kind;
    }

    void make_faults(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            let_some_events_through();
            open_other_connections();
            const std::size_t kind = next_kind();
            SCOPED_TRACE(fmt::format("fault {}: {}", i + 1, kinds[kind].name));
            faults_.push_back({.kind = kind, .at = stamp_now().boottime});
            kinds[kind].happens(*this);
        }
        let_some_events_through();
    }

    // What became of the bodies that were answered 2xx, by the fault that their answer followed.
    [[nodiscard]] std::vector<Tally> tally(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries) {
        struct Sent {
            std::size_t kind{kind_count};
            int answered{};
            int tried{};
        };
        std::unordered_map<std::string, Sent> sent;
        for (const Delivery& delivery : deliveries) {
            Sent& body = sent[runs[delivery.run].events[delivery.event].body];
            body.tried += static_cast<int>(delivery.tries.size());
            if (delivery.accepted()) {
                ++body.answered;
                body.kind = kind_at(delivery.tries.back().after.boottime);
            }
        }
        const Ledger ledger = read_ledger(uri());
        std::unordered_map<std::string, int> stored;
        for (const StoredEvent& event : ledger.events) {
            ++stored[event.body];
        }
        std::vector<Tally> tallies(kind_count + 1);  // The last: before the first fault.
        for (const FaultBegun& fault : faults_) {
            ++tallies[fault.kind].faults;
        }
        for (const auto& [body, fate] : sent) {
            const int rows = stored[body] + (ledger.is_quarantined(body) ? fate.answered : 0);
            Tally& of_kind = tallies[fate.kind];
            of_kind.answered += fate.answered;
            of_kind.applied += std::min(rows, fate.answered);
            of_kind.lost += std::max(fate.answered - rows, 0);
            of_kind.doubled += std::max(stored[body] - fate.tried, 0);
        }
        return tallies;
    }

    static void print(const std::vector<Tally>& tallies) {
        Tally all;
        fmt::print("| fault | times | answered 2xx | applied | lost | doubled |\n|---|---|---|---|---|---|\n");
        for (std::size_t kind = 0; kind < tallies.size(); ++kind) {
            const Tally& tally = tallies[kind];
            print_row(kind < kind_count ? kinds[kind].name : "before the first", tally);
            all.faults += tally.faults;
            all.answered += tally.answered;
            all.applied += tally.applied;
            all.lost += tally.lost;
            all.doubled += tally.doubled;
        }
        print_row("all", all);
    }

    [[nodiscard]] DaemonisedNginx& server() { return *server_; }

    const std::uint64_t seed_{from_environment<std::uint64_t>("RUNLEDGER_SEED", std::random_device{}(), 0)};
    std::atomic<std::size_t> accepted_{0};
    bool is_beside_another_site_{false};

    void lose_and_double_nothing(std::uint64_t count);

private:
    [[nodiscard]] std::size_t kind_at(BootTime time) const {
        const auto next = std::ranges::find_if(faults_, [&](const FaultBegun& fault) { return fault.at > time; });
        return next == faults_.begin() ? kind_count : std::prev(next)->kind;
    }

    static void print_row(std::string_view name, const Tally& tally) {
        fmt::print("| {} | {} | {} | {} | {} | {} |\n", name, tally.faults, tally.answered, tally.applied, tally.lost,
                   tally.doubled);
    }

    std::vector<std::unique_ptr<RawConnection>> other_connections_;
    Dice dice_{seed_};
    std::optional<DaemonisedNginx> server_;
    std::vector<std::size_t> deck_;
    std::vector<FaultBegun> faults_;
    int rotations_{0};
};

const std::array<KillTable::Kind, kind_count> KillTable::kinds{
    KillTable::Kind{"worker SIGKILL", [](KillTable& test) { test.kill_a_worker(SIGKILL); }},
    KillTable::Kind{"worker SIGTERM", [](KillTable& test) { test.kill_a_worker(SIGTERM); }},
    KillTable::Kind{"master and workers SIGKILL, start", [](KillTable& test) { test.kill_nginx(); }},
    KillTable::Kind{"reload (HUP)", [](KillTable& test) { test.server_->reload(); }},
    KillTable::Kind{"binary upgrade (USR2, QUIT)", [](KillTable& test) { test.upgrade(); }},
    KillTable::Kind{"log rotation (USR1)", [](KillTable& test) { test.rotate_the_access_log(); }},
    KillTable::Kind{"daemon SIGKILL, start",
                    [](KillTable& test) {
                        test.daemon().kill();
                        test.let_some_events_through();
                        test.daemon().start();
                    }},
    KillTable::Kind{"daemon SIGTERM, start",
                    [](KillTable& test) {
                        test.daemon().stop();
                        test.daemon().start();
                    }},
    KillTable::Kind{"PostgreSQL restart", [](KillTable& test) { test.postgres().restart(); }},
    KillTable::Kind{"PostgreSQL SIGKILL, start",
                    [](KillTable& test) {
                        test.postgres().kill_hard();
                        test.let_some_events_through();
                        test.postgres().start();
                    }},
};

void KillTable::lose_and_double_nothing(std::uint64_t count) {
    fmt::print("RUNLEDGER_SEED={} RUNLEDGER_KILLS={}\n", seed_, count);
    const auto span = planned_for_each_fault * (count + 2);
    const auto runs = make_runs(
        {.seed = seed_, .runs = static_cast<std::size_t>(span.count()) * runs_per_second, .arrival_span = span});
    start();
    std::atomic<bool> is_enough{false};
    const auto began = std::chrono::steady_clock::now();
    auto sending = std::async(std::launch::async, [&] {
        return send(
            runs, 64, [this](const Delivery& delivery) { accepted_ += delivery.accepted() ? 1U : 0U; },
            [&] { return is_enough.load(); });
    });

    try {
        make_faults(count);
    } catch (...) {
        is_enough = true;  // Or the load would go on, and the failure be told much later.
        throw;
    }
    is_enough = true;
    const auto deliveries = sending.get();
    const auto lasted = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);

    // A daemon that dies between a call and its record may tell somebody twice; outputs may come after the grace.
    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
    const auto tallies = tally(runs, deliveries);
    print(tallies);
    const auto refused = std::ranges::count_if(deliveries, [](const Delivery& each) { return !each.accepted(); });
    fmt::print("{} events sent within {} s, {} of them refused\n", deliveries.size(), lasted.count(), refused);
    for (const Tally& tally : tallies) {
        EXPECT_EQ(tally.applied, tally.answered);
        EXPECT_EQ(tally.lost, 0);
        EXPECT_EQ(tally.doubled, 0);
    }
    other_connections_.clear();
    server().quit();
}

TEST_F(KillTable, WhatIsAnsweredIsAppliedAndNothingTwice) {
    lose_and_double_nothing(from_environment<std::uint64_t>("RUNLEDGER_KILLS", 12));
}

TEST_F(KillTable, AlsoBesideASiteWhoseConnectionsStayOpen) {
    is_beside_another_site_ = true;
    // A worker that drains and is ended leaves the other site's connections open, and says so.
    allow_alarm(" left in connection ");
    allow_alarm(": aborting");
    lose_and_double_nothing(from_environment<std::uint64_t>("RUNLEDGER_KILLS", 10));
}

}  // namespace
}  // namespace runledger::test
