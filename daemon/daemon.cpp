#include "daemon/daemon.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <future>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/ingest/apply.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/metrics.hpp"
#include "daemon/notify/notify.hpp"
#include "daemon/notify/outbox_listener.hpp"
#include "daemon/overview/health.hpp"
#include "daemon/overview/rates.hpp"
#include "daemon/reconcile/reconcile.hpp"
#include "daemon/settle/maintain.hpp"
#include "daemon/settle/settle.hpp"
#include "daemon/web/page_routes.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// How long a stage may take from one beat to the next before the daemon counts as hanging. Each is several times what
// the stage's own time-outs allow for a turn, so that a slow server is no reason to start again.
constexpr seconds intake_silence_max{30};      // Its poll ends after a second.
constexpr seconds apply_silence_max{600};      // A turn: some ten statements of 30 s at most.
constexpr seconds settle_silence_max{120};     // A turn: 128 runs of 0.2 s, and one of 3 s.
constexpr seconds reconcile_silence_max{300};  // A turn: some statements, and look-ups that are not waited for.
constexpr seconds notify_silence_max{300};     // The same.
constexpr seconds maintain_silence_max{120};   // A step: some statements of 5 s at most.

// ZeroMQ's two, the outbox's listener, some for libcurl, which resolves names in threads, and those that serve HTTP and
// look at the rates.
constexpr std::size_t other_threads = 8 + web::Listener::threads + 1;

std::string lease_owner() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) {
        host = {"?"};  // The random part is what tells daemons apart.
    }
    return fmt::format("{}:{}:{:08x}", host.data(), getpid(), std::random_device{}());
}

// How long the daemon waits after the signal for its stages to end in order. Then it ends their connections to
// PostgreSQL, so that one that hangs does not hold it up for longer than TimeoutStopSec= of the service. The edges and
// the outbox's leases have what a stage has not finished.
constexpr seconds orderly_stop_max{10};

// Longer than an attempt to reach PostgreSQL and the pause behind it; TimeoutStartSec= of the service is no less.
constexpr seconds start_step_max{90};

// True: a signal to end came within the time.
bool ends_within(const sigset_t& signals, std::chrono::nanoseconds bound) {
    const auto until = steady_clock::now() + bound;
    while (true) {
        const auto left = std::max(until - steady_clock::now(), steady_clock::duration::zero());
        const auto whole = std::chrono::floor<seconds>(left);
        const timespec wait{.tv_sec = whole.count(), .tv_nsec = std::chrono::nanoseconds{left - whole}.count()};
        const int signal = sigtimedwait(&signals, nullptr, &wait);
        if (signal != SIGHUP) {
            return signal > 0;  // EINTR counts as the bound: the callers ask again.
        }
        spdlog::info("SIGHUP: nothing is reloaded; restart the daemon to have it read its configuration again");
    }
}

void tell_systemd(const std::string& assignments) { sd_notify(0, assignments.c_str()); }

// Ends the connections to PostgreSQL when `bound` has passed, unless it is destroyed before.
class StopBound {
public:
    explicit StopBound(seconds bound) {
        try {
            thread_ = std::jthread([this, bound] {
                if (!ended_.pause(bound)) {
                    return;
                }
                spdlog::warn("PostgreSQL has not answered in time, the stages end without it waited_s={}",
                             bound.count());
                interrupt_connections();
            });
        } catch (const std::system_error& error) {
            spdlog::warn("the time to stop in has no bound error=\"{}\"", error.what());  // systemd has one.
        }
    }
    StopBound(const StopBound&) = delete;
    StopBound& operator=(const StopBound&) = delete;
    ~StopBound() { ended_.stop(); }

private:
    Wakeup ended_;
    std::jthread thread_;
};

class Daemon {
public:
    Daemon(const Config& config, const StartThread& start);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() {
        stop();
        metrics_.reset();  // Its threads look at the stages.
    }

    // Waits for PostgreSQL for as long as it takes. False: a signal came first. Throws SchemaMismatch, Refused.
    [[nodiscard]] bool wait_for_schema(const sigset_t& signals);
    // Throws if a stage can't be made or started.
    void start();
    // Until a signal comes.
    void watch(const sigset_t& signals);
    // Stops what has started. The second time it does nothing.
    void stop() noexcept;

private:
    // Starts the stage's thread, to be joined by resetting the pointer.
    template <class Runs>
    [[nodiscard]] std::unique_ptr<StageThread> start_stage(std::string name, Runs& stage, seconds silence_max) {
        auto thread = std::make_unique<StageThread>(
            StageThread::Stage{name, [&stage] { stage.run(); }, stage.heartbeat(), silence_max}, start_thread_);
        const std::lock_guard lock(health_mutex_);
        beats_.push_back({std::move(name), &stage.heartbeat(), silence_max});
        return thread;
    }
    [[nodiscard]] bool some_stage_hangs();
    void enter(DaemonPhase phase) noexcept;
    // On a thread of the listener, like the next two.
    [[nodiscard]] HealthFacts health();
    [[nodiscard]] std::vector<web::Route> routes();
    void look_at_rates();

    const Config& config_;
    const StartThread& start_thread_;
    const std::string lease_owner_;
    Counters counters_;

    struct Beat {
        std::string stage;
        const Heartbeat* heartbeat;
        seconds silence_max;
    };
    std::mutex health_mutex_;  // Of the next two.
    DaemonPhase phase_{DaemonPhase::starting};
    std::vector<Beat> beats_;  // Of the stages that were started, as long as they exist.
    RateHistory rates_;
    Wakeup rates_stop_;
    std::jthread rates_thread_;
    std::unique_ptr<Metrics> metrics_;

    Wakeup stop_;  // Appliers between two attempts, and the maintainer.
    Wakeup settle_wakeup_;
    Wakeup slow_settle_wakeup_;
    Wakeup notify_wakeup_;
    Wakeup reconcile_stop_;
    IntakeQueue queue_;

    // In the order of data. A stage is made before any thread runs that could wake it.
    std::optional<Intake> intake_;
    std::list<Applier> appliers_;
    std::optional<Settler> settler_;
    std::optional<Settler> slow_settler_;
    std::optional<Reconciler> reconciler_;
    std::optional<Notifier> notifier_;
    std::optional<OutboxListener> outbox_listener_;
    std::optional<Maintainer> maintainer_;

    std::unique_ptr<StageThread> intake_thread_;
    std::vector<std::unique_ptr<StageThread>> apply_threads_;
    std::unique_ptr<StageThread> settle_thread_;
    std::unique_ptr<StageThread> slow_settle_thread_;
    std::unique_ptr<StageThread> reconcile_thread_;
    std::unique_ptr<StageThread> notify_thread_;
    std::unique_ptr<StageThread> maintain_thread_;

    std::string hanging_;  // The stage that the log has named.
};

Daemon::Daemon(const Config& config, const StartThread& start)
    : config_(config), start_thread_(start), lease_owner_(lease_owner()) {
    constexpr std::size_t stages_without_appliers = 6;
    check_threads_can_start(config.postgres.appliers + stages_without_appliers + other_threads, start);
    if (!config.metrics.listen.empty()) {
        metrics_ = std::make_unique<Metrics>(config.metrics.listen, counters_, routes());
        rates_thread_ = start_thread_([this] { look_at_rates(); });
    }
}

std::vector<web::Route> Daemon::routes() {
    const web::AskHealth facts = [this] { return health(); };
    const web::AskRates rates = [this] { return rates_.rates(); };
    std::vector<web::Route> routes = web::health_routes(facts, rates);
    if (config_.page.token_file.empty()) {
        routes.push_back(web::no_page_route());
        return routes;
    }
    auto page = web::page_routes({.overview = {.uri = config_.page.uri, .edges = config_.page.edges},
                                  .login = {.token_file = config_.page.token_file, .token = config_.page.token},
                                  .version = RUNLEDGER_VERSION},
                                 facts, rates, counters_.web.tokens_refused);
    routes.insert(routes.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
    return routes;
}

void Daemon::look_at_rates() {
    name_this_thread("rates");
    do {
        rates_.add(steady_clock::now(), {.events = counters_.apply.events_applied,
                                         .settlements = counters_.settle.settled + counters_.settle.resettled,
                                         .messages = counters_.notify.sent + counters_.notify.logged});
    } while (rates_stop_.pause(RateHistory::interval));
}

void Daemon::enter(DaemonPhase phase) noexcept {
    const std::lock_guard lock(health_mutex_);
    phase_ = phase;
}

HealthFacts Daemon::health() {
    HealthFacts facts;
    {
        const std::lock_guard lock(health_mutex_);
        facts.phase = phase_;
        const auto now = steady_clock::now();
        for (const Beat& beat : beats_) {
            facts.stages.push_back(
                {.name = beat.stage,
                 .silent_for = std::chrono::duration_cast<milliseconds>(beat.heartbeat->silent_for(now)),
                 .silence_max = beat.silence_max});
        }
    }
    facts.postgres_away_for = Outages::of(config_.postgres.uri)->away_for();
    facts.batches_set_back = counters_.apply.set_back;
    facts.sends_messages = config_.telegram.mode == TelegramMode::send;
    facts.telegram_token_is_refused = counters_.notify.token_is_refused;
    facts.telegram_unanswered = static_cast<unsigned>(counters_.notify.unanswered);
    facts.messages_retrying = counters_.notify.retrying;
    facts.oldest_message = seconds{static_cast<seconds::rep>(counters_.notify.oldest_seconds)};
    facts.looks_up_runs = !config_.comfydeploy.api_key.is_empty();
    facts.comfydeploy_key_is_refused = counters_.reconcile.key_is_refused;
    return facts;
}

bool Daemon::wait_for_schema(const sigset_t& signals) {
    constexpr milliseconds look_interval{20};
    Backoff backoff({});
    Database database(config_.postgres.uri, "start");
    while (true) {
        tell_systemd(fmt::format("EXTEND_TIMEOUT_USEC={}", std::chrono::microseconds{start_step_max}.count()));
        // On a thread of its own: a PostgreSQL that hangs holds up no signal.
        std::promise<void> answer;
        std::future<void> answered = answer.get_future();
        const std::jthread asking = start_thread_([&database, &answer] {
            try {
                check_may_start(database);
                answer.set_value();
            } catch (...) {
                answer.set_exception(std::current_exception());
            }
        });
        while (answered.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
            if (ends_within(signals, look_interval)) {
                interrupt_connections();
                return false;
            }
        }
        try {
            answered.get();
            return true;
        } catch (const SchemaMismatch&) {
            throw;
        } catch (const Refused&) {
            throw;
        } catch (const std::exception& error) {
            if (!database.give_up(error)) {
                spdlog::warn("the database's schema can't be read, trying again error={:?}",
                             std::string_view(error.what()));
            }
            std::string why = error.what();
            std::ranges::replace(why, '\n', ' ');
            tell_systemd("STATUS=waiting for PostgreSQL: " + why);
        }
        if (ends_within(signals, backoff.next())) {
            return false;
        }
    }
}

// From the end of the data's way to its beginning, so that nothing is taken in before the stages behind it run.
void Daemon::start() {
    const std::string& uri = config_.postgres.uri;
    intake_.emplace(config_.intake, queue_, counters_.intake);
    for (unsigned i = 0; i < config_.postgres.appliers; ++i) {
        appliers_.emplace_back(uri, queue_, stop_, settle_wakeup_, counters_.apply);
    }
    settler_.emplace(config_.settle, uri, SettleLane::prompt, settle_wakeup_, notify_wakeup_, counters_.settle);
    slow_settler_.emplace(config_.settle, uri, SettleLane::patient, slow_settle_wakeup_, notify_wakeup_,
                          counters_.settle);
    const bool reconciles = !config_.comfydeploy.api_key.is_empty();
    if (reconciles) {
        reconciler_.emplace(config_.comfydeploy, uri, lease_owner_, reconcile_stop_, settle_wakeup_,
                            counters_.reconcile);
    }
    NotifyTuning notify_tuning;
    notify_tuning.on_degraded = [](bool is_degraded) {
        sd_notify(0, is_degraded ? "STATUS=degraded: Telegram refuses the bot's token" : "STATUS=ready");
    };
    notifier_.emplace(config_.telegram, uri, lease_owner_, notify_wakeup_, counters_.notify, std::move(notify_tuning));
    maintainer_.emplace(config_.retention, uri, stop_, counters_.maintain);

    notify_thread_ = start_stage("notify", *notifier_, notify_silence_max);
    try {
        outbox_listener_.emplace(config_.postgres.direct_uri, notify_wakeup_, [this](int backend) {
            return backend == settler_->backend() || backend == slow_settler_->backend();
        });
    } catch (const std::system_error& error) {
        throw ThreadNotStarted(
            fmt::format("the thread that listens to the outbox can't be started: {}", error.code().message()));
    }
    settle_thread_ = start_stage("settle", *settler_, settle_silence_max);
    slow_settle_thread_ = start_stage("settle slow", *slow_settler_, settle_silence_max);
    if (reconciles) {
        reconcile_thread_ = start_stage("reconcile", *reconciler_, reconcile_silence_max);
    }
    for (Applier& applier : appliers_) {
        apply_threads_.push_back(start_stage("apply", applier, apply_silence_max));
    }
    intake_thread_ = start_stage("intake", *intake_, intake_silence_max);
    maintain_thread_ = start_stage("maintain", *maintainer_, maintain_silence_max);
    enter(DaemonPhase::running);
    spdlog::info("ready appliers={} telegram={} reconcile={}", config_.postgres.appliers,
                 config_.telegram.mode == TelegramMode::send ? "send" : "log", reconciles ? "on" : "off, no key");
}

// In the order of data, so that each stage hands on what it has.
void Daemon::stop() noexcept {
    const StopBound bound(orderly_stop_max);
    enter(DaemonPhase::draining);
    rates_stop_.stop();
    // Intake reads no more; appliers end with the turn under way, which intake then answers.
    stop_.stop();
    reconcile_stop_.stop();
    if (intake_thread_) {
        intake_->stop();
    } else {
        queue_.close();  // As intake's thread would.
    }
    apply_threads_.clear();
    queue_.abandon();
    intake_thread_.reset();
    reconcile_thread_.reset();
    settle_wakeup_.stop();
    slow_settle_wakeup_.stop();
    settle_thread_.reset();
    slow_settle_thread_.reset();
    notify_wakeup_.stop();
    notify_thread_.reset();
    outbox_listener_.reset();
    maintain_thread_.reset();
}

void Daemon::watch(const sigset_t& signals) {
    std::uint64_t watchdog_microseconds = 0;
    const bool has_watchdog = sd_watchdog_enabled(0, &watchdog_microseconds) > 0;
    constexpr seconds look_interval{10};
    const std::chrono::microseconds interval =
        has_watchdog ? std::chrono::microseconds{watchdog_microseconds / 2} : look_interval;
    while (!ends_within(signals, interval)) {
        if (!some_stage_hangs() && has_watchdog) {
            sd_notify(0, "WATCHDOG=1");
        }
    }
}

bool Daemon::some_stage_hangs() {
    const auto now = steady_clock::now();
    std::vector<const StageThread*> threads{intake_thread_.get(),    settle_thread_.get(), slow_settle_thread_.get(),
                                            reconcile_thread_.get(), notify_thread_.get(), maintain_thread_.get()};
    for (const auto& thread : apply_threads_) {
        threads.push_back(thread.get());
    }
    const auto found = std::find_if(threads.begin(), threads.end(),
                                    [&](const StageThread* thread) { return thread != nullptr && thread->hangs(now); });
    const std::string hanging = found == threads.end() ? "" : (*found)->name();
    if (hanging != std::exchange(hanging_, hanging) && !hanging.empty()) {
        spdlog::critical("a stage hangs: systemd's watchdog gets no more beats stage=\"{}\"", hanging);
    }
    return !hanging.empty();
}

}  // namespace

void run_daemon(const Config& config, const sigset_t& signals, const StartThread& start) {
    Daemon daemon(config, start);
    if (!daemon.wait_for_schema(signals)) {
        return;
    }
    daemon.start();
    tell_systemd("READY=1\nSTATUS=ready");
    daemon.watch(signals);
    tell_systemd("STOPPING=1");
    spdlog::info("draining");
    daemon.stop();
    spdlog::info("stopped");
}

}  // namespace runledger
