// Two daemons with four appliers each share an edge and a database, which is restarted under load: what is left equals
// the oracle, and the books close, while segments are open and when all are retired.
//
// RUNLEDGER_TWO_DAEMONS_RUNS and RUNLEDGER_TWO_DAEMONS_RESTARTS make it longer than ./test's share.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <iostream>
#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

class TwoDaemons : public Pipeline {
protected:
    TwoDaemons() {
        nginx_conf.workers = 2;
        nginx_conf.daemon_endpoints = "ipc://@TEST_FOLDER@/d.sock ipc://@TEST_FOLDER@/e.sock";
        postgres_extra = "appliers = 4\n";
    }

    void start_both() {
        start_all();
        second_ = make_daemon("second", {fmt::format("ipc://{}/e.sock", folder().path().string())});
        second_->start();
    }
    void TearDown() override {
        if (second_ && second_->running()) {
            second_->stop();
            second_->check_log();
        }
        Pipeline::TearDown();
    }

    void let_some_events_through() {
        const auto before = accepted_.load();
        eventually(
            "the edge takes events", [&] { return accepted_ >= before + 100 || all_sent_; }, std::chrono::seconds{40});
    }

    [[nodiscard]] static double applied_by(const DaemonProcess& daemon) {
        return samples_of(http_get(daemon.metrics_url()).body)["runledger_events_applied_total"];
    }

    void expect_the_audit_closes(std::vector<std::string> words) {
        words.insert(words.begin(), "audit");
        const Finished said = daemon().tool(std::move(words));
        EXPECT_EQ(said.status.code, 0) << said.output;
        EXPECT_THAT(said.output, testing::HasSubstr("the books close: "));
        std::cout << said.output;
    }

    std::unique_ptr<DaemonProcess> second_;
    std::atomic<std::size_t> accepted_{0};
    std::atomic<bool> all_sent_{false};
};

TEST_F(TwoDaemons, LeaveWhatTheOracleSaysThoughPostgresIsRestarted) {
    const int run_count = from_environment("RUNLEDGER_TWO_DAEMONS_RUNS", 2000);
    const int restarts = from_environment("RUNLEDGER_TWO_DAEMONS_RESTARTS", 2);
    start_both();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    // Without chats: a message's lease that a restart leaves behind takes most of a minute to run out.
    const auto runs = make_runs({.seed = seed,
                                 .runs = static_cast<std::size_t>(run_count),
                                 .arrival_span = std::chrono::milliseconds{6} * run_count,
                                 .progress_events_min = 1,
                                 .progress_events_max = 3,
                                 .with_chat = 0.0});
    auto sending = std::async(std::launch::async, [&] {
        auto deliveries =
            send(runs, 64, [this](const Delivery& delivery) { accepted_ += delivery.accepted() ? 1U : 0U; });
        all_sent_ = true;
        return deliveries;
    });

    for (int restart = 0; restart < restarts; ++restart) {
        let_some_events_through();
        postgres().restart(restart % 2 == 0 ? StopMode::fast : StopMode::immediate);
        let_some_events_through();
        expect_the_audit_closes({"--spool", nginx().spool().string()});
    }
    EXPECT_FALSE(all_sent_) << "the restarts came too late to meet any load";
    const auto deliveries = sending.get();

    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
    EXPECT_GT(applied_by(daemon()), 0);
    EXPECT_GT(applied_by(*second_), 0);
    EXPECT_EQ(postgres().log_text().find("deadlock detected"), std::string::npos);
    expect_the_audit_closes({"--spool", nginx().spool().string()});

    nginx().reload();  // The old workers leave their segments to the new ones, who retire them.
    eventually(
        "every segment is retired",
        [this] { return value("SELECT count(*) FROM runledger.spool_segments WHERE retired_at IS NULL") == "0"; },
        std::chrono::seconds{60}, [this] { return nginx().error_log(); });
    expect_the_audit_closes({});
    std::cout << fmt::format("{} runs, {} events accepted, {} restarts, seed {}\n", run_count, accepted_.load(),
                             restarts, seed);
}

}  // namespace
}  // namespace runledger::test
