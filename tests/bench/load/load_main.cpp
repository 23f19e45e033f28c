// bench_load: drives one server with ComfyDeploy's webhooks and prints what came of it as one JSON object. With
// --list-runs N it prints the ids of the first N runs that the seed makes instead, for whoever inserts their records.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "tests/bench/load/load.hpp"

namespace {

namespace bench = runledger::bench;

// Of this process so far, seconds of CPU.
double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);  // Can't fail for oneself.
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void print(bench::LoadResult& result) {
    auto& latency = result.latency_ns;
    std::sort(latency.begin(), latency.end());
    const auto quantile_us = [&](double share) {
        if (latency.empty()) {
            return 0.0;
        }
        const auto at = static_cast<std::size_t>(share * static_cast<double>(latency.size()));
        return static_cast<double>(latency[std::min(at, latency.size() - 1)]) / 1000.0;
    };
    std::uint64_t accepted = 0;
    std::uint64_t events = result.unanswered;
    std::string answers;
    for (const auto& [status, count] : result.answers) {
        accepted += status >= 200 && status < 300 ? count : 0;
        events += count;
        answers += fmt::format(R"({}"{}": {})", answers.empty() ? "" : ", ", status, count);
    }
    const double seconds = result.took.count();
    fmt::print(R"({{"events": {}, "accepted": {}, "unanswered": {}, "answers": {{{}}}, "seconds": {:.6f}, )"
               R"("per_second": {:.2f}, "p50_us": {:.1f}, "p90_us": {:.1f}, "p99_us": {:.1f}, "p999_us": {:.1f}, )"
               R"("max_us": {:.1f}, "body_bytes": {}, "runs": {}, "cpu_seconds": {:.3f}}})"
               "\n",
               events, accepted, result.unanswered, answers, seconds,
               seconds > 0 ? static_cast<double>(accepted) / seconds : 0.0, quantile_us(0.5), quantile_us(0.9),
               quantile_us(0.99), quantile_us(0.999), quantile_us(1.0), result.body_bytes, result.runs, cpu_seconds());
}

}  // namespace

int main(int argc, char** argv) {
    bench::LoadOptions options;
    double seconds = 5.0;
    std::uint64_t runs_listed = 0;
    CLI::App app{"Drives one server on 127.0.0.1 with ComfyDeploy's webhooks"};
    app.add_option("--port", options.port, "Of the server");
    app.add_option("--path", options.path, "Query string included")->capture_default_str();
    app.add_option("--connections", options.connections, "Events under way at once")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_flag("--new-connection", options.new_connection_each, "A connection for each event");
    app.add_flag("--tls", options.tls, "TLS, with a full handshake for each connection");
    app.add_option("--rate", options.rate_per_second, "Events a second, in an open loop; without it, a closed one")
        ->check(CLI::PositiveNumber);
    app.add_option("--seconds", seconds, "For how long events are begun")->capture_default_str();
    app.add_option("--events", options.events_max, "End earlier, after so many");
    app.add_option("--body-bytes", options.bodies.body_bytes, "Fill each body up to so many; 0: as they come");
    app.add_option("--runs-in-flight", options.bodies.runs_in_flight, "Runs that are under way at once")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seed", options.bodies.seed, "The same seed makes the same bodies")->capture_default_str();
    app.add_option("--list-runs", runs_listed, "Print the ids of the first so many runs, and send nothing");
    CLI11_PARSE(app, argc, argv);
    for (std::uint64_t number = 0; number < runs_listed; ++number) {
        fmt::print("{}\n", bench::run_id_of(options.bodies.seed, number));
    }
    if (runs_listed > 0) {
        return 0;
    }
    options.span = std::chrono::duration<double>{seconds};
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // Failing costs 50 us of precision.
    try {
        bench::LoadResult result = bench::run_load(options);
        print(result);
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_load: {}\n", e.what());
        return 1;
    }
    return 0;
}
