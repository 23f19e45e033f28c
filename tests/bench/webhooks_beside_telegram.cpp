// What webhooks cost the messages: how long it takes from the COMMIT of a settlement until Telegram has the message,
// without webhooks and with one for each settlement, with all parts real but Telegram and the webhooks' receiver. Both
// in one daemon, which is reloaded in between, in pairs whose order alternates; the ratios are of a pair's halves.
// RUNLEDGER_BENCH_RUNS_PER_SECOND, RUNLEDGER_BENCH_SECONDS of each half and RUNLEDGER_BENCH_PAIRS: 200, 6 and 25.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/stand_ins/webhook_receiver.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

using Seconds = std::chrono::duration<double>;

double quantile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

// Of an even number of values the mean of the two in the middle: each alone would lean to one side.
double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

struct Latencies {
    std::vector<double> to_telegram{};  // Seconds.
    std::vector<double> to_receiver{};  // Empty without webhooks.
};

class WebhooksBesideTelegram : public Pipeline {
protected:
    void start() {
        const auto connection = connect_to(uri());
        pqxx::nontransaction(*connection).exec("ALTER SYSTEM SET track_commit_timestamp = on");
        postgres().restart();
        telegram_extra = "messages_per_second = 10000\nchat_messages_per_second = 1000\n";
        const auto secrets = folder().write_file("webhook-secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        std::filesystem::permissions(secrets, std::filesystem::perms{0600});
        daemon_extra = fmt::format("[webhooks]\nsecrets_file = \"{}\"\n{}", secrets.string(), webhooks_off);
        start_all();
    }

    void use_webhooks(bool are_on) {
        if (are_on == are_on_) {
            return;
        }
        const std::string on = fmt::format("url = \"{}\"\nurl_is_inner = true\n", receiver_.url());
        std::ifstream file(daemon().configuration());
        std::string text(std::istreambuf_iterator<char>{file}, {});
        const std::string_view before = are_on ? webhooks_off : std::string_view{on};
        text.replace(text.find(before), before.size(), are_on ? std::string_view{on} : webhooks_off);
        std::ofstream(daemon().configuration(), std::ios::trunc) << text;
        daemon().signal(SIGHUP);
        eventually("settlements write webhooks by the new configuration",
                   [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == (are_on ? "1" : "0"); });
        are_on_ = are_on;
    }

    [[nodiscard]] Latencies measure(std::uint64_t seed, int per_second, int span_seconds) {
        auto runs = make_runs({.seed = seed,
                               .runs = static_cast<std::size_t>(per_second * span_seconds),
                               .habits = Habits::none(),
                               .arrival_span = std::chrono::seconds{span_seconds},
                               .progress_events_min = 0,
                               .progress_events_max = 0,
                               .with_chat = 1.0,
                               .success = 1.0});
        for (RunPlan& run : runs) {
            run.record_after_events = 1;  // As an application does that records a run once it has submitted it.
        }
        const std::size_t calls_before = bot().accepted().size();
        const std::size_t webhooks_before = receiver_.received().size();
        const std::string last = value("SELECT coalesce(max(id), 0) FROM runledger.settlements");

        (void)send(runs);
        eventually(
            "everything is sent",
            [&] {
                return value(
                           fmt::format("SELECT count(*) >= {} AND NOT EXISTS (SELECT FROM runledger.notifications "
                                       "WHERE state IN ('pending', 'leased')) FROM runledger.settlements WHERE id > {}",
                                       runs.size(), last)) == "t";
            },
            std::chrono::seconds{60});

        std::map<std::string, double> arrived;  // Seconds since 1970, by chat: each run has one of its own.
        const auto calls = bot().accepted();
        for (std::size_t i = calls_before; i < calls.size(); ++i) {
            arrived.emplace(calls[i].chat_id, Seconds(calls[i].at.time_since_epoch()).count());
        }
        const auto steady_now = std::chrono::steady_clock::now();
        const double now = Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
        std::map<std::string, double> received;  // By the webhook's id.
        const auto webhooks = receiver_.received();
        for (std::size_t i = webhooks_before; i < webhooks.size(); ++i) {
            received.emplace(webhooks[i].id, now - Seconds(steady_now - webhooks[i].at).count());
        }
        Latencies found;
        const auto connection = connect_to(uri());
        pqxx::work work(*connection);
        // Those that wait for outputs_grace are left out.
        for (const auto& row :
             libpqxx::run(work,
                          "SELECT n.chat_id, n.webhook_id, "
                          "extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) "
                          "FROM runledger.settlements AS s JOIN runledger.notifications AS n "
                          "ON n.generation_id = s.generation_id AND n.kind IN ('ending', 'settlement') "
                          "WHERE s.id > $1::bigint AND s.outcome = 'settled' "
                          "AND n.not_before <= n.created_at",
                          last)) {
            const double committed = row[2].as<double>();
            if (row[1].is_null()) {
                found.to_telegram.push_back(arrived.at(row[0].as<std::string>()) - committed);
            } else {
                found.to_receiver.push_back(received.at(row[1].as<std::string>()) - committed);
            }
        }
        EXPECT_EQ(found.to_receiver.size(), are_on_ ? runs.size() : 0U);
        return found;
    }

private:
    static constexpr std::string_view webhooks_off = "# no url\n";
    WebhookReceiver receiver_;
    bool are_on_{false};
};

void print(std::string_view what, const std::vector<double>& seconds) {
    fmt::print("{:<34} {:>8.1f} {:>8.1f} {:>8.1f}\n", what, quantile(seconds, 0.5) * 1000,
               quantile(seconds, 0.95) * 1000, quantile(seconds, 0.99) * 1000);
}

TEST_F(WebhooksBesideTelegram, FromTheCommitOfASettlementToTelegram) {
    const int per_second = from_environment("RUNLEDGER_BENCH_RUNS_PER_SECOND", 200);
    const int span_seconds = from_environment("RUNLEDGER_BENCH_SECONDS", 6);
    const int pairs = from_environment("RUNLEDGER_BENCH_PAIRS", 25);
    start();
    std::uint64_t seed = 0;
    (void)measure(++seed, per_second, std::min(span_seconds, 5));  // Warms what has just been started.

    Latencies without;
    Latencies with;
    std::map<double, std::vector<double>> ratios;  // By the quantile: of each pair.
    fmt::print("{} settled runs a second, {} pairs of {} s each\n{:<34} {:>8} {:>8} {:>8}\n", per_second, pairs,
               span_seconds, "commit of the settlement to, ms", "p50", "p95", "p99");
    for (int pair = 1; pair <= pairs; ++pair) {
        std::map<bool, Latencies> halves;
        for (const bool are_on : {pair % 2 == 0, pair % 2 != 0}) {
            use_webhooks(are_on);
            halves[are_on] = measure(++seed, per_second, span_seconds);
            print(fmt::format("  pair {}: Telegram, webhooks {}", pair, are_on ? "on" : "off"),
                  halves[are_on].to_telegram);
        }
        for (const double share : {0.5, 0.95, 0.99}) {
            ratios[share].push_back(quantile(halves[true].to_telegram, share) /
                                    quantile(halves[false].to_telegram, share));
        }
        for (const auto& [half, all] : {std::pair{&halves[false], &without}, std::pair{&halves[true], &with}}) {
            all->to_telegram.insert(all->to_telegram.end(), half->to_telegram.begin(), half->to_telegram.end());
            all->to_receiver.insert(all->to_receiver.end(), half->to_receiver.begin(), half->to_receiver.end());
        }
    }
    print("Telegram, webhooks off", without.to_telegram);
    print("Telegram, webhooks on", with.to_telegram);
    print("the receiver of webhooks", with.to_receiver);
    fmt::print("{:<34} {:>8.2f} {:>8.2f} {:>8.2f}\n", "on / off, median of the pairs", median(ratios[0.5]),
               median(ratios[0.95]), median(ratios[0.99]));
    fmt::print("{:<34} {:>8} messages, {} webhooks\n", "measured", without.to_telegram.size() + with.to_telegram.size(),
               with.to_receiver.size());
}

}  // namespace
}  // namespace runledger::test
