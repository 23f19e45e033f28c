// How long it takes from the receipt of a success at the edge until Telegram has the message, with all parts real but
// Telegram, and what each stage took. RUNLEDGER_BENCH_RUNS_PER_SECOND and RUNLEDGER_BENCH_SECONDS: 200 and 20.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

class NotifyLatency : public Pipeline {
protected:
    // PostgreSQL's own account of where its time goes, statements inside functions included. It costs time itself.
    void watch_statements() {
        const auto set = [this](const char* setting) {
            const auto connection = connect_to(uri());
            pqxx::nontransaction(*connection).exec(fmt::format("ALTER SYSTEM SET {}", setting));
        };
        set("shared_preload_libraries = 'pg_stat_statements'");
        postgres().restart();
        for (const char* setting : {"pg_stat_statements.track = 'all'", "pg_stat_statements.track_planning = on",
                                    "track_functions = 'all'"}) {
            set(setting);
        }
        postgres().restart();
        const auto connection = connect_to(uri());
        pqxx::nontransaction(*connection).exec("CREATE EXTENSION pg_stat_statements");
    }

    void print_statements() {
        const auto connection = connect_to(uri());
        pqxx::work work(*connection);
        fmt::print("{:>9} {:>9} {:>9} {}\n", "calls", "plan ms", "exec ms", "statement (with those inside it)");
        for (const auto& row : work.exec("SELECT calls, round(total_plan_time), round(total_exec_time), "
                                         "left(regexp_replace(query, '\\s+', ' ', 'g'), 120) FROM pg_stat_statements "
                                         "ORDER BY total_plan_time + total_exec_time DESC LIMIT 40")) {
            fmt::print("{:>9} {:>9} {:>9} {}\n", row[0].c_str(), row[1].c_str(), row[2].c_str(), row[3].c_str());
        }
        fmt::print("{:>9} {:>9} {:>9} {}\n", "calls", "total ms", "self ms", "function");
        for (const auto& row : work.exec("SELECT calls, round(total_time), round(self_time), funcname "
                                         "FROM pg_stat_user_functions ORDER BY self_time DESC LIMIT 25")) {
            fmt::print("{:>9} {:>9} {:>9} {}\n", row[0].c_str(), row[1].c_str(), row[2].c_str(), row[3].c_str());
        }
    }
};

TEST_F(NotifyLatency, FromReceiptToTelegram) {
    const int per_second = from_environment("RUNLEDGER_BENCH_RUNS_PER_SECOND", 200);
    const int span_seconds = from_environment("RUNLEDGER_BENCH_SECONDS", 20);
    telegram_extra = "messages_per_second = 10000\nchat_messages_per_second = 1000\n";
    const bool with_statements = from_environment("RUNLEDGER_BENCH_STATEMENTS", 0, 0) > 0;
    if (with_statements) {
        watch_statements();
    }
    start_all();
    auto runs = make_runs({.seed = 1,
                           .runs = static_cast<std::size_t>(per_second * span_seconds),
                           .habits = Habits::none(),
                           .arrival_span = std::chrono::seconds{span_seconds},
                           .progress_events_min = 0,
                           .progress_events_max = 0,
                           .with_chat = 1.0,
                           .success = 1.0});

    // As an application does that records a run as soon as it has submitted it; not all of them before the first.
    for (RunPlan& run : runs) {
        run.record_after_events = 1;
    }

    (void)send(runs);
    eventually(
        "everybody is told",
        [&] { return value("SELECT count(*) FROM runledger.notifications WHERE state <> 'sent'") == "0"; },
        std::chrono::seconds{60});

    std::map<std::string, double> arrived;  // Seconds since 1970, by chat: each run has one of its own.
    for (const BotCall& call : bot().accepted()) {
        arrived.emplace(call.chat_id, std::chrono::duration<double>(call.at.time_since_epoch()).count());
    }
    const auto connection = connect_to(uri());
    pqxx::work work(*connection);
    const auto rows = work.exec(
        "SELECT n.chat_id, extract(epoch FROM e.received_at), extract(epoch FROM e.applied_at), "
        "extract(epoch FROM n.created_at), extract(epoch FROM n.sending_at) "
        "FROM runledger.notifications AS n "
        "JOIN LATERAL (SELECT * FROM runledger.webhook_events AS w WHERE w.run_id = n.run_id AND w.status = 'success' "
        "ORDER BY w.received_at LIMIT 1) AS e ON true WHERE n.kind = 'ending' AND n.not_before <= n.created_at");
    std::map<std::string, std::vector<double>> stages;
    for (const auto& row : rows) {
        const auto at = arrived.find(row[0].as<std::string>());
        ASSERT_NE(at, arrived.end());
        const double received = row[1].as<double>();
        stages["1 receipt to apply's transaction"].push_back(row[2].as<double>() - received);
        stages["2 apply to settle's transaction"].push_back(row[3].as<double>() - row[2].as<double>());
        stages["3 settle to the lease"].push_back(row[4].as<double>() - row[3].as<double>());
        stages["4 the lease to Telegram"].push_back(at->second - row[4].as<double>());
        stages["total"].push_back(at->second - received);
    }
    fmt::print("{} runs, {} a second\n{:<36} {:>9} {:>9} {:>9}\n", rows.size(), per_second, "stage, ms", "p50", "p99",
               "max");
    for (const auto& [name, seconds] : stages) {
        fmt::print("{:<36} {:>9.1f} {:>9.1f} {:>9.1f}\n", name, quantile(seconds, 0.5) * 1000,
                   quantile(seconds, 0.99) * 1000, quantile(seconds, 1.0) * 1000);
    }
    if (with_statements) {
        print_statements();
    }
    fmt::print("without {} runs that have no outputs, whose notice waits outputs_grace\n", runs.size() - rows.size());
}

}  // namespace
}  // namespace runledger::test
