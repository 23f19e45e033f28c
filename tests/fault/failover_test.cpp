// PostgreSQL fails over under load: the primary is killed, its synchronous standby promoted, and the URI names both.
// Nothing that was answered is lost, whatever only the primary had, and the service resumes by itself.
#include <fmt/format.h>

#include <atomic>
#include <future>
#include <iostream>
#include <random>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

class Failover : public Pipeline {
protected:
    Failover() : standby_(PostgresServer::StandbyOf{postgres()}) {
        on_primary("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        on_primary("SELECT pg_reload_conf()");
        eventually("the standby is synchronous", [this] {
            return primary_says("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1";
        });
        move_to(uri_of_both("postgres"));
        daemon_uri = direct_daemon_uri = uri_of_both(Logins::daemon);
        owner_uri = uri_of_both(Logins::owner);
        application_uri = uri_of_both(Logins::application);
    }

    [[nodiscard]] std::string uri_of_both(std::string_view login) {
        return fmt::format("postgresql://{}@/runledger?host={},{}&port={},{}&target_session_attrs=primary", login,
                           postgres().socket_folder().string(), standby_.socket_folder().string(), postgres().port(),
                           standby_.port());
    }

    void on_primary(const std::string& statement) {
        const auto connection = postgres().connect();
        pqxx::nontransaction(*connection).exec(statement);
    }
    [[nodiscard]] std::string primary_says(const std::string& query) {
        const auto connection = postgres().connect();
        pqxx::nontransaction work(*connection);
        return libpqxx::run1(work, query)[0].as<std::string>();
    }

    // The standby receives nothing any more: what commits from here on is on the primary alone.
    void cut_replication() {
        const auto connection = standby_.connect("postgres");
        pqxx::nontransaction work(*connection);
        work.exec("ALTER SYSTEM SET primary_conninfo = ''");
        work.exec("SELECT pg_reload_conf()");
        eventually("the standby receives nothing",
                   [this] { return primary_says("SELECT count(*) FROM pg_stat_replication") == "0"; });
    }

    // As the sender does; the application inserts its records before, since its own commits would wait as well.
    void send_in_background(const std::vector<RunPlan>& runs) {
        sending_ = std::async(std::launch::async, [this, &runs] {
            auto deliveries =
                send(runs, 64, [this](const Delivery& delivery) { accepted_ += delivery.accepted() ? 1U : 0U; });
            all_sent_ = true;
            return deliveries;
        });
    }

    void let_events_through(std::size_t count) {
        const auto before = accepted_.load();
        eventually(
            "the edge takes events", [&] { return accepted_ >= before + count; }, std::chrono::seconds{40});
    }

    void fail_over() {
        postgres().kill_hard();
        let_events_through(20);  // Into the spools: no PostgreSQL takes anything.
        standby_.promote();
        const auto promoted_at = std::chrono::steady_clock::now();
        const auto events = [this] {
            const auto connection = standby_.connect();
            pqxx::nontransaction work(*connection);
            return libpqxx::run1(work, "SELECT count(*) FROM runledger.webhook_events")[0].as<std::int64_t>();
        };
        const auto before = events();
        eventually("events are applied by the new primary", [&] { return events() > before; });
        std::cout << fmt::format(
            "resumed {} ms after the promotion\n",
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - promoted_at)
                .count());
    }

    void expect_nothing_is_lost(const std::vector<RunPlan>& runs) {
        const auto deliveries = sending_.get();
        expect_the_oracle_agrees(runs, deliveries,
                                 {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
        expect_the_books_balance();
        const Finished audit = daemon().tool({"audit"});
        EXPECT_EQ(audit.status.code, 0) << audit.output;
        std::cout << fmt::format("{} events accepted\n{}", accepted_.load(), audit.output);
    }

    // Without chats: a message's lease that the lost primary leaves behind takes most of a minute to run out.
    [[nodiscard]] static std::vector<RunPlan> runs_for(std::uint64_t seed, std::chrono::seconds span) {
        Habits habits;
        habits.record_late = 0.0;
        return make_runs({.seed = seed, .runs = 120, .habits = habits, .arrival_span = span, .with_chat = 0.0});
    }

    PostgresServer standby_;
    std::future<std::vector<Delivery>> sending_;
    std::atomic<std::size_t> accepted_{0};
    std::atomic<bool> all_sent_{false};
};

TEST_F(Failover, LosesNothingWhenTheStandbyTakesOver) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = runs_for(seed, std::chrono::seconds{5});
    send_in_background(runs);
    let_events_through(200);

    fail_over();

    expect_nothing_is_lost(runs);
}

// What the primary alone had committed goes with it: none of it may have been acknowledged, neither when its wait for
// the standby was cancelled, nor when its copy came.
TEST_F(Failover, LosesNothingOfWhatOnlyThePrimaryHad) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs = runs_for(seed, std::chrono::seconds{6});
    send_in_background(runs);
    let_events_through(100);

    cut_replication();
    let_events_through(50);
    std::int64_t cancelled = 0;
    eventually("some commits have ended in a warning, and their copies wait", [&] {
        cancelled += std::stoll(
            primary_says("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
                         "AND application_name = 'runledgerd apply'"));
        return cancelled >= 4 &&
               daemon().log_text().find("canceling wait for synchronous replication") != std::string::npos;
    });
    const std::string on_the_primary = primary_says("SELECT count(*) FROM runledger.webhook_events");
    fail_over();

    expect_nothing_is_lost(runs);
    std::cout << fmt::format("{} commits ended in a warning; the lost primary had {} events\n", cancelled,
                             on_the_primary);
}

}  // namespace
}  // namespace runledger::test
