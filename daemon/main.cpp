// runledgerd: from batches to rows to messages. Reads its configuration and runs the stages until a signal.
//
// Shutdown (SIGTERM, SIGINT): intake stops reading; appliers finish what they have taken and it is answered; settle
// ends its turn; notify ends or gives back what it leased. A further signal changes nothing; SIGKILL loses nothing.
// SIGHUP has the configuration read again. Exit: 0 after a clean drain, 1 if it can't start (configuration, schema,
// endpoint, threads), 2 for a broken invariant, 3 if PostgreSQL refuses what no waiting mends (password, database,
// rights).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "common/version.hpp"
#include "daemon/base/log.hpp"
#include "daemon/config.hpp"
#include "daemon/daemon.hpp"
#include "daemon/database/connect_fault.hpp"

namespace runledger {
namespace {

constexpr int exit_clean = 0;
constexpr int exit_not_started = 1;
constexpr int exit_broken = 2;
constexpr int exit_refused = 3;

int run(int argc, char** argv) {
    // Every thread inherits the mask: signals are taken in one place. First of all, so that no SIGHUP ends the daemon.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    CLI::App app{"runledgerd: ComfyDeploy webhooks, from the edges' spools to PostgreSQL and Telegram"};
    std::string config_file = default_config_file;
    bool only_checks = false;
    app.set_version_flag("--version", fmt::format("runledgerd {}", build_version()));
    app.add_option("--config", config_file, "The configuration, a TOML file")->capture_default_str();
    app.add_flag("--check", only_checks, "Only read the configuration, and say what is wrong with it");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_clean : exit_not_started;
    }
    std::signal(SIGPIPE, SIG_IGN);  // libpq and curl ask for errors, not signals.
    // A host that drops packets must not hold a stage for minutes; the uri may say otherwise. No thread runs yet.
    setenv("PGCONNECT_TIMEOUT", "5", 0);  // NOLINT(concurrency-mt-unsafe)
    try {
        const Config config = load_config(config_file);
        if (only_checks) {
            fmt::print("{}: the configuration can be used\n", config_file);
            return exit_clean;
        }
        start_log(config.log);
        try {
            run_daemon(config_file, config, signals);
        } catch (const Refused& refused) {
            spdlog::error("PostgreSQL refuses the daemon, which no waiting mends {}", refused.what());
            return exit_refused;
        } catch (const std::exception& error) {
            spdlog::error("{}", error.what());
            return exit_not_started;
        }
        return exit_clean;
    } catch (const ConfigError& error) {
        fmt::print(stderr, "runledgerd: {}\n", error.what());
        return exit_not_started;
    }
}

}  // namespace
}  // namespace runledger

int main(int argc, char** argv) {
    try {
        return runledger::run(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "runledgerd: {}\n", error.what());
        return runledger::exit_broken;
    }
}
