// comfy_sender: a simulated ComfyDeploy for a person or a script. Makes runs from a seed, delivers their events to an
// edge, and, asked to, waits until the ledger holds what the oracle says. Returns 0 where all is well, 1 where the
// command line or a server fails, 2 where there are findings.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/oracle/generation_rows.hpp"
#include "tests/oracle/oracle.hpp"
#include "tests/stand_ins/comfy_run.hpp"
#include "tests/stand_ins/comfy_sender.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"

namespace {

namespace test = runledger::test;

struct Arguments {
    test::RunOptions runs{};
    test::SenderOptions sender{};
    std::string postgres_uri{};
    std::string bot_api_url{};
    std::optional<std::uint64_t> seed{};
    int patience_seconds{60};
    bool verify{};
    bool print_bodies{};
};

std::chrono::microseconds percentile(const std::vector<std::chrono::microseconds>& sorted, std::size_t percent) {
    return sorted.empty() ? std::chrono::microseconds{0} : sorted[(sorted.size() - 1) * percent / 100];
}

void print_summary(const std::vector<test::Delivery>& deliveries, std::chrono::duration<double> took) {
    std::map<std::string, int> answers;
    std::vector<std::chrono::microseconds> times;
    std::size_t accepted = 0;
    for (const test::Delivery& delivery : deliveries) {
        accepted += delivery.accepted() ? 1 : 0;
        for (const test::Try& attempt : delivery.tries) {
            ++answers[attempt.status == 0 ? attempt.error : std::to_string(attempt.status)];
            times.push_back(attempt.after.boottime.since_boot - attempt.before.boottime.since_boot);
        }
    }
    std::sort(times.begin(), times.end());
    fmt::print("events={} accepted={} lost={} tries={} seconds={:.2f} events_per_second={:.0f}\n", deliveries.size(),
               accepted, deliveries.size() - accepted, times.size(), took.count(),
               static_cast<double>(deliveries.size()) / std::max(took.count(), 1e-9));
    for (const auto& [answer, count] : answers) {
        fmt::print("answer \"{}\": {}\n", answer, count);
    }
    fmt::print("try_us p50={} p99={} max={}\n", percentile(times, 50).count(), percentile(times, 99).count(),
               percentile(times, 100).count());
}

test::Findings judge(const Arguments& arguments, const std::vector<test::RunPlan>& runs,
                     const std::vector<test::Delivery>& deliveries) {
    test::Ledger ledger = test::read_ledger(arguments.postgres_uri);
    // The database and the Bot API may hold other people's runs: they are not this sender's to judge.
    std::set<std::string> own;
    std::set<std::string> own_chats;
    for (const test::RunPlan& run : runs) {
        own.insert(run.run_id);
        if (run.chat_id) {
            own_chats.insert(std::to_string(*run.chat_id));
        }
    }
    std::erase_if(ledger.events, [&](const auto& event) { return !own.contains(event.run_id); });
    std::erase_if(ledger.generations, [&](const auto& row) { return !own.contains(row.run_id); });

    test::Findings findings = test::check_events(runs, deliveries, ledger);
    const auto add = [&findings](test::Findings more) {
        findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    add(test::check_generations(runs, ledger));
    if (!arguments.bot_api_url.empty()) {
        const test::HttpAnswer recorded = test::http_get(arguments.bot_api_url + "/_messages");
        std::vector<test::BotCall> calls = test::calls_of_json(recorded.body);
        std::erase_if(calls, [&](const test::BotCall& call) { return !own_chats.contains(call.chat_id); });
        add(test::check_messages(runs, ledger, calls));
    }
    return findings;
}

int verify(const Arguments& arguments, const std::vector<test::RunPlan>& runs,
           const std::vector<test::Delivery>& deliveries) {
    test::Findings findings;
    try {
        test::eventually(
            "the ledger holds what the oracle says",
            [&] {
                findings.clear();
                findings = judge(arguments, runs, deliveries);
                return findings.empty();
            },
            std::chrono::seconds{arguments.patience_seconds});
    } catch (const test::NeverHappened& e) {
        for (const std::string& finding : findings) {
            fmt::print("{}\n", finding);
        }
        fmt::print("{}\n{} findings\n", e.what(), findings.size());
        return 2;
    }
    fmt::print("verified: {} runs\n", runs.size());
    return 0;
}

int run(Arguments& arguments) {
    arguments.runs.seed = arguments.seed ? *arguments.seed : std::random_device{}();
    const std::vector<test::RunPlan> runs = test::make_runs(arguments.runs);
    fmt::print("seed={} runs={}\n", arguments.runs.seed, runs.size());
    if (arguments.print_bodies) {
        for (const test::RunPlan& plan : runs) {
            for (const test::PlannedEvent& event : plan.events) {
                fmt::print("{}\n", event.body);
            }
        }
        return 0;
    }
    std::optional<test::GenerationRows> rows;
    if (!arguments.postgres_uri.empty()) {
        rows.emplace(arguments.postgres_uri, runs);
        rows->insert_first();
        arguments.sender.on_delivered = [&rows](const test::Delivery& delivery) { rows->on_delivered(delivery); };
    }
    const auto start = std::chrono::steady_clock::now();
    const std::vector<test::Delivery> deliveries = test::send_runs(runs, arguments.sender);
    print_summary(deliveries, std::chrono::steady_clock::now() - start);
    std::fflush(stdout);
    if (rows) {
        rows->insert_rest();
    }
    return arguments.verify ? verify(arguments, runs, deliveries) : 0;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    bool well_behaved = false;
    double retry_scale = 1.0;
    int arrival_ms = 1'000;
    int run_ms = 300;
    int timeout_ms = 20'000;

    CLI::App app{"A simulated ComfyDeploy: sends the webhooks of made-up runs"};
    app.add_option("--url", arguments.sender.url, "Where the webhooks go, query string included");
    app.add_option("--runs", arguments.runs.runs, "How many runs")->capture_default_str();
    app.add_option("--seed", arguments.seed, "The same seed makes the same runs; random where it is not given");
    app.add_option("--concurrency", arguments.sender.concurrency, "Requests open at once")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--pg", arguments.postgres_uri, "Insert the runs' records here, as the application does");
    app.add_option("--bot-api", arguments.bot_api_url, "The Bot API stand-in whose messages are verified too");
    app.add_flag("--verify", arguments.verify, "Wait until the ledger holds what it must; findings otherwise");
    app.add_option("--patience", arguments.patience_seconds, "Seconds for --verify")->capture_default_str();
    app.add_option("--arrival-ms", arrival_ms, "The runs begin within this time")->capture_default_str();
    app.add_option("--run-ms", run_ms, "A run's length, about")->capture_default_str();
    app.add_option("--timeout-ms", timeout_ms, "Of one try")->capture_default_str();
    app.add_option("--time-scale", arguments.sender.time_scale, "Multiplies the plan's times; 0 is as fast as can be")
        ->capture_default_str();
    app.add_option("--retry-scale", retry_scale, "Multiplies the delays before tries two and three");
    app.add_option("--chats", arguments.runs.chats, "How many chats the runs share; 0 is one for each");
    app.add_option("--text-bytes", arguments.runs.text_bytes, "Of a text output")->capture_default_str();
    app.add_option("--header", arguments.sender.headers, "A header beside the sender's own");
    app.add_flag("--well-behaved", well_behaved, "None of the sender's habits: in order, once, well-formed");
    app.add_flag("--print", arguments.print_bodies, "Print the bodies, one a line, and send nothing");
    CLI11_PARSE(app, argc, argv);
    if (!arguments.print_bodies && arguments.sender.url.empty()) {
        fmt::print(stderr, "comfy_sender: --url is missing\n");
        return 1;
    }
    if (arguments.verify && arguments.postgres_uri.empty()) {
        fmt::print(stderr, "comfy_sender: --verify needs --pg\n");
        return 1;
    }
    arguments.runs.arrival_span = std::chrono::milliseconds{arrival_ms};
    arguments.runs.run_span = std::chrono::milliseconds{run_ms};
    arguments.sender.timeout = std::chrono::milliseconds{timeout_ms};
    for (std::chrono::milliseconds& delay : arguments.sender.retry_delays) {
        delay = std::chrono::milliseconds{static_cast<std::int64_t>(static_cast<double>(delay.count()) * retry_scale)};
    }
    if (well_behaved) {
        arguments.runs.habits = test::Habits::none();
    }
    try {
        return run(arguments);
    } catch (const std::exception& e) {
        fmt::print(stderr, "comfy_sender: {}\n", e.what());
        return 1;
    }
}
