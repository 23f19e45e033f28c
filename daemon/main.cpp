// runledgerd: from batches to rows to messages. Reads its configuration, starts the stages, waits for a signal.
//
// Shutdown (SIGTERM, SIGINT): intake stops reading; appliers finish what they have taken and it is answered; settle
// ends its turn; notify ends or gives back what it leased. A second signal ends at once; nothing is lost by that.
// Exit: 0 after a clean drain, 1 for bad configuration or schema, 2 for a broken invariant.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <pqxx/pqxx>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "daemon/base/log.hpp"
#include "daemon/config.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/ingest/apply.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/metrics.hpp"
#include "daemon/notify/notify.hpp"
#include "daemon/notify/outbox_listener.hpp"
#include "daemon/reconcile/reconcile.hpp"
#include "daemon/settle/maintain.hpp"
#include "daemon/settle/settle.hpp"

namespace runledger {
namespace {

constexpr int exit_clean = 0;
constexpr int exit_configuration = 1;
constexpr int exit_broken = 2;

// Waits for PostgreSQL as long as it takes; a schema that does not fit is told at once. False: a signal came first.
bool wait_for_schema(const Config& config, Wakeup& stop) {
    Backoff backoff({});
    while (true) {
        try {
            Database database(config.postgres.uri, "start");
            check_schema(database.connection());
            return true;
        } catch (const SchemaMismatch&) {
            throw;
        } catch (const std::exception& error) {
            const auto delay = backoff.next();
            spdlog::warn("PostgreSQL can't be reached yet error=\"{}\" delay_ms={}", error.what(), delay.count());
            if (!stop.pause(delay)) {
                return false;
            }
        }
    }
}

std::string lease_owner() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) {
        host = {"?"};  // The random part is what tells daemons apart.
    }
    return fmt::format("{}:{}:{:08x}", host.data(), getpid(), std::random_device{}());
}

// Between beats of systemd's watchdog; nothing where none is asked for.
std::chrono::microseconds watchdog_interval() {
    std::uint64_t micros = 0;
    return std::chrono::microseconds{sd_watchdog_enabled(0, &micros) > 0 ? micros / 2 : 0};
}

void wait_for_signal(const sigset_t& signals) {
    const auto watchdog = watchdog_interval();
    while (true) {
        if (watchdog.count() == 0) {
            if (sigwaitinfo(&signals, nullptr) > 0) {
                return;
            }
        } else {
            const timespec bound{.tv_sec = watchdog.count() / 1'000'000,
                                 .tv_nsec = watchdog.count() % 1'000'000 * 1000};
            if (sigtimedwait(&signals, nullptr, &bound) > 0) {
                return;
            }
            sd_notify(0, "WATCHDOG=1");
        }
    }
}

int serve(const Config& config, const sigset_t& signals) {
    Counters counters;
    Wakeup stop;
    Wakeup settle_wakeup;
    Wakeup slow_settle_wakeup;
    Wakeup notify_wakeup;
    Wakeup reconcile_stop;

    // Before the threads, so that a signal is not missed while PostgreSQL is away.
    std::atomic<bool> signalled{false};
    std::thread signal_thread([&] {
        wait_for_signal(signals);
        signalled = true;
        stop.stop();
    });

    int exit_code = exit_clean;
    std::unique_ptr<Metrics> metrics;
    try {
        if (!config.metrics.listen.empty()) {
            metrics = std::make_unique<Metrics>(config.metrics.listen, counters);
        }
        if (wait_for_schema(config, stop)) {
            IntakeQueue queue;
            Intake intake(config.intake.bind, queue, counters.intake, config.intake.curve);
            Settler settler(config, SettleLane::prompt, settle_wakeup, notify_wakeup, counters.settle);
            Settler slow_settler(config, SettleLane::patient, slow_settle_wakeup, notify_wakeup, counters.settle);
            NotifyTuning notify_tuning;
            notify_tuning.on_degraded = [](bool is_degraded) {
                sd_notify(0, is_degraded ? "STATUS=degraded: Telegram refuses the bot's token" : "STATUS=ready");
            };
            Notifier notifier(config.telegram, config.postgres.uri, lease_owner(), notify_wakeup, counters.notify,
                              std::move(notify_tuning));
            OutboxListener outbox_listener(config.postgres.direct_uri, notify_wakeup, [&](int backend) {
                return backend == settler.backend() || backend == slow_settler.backend();
            });
            Maintainer maintainer(config, stop, counters.maintain);
            Reconciler reconciler(config.comfydeploy, config.postgres.uri, lease_owner(), reconcile_stop, settle_wakeup,
                                  counters.reconcile);
            std::vector<std::unique_ptr<Applier>> appliers;
            std::vector<std::thread> apply_threads;
            for (unsigned i = 0; i < config.postgres.appliers; ++i) {
                appliers.push_back(
                    std::make_unique<Applier>(config.postgres.uri, queue, stop, settle_wakeup, counters.apply));
                apply_threads.emplace_back([&applier = *appliers.back()] { applier.run(); });
            }
            std::thread settle_thread([&] { settler.run(); });
            std::thread slow_settle_thread([&] { slow_settler.run(); });
            std::thread notify_thread([&] { notifier.run(); });
            std::thread reconcile_thread;
            if (!config.comfydeploy.api_key.is_empty()) {
                reconcile_thread = std::thread([&] { reconciler.run(); });
            }
            std::thread intake_thread([&] { intake.run(); });
            std::thread maintain_thread([&] { maintainer.run(); });
            sd_notify(0, "READY=1");
            spdlog::info("ready appliers={} telegram={} reconcile={}", config.postgres.appliers,
                         config.telegram.mode == TelegramMode::send ? "send" : "log",
                         config.comfydeploy.api_key.is_empty() ? "off, no key" : "on");

            signal_thread.join();
            sd_notify(0, "STOPPING=1");
            spdlog::info("draining");
            intake.stop();
            reconcile_stop.stop();
            for (std::thread& thread : apply_threads) {
                thread.join();
            }
            queue.abandon();
            intake_thread.join();
            if (reconcile_thread.joinable()) {
                reconcile_thread.join();
            }
            settle_wakeup.stop();
            slow_settle_wakeup.stop();
            settle_thread.join();
            slow_settle_thread.join();
            notify_wakeup.stop();
            notify_thread.join();
            maintain_thread.join();
            spdlog::info("stopped");
        }
    } catch (const SchemaMismatch& error) {
        spdlog::error("{}", error.what());
        exit_code = exit_configuration;
    } catch (const zmq::error_t& error) {
        spdlog::error("[intake] bind: {}", error.what());
        exit_code = exit_configuration;
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        exit_code = exit_configuration;
    }
    if (signal_thread.joinable()) {
        if (!signalled) {
            kill(getpid(), SIGTERM);  // To the thread that waits for it; nobody else takes it.
        }
        signal_thread.join();
    }
    return exit_code;
}

int run(int argc, char** argv) {
    CLI::App app{"runledgerd: ComfyDeploy webhooks, from the edges' spools to PostgreSQL and Telegram"};
    std::string config_file;
    app.add_option("--config", config_file, "The configuration, a TOML file")->required()->check(CLI::ExistingFile);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_clean : exit_configuration;
    }
    // Every thread inherits the mask: signals are taken in one place.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // libpq and curl ask for errors, not signals.
    // A host that drops packets must not hold a stage for minutes; the uri may say otherwise. No thread runs yet.
    setenv("PGCONNECT_TIMEOUT", "5", 0);  // NOLINT(concurrency-mt-unsafe)
    try {
        const Config config = load_config(config_file);
        start_log(config.log);
        return serve(config, signals);
    } catch (const ConfigError& error) {
        fmt::print(stderr, "runledgerd: {}\n", error.what());
        return exit_configuration;
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
