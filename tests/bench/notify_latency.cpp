// How long it takes from the receipt of a success at the edge until Telegram has the message, with all parts real but
// Telegram, and what each stage took. RUNLEDGER_BENCH_RUNS_PER_SECOND and RUNLEDGER_BENCH_SECONDS: 200 and 20.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

int from_environment(const char* name, int otherwise) {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no other thread writes it.
    return text == nullptr ? otherwise : std::atoi(text);
}

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

class NotifyLatency : public Pipeline {};

TEST_F(NotifyLatency, FromReceiptToTelegram) {
    const int per_second = from_environment("RUNLEDGER_BENCH_RUNS_PER_SECOND", 200);
    const int span_seconds = from_environment("RUNLEDGER_BENCH_SECONDS", 20);
    telegram_extra = "messages_per_second = 10000\nchat_messages_per_second = 1000\n";
    start_all();
    const auto runs = make_runs({.seed = 1,
                                 .runs = static_cast<std::size_t>(per_second * span_seconds),
                                 .habits = Habits::none(),
                                 .arrival_span = std::chrono::seconds{span_seconds},
                                 .progress_events_min = 0,
                                 .progress_events_max = 0,
                                 .with_chat = 1.0,
                                 .success = 1.0});

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
    fmt::print("without {} runs that have no outputs, whose notice waits outputs_grace\n", runs.size() - rows.size());
}

}  // namespace
}  // namespace runledger::test
