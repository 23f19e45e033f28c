#include "daemon/daemon.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <future>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/version.hpp"
#include "daemon/backlog/backlog.hpp"
#include "daemon/base/backoff.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/outage.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/ingest/apply.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/metrics.hpp"
#include "daemon/notify/notify.hpp"
#include "daemon/notify/outbox_listener.hpp"
#include "daemon/overview/health.hpp"
#include "daemon/overview/rates.hpp"
#include "daemon/reconcile/reconcile.hpp"
#include "daemon/reload.hpp"
#include "daemon/settle/maintain.hpp"
#include "daemon/settle/settle.hpp"
#include "daemon/systemd.hpp"
#include "daemon/tell/tell.hpp"
#include "daemon/web/page_routes.hpp"
#include "daemon/webhooks/sender.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// While there are many batches, one COMMIT of apply serves those of so long. At 200 runs a second an event then waits
// 2 ms longer to be applied, and all processes together keep 1.57 processors busy instead of 1.79.
constexpr milliseconds apply_gather_interval{5};

// How long a stage may take from one beat to the next before the daemon counts as hanging. Each is several times what
// the stage's own time-outs allow for a turn, so that a slow server is no reason to start again.
constexpr seconds intake_silence_max{30};      // Its poll ends after a second.
constexpr seconds apply_silence_max{600};      // A turn: some ten statements of 30 s at most.
constexpr seconds settle_silence_max{120};     // A turn: 128 runs of 0.2 s, and one of 3 s.
constexpr seconds reconcile_silence_max{300};  // A turn: some statements, and look-ups that are not waited for.
constexpr seconds notify_silence_max{300};     // The same.
constexpr seconds webhooks_silence_max{300};   // The same.
constexpr seconds maintain_silence_max{120};   // A step: some statements of 5 s at most.
constexpr seconds backlog_silence_max{120};    // The same.
constexpr seconds tell_silence_max{120};       // Two transactions: some statements of 10 s at most.

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
// After this it ends whatever its threads wait for, such as a resolver that asks one dead name server after the other:
// before systemd kills it. Notify's own bound fits between the two.
constexpr seconds stop_max{20};

// Longer than an attempt to reach PostgreSQL and the pause behind it; TimeoutStartSec= of the service is no less.
constexpr seconds start_step_max{90};

enum class Wish : std::uint8_t { none, reload, end };

// What a signal within the time asks for.
Wish wish_within(const sigset_t& signals, std::chrono::nanoseconds bound) {
    const auto whole = std::chrono::floor<seconds>(bound);
    const timespec wait{.tv_sec = whole.count(), .tv_nsec = std::chrono::nanoseconds{bound - whole}.count()};
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal <= 0) {
        return Wish::none;  // EINTR counts as the bound: the callers ask again.
    }
    if (signal != SIGHUP) {
        return Wish::end;
    }
    // Of several that wait, the kernel gives the one with the lowest number, however often that comes again.
    sigset_t endings = signals;
    sigdelset(&endings, SIGHUP);
    constexpr timespec at_once{};
    return sigtimedwait(&endings, nullptr, &at_once) > 0 ? Wish::end : Wish::reload;
}

// Ends the connections to PostgreSQL when orderly_stop_max has passed, and the process when stop_max has, unless it is
// destroyed before.
class StopBound {
public:
    StopBound() {
        try {
            thread_ = std::jthread([this] {
                if (!ended_.pause(orderly_stop_max)) {
                    return;
                }
                spdlog::warn("PostgreSQL has not answered in time, the stages end without it waited_s={}",
                             orderly_stop_max.count());
                interrupt_connections();
                if (!ended_.pause(stop_max - orderly_stop_max)) {
                    return;
                }
                // As after a SIGKILL, nothing is lost: the edges, and the leases, have what was under way.
                spdlog::error("a stage has not ended in time, the daemon ends without it waited_s={}",
                              stop_max.count());
                std::_Exit(0);
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
    Daemon(const std::filesystem::path& config_file, const Config& config, const StartThread& start);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() { stop(); }

    // Waits for PostgreSQL for as long as it takes. False: a signal to end came first. Throws SchemaMismatch, Refused.
    [[nodiscard]] bool wait_for_schema(const sigset_t& signals);
    // Throws if a stage can't be made or started.
    void start();
    // Until a signal to end comes.
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
    // What an operator wants to know first, in a line.
    [[nodiscard]] std::string status();
    void reload() noexcept;
    // Gives the stages what has changed since they have it.
    void hand_over();
    void enter(DaemonPhase phase) noexcept;
    // Whenever the configuration in use has changed.
    void tell_health();
    // On a thread of the listener, both.
    [[nodiscard]] std::shared_ptr<Outages> postgres();
    [[nodiscard]] HealthFacts health();
    [[nodiscard]] std::vector<web::Route> routes();
    // A thread's body.
    void look_at_rates();

    // One for the whole of the end, from the first wish for it until everything below is gone.
    std::optional<StopBound> stop_bound_;
    Counters counters_;
    ConfigInUse config_;
    Config handed_over_;  // What the stages have.
    const StartThread& start_thread_;
    const std::string lease_owner_;
    Systemd systemd_;

    struct Beat {
        std::string stage;
        const Heartbeat* heartbeat;
        seconds silence_max;
    };
    // What health() needs of the configuration, which a reload changes on main()'s thread.
    struct HealthSettings {
        std::shared_ptr<Outages> postgres;
        bool sends_messages{};
        bool looks_up_runs{};
    };
    std::mutex health_mutex_;  // Of the next three.
    HealthSettings health_settings_;
    DaemonPhase phase_{DaemonPhase::starting};
    std::vector<Beat> beats_;  // Of the stages that were started, as long as they exist.
    RateHistory rates_;
    Wakeup rates_stop_;
    std::jthread rates_thread_;
    std::unique_ptr<Metrics> metrics_;

    Wakeup stop_;  // Appliers between two attempts, the backlog, and tell.
    Wakeup settle_wakeup_;
    Wakeup slow_settle_wakeup_;
    Wakeup notify_wakeup_;
    Wakeup webhooks_wakeup_;
    Wakeup reconcile_wakeup_;
    Wakeup maintain_wakeup_;
    IntakeQueue queue_{apply_gather_interval};

    // In the order of data. A stage is made before any thread runs that could wake it.
    std::optional<Intake> intake_;
    std::list<Applier> appliers_;
    std::optional<Settler> settler_;
    std::optional<Settler> slow_settler_;
    std::optional<Reconciler> reconciler_;
    std::optional<Notifier> notifier_;
    std::optional<webhooks::Sender> webhook_sender_;
    std::optional<OutboxListener> outbox_listener_;
    std::optional<Maintainer> maintainer_;
    std::optional<Backlog> backlog_;
    std::optional<Teller> teller_;

    std::unique_ptr<StageThread> intake_thread_;
    std::vector<std::unique_ptr<StageThread>> apply_threads_;
    std::unique_ptr<StageThread> settle_thread_;
    std::unique_ptr<StageThread> slow_settle_thread_;
    std::unique_ptr<StageThread> reconcile_thread_;
    std::unique_ptr<StageThread> notify_thread_;
    std::unique_ptr<StageThread> webhooks_thread_;
    std::unique_ptr<StageThread> maintain_thread_;
    std::unique_ptr<StageThread> backlog_thread_;
    std::unique_ptr<StageThread> tell_thread_;

    std::string hanging_;  // The stage that the log has named.
};

Daemon::Daemon(const std::filesystem::path& config_file, const Config& config, const StartThread& start)
    : config_(config_file, config, counters_.config), start_thread_(start), lease_owner_(lease_owner()) {
    constexpr std::size_t stages_without_appliers = 9;
    check_threads_can_start(config.postgres.appliers + stages_without_appliers + other_threads, start);
    tell_health();
    if (!config.metrics.listen.empty()) {
        metrics_ = std::make_unique<Metrics>(
            config.metrics.listen, counters_, [this] { return postgres()->is_away(); }, routes());
        rates_thread_ = start_thread_([this] { look_at_rates(); });
    }
}

std::vector<web::Route> Daemon::routes() {
    const web::AskHealth facts = [this] { return health(); };
    const web::AskRates rates = [this] { return rates_.rates(); };
    std::vector<web::Route> routes = web::health_routes(facts, rates);
    const PageSettings& page_settings = config_.get().page;
    if (page_settings.token_file.empty()) {
        routes.push_back(web::no_page_route());
        return routes;
    }
    auto page = web::page_routes({.overview = {.uri = page_settings.uri, .edges = page_settings.edges},
                                  .login = {.token_file = page_settings.token_file, .token = page_settings.token},
                                  .version = std::string(build_version())},
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

void Daemon::tell_health() {
    const Config& config = config_.get();
    HealthSettings settings{.postgres = Outages::of(config.postgres.uri),
                            .sends_messages = config.telegram.mode == TelegramMode::send,
                            .looks_up_runs = !config.comfydeploy.api_key.is_empty()};
    const std::lock_guard lock(health_mutex_);
    health_settings_ = std::move(settings);
}

std::shared_ptr<Outages> Daemon::postgres() {
    const std::lock_guard lock(health_mutex_);
    return health_settings_.postgres;
}

HealthFacts Daemon::health() {
    HealthFacts facts;
    {
        const std::lock_guard lock(health_mutex_);
        facts.phase = phase_;
        facts.postgres_away_for = health_settings_.postgres->away_for();
        facts.sends_messages = health_settings_.sends_messages;
        facts.looks_up_runs = health_settings_.looks_up_runs;
        const auto now = steady_clock::now();
        for (const Beat& beat : beats_) {
            facts.stages.push_back(
                {.name = beat.stage,
                 .silent_for = std::chrono::duration_cast<milliseconds>(beat.heartbeat->silent_for(now)),
                 .failing_for = std::chrono::duration_cast<milliseconds>(beat.heartbeat->failing_for(now)),
                 .silence_max = beat.silence_max});
        }
    }
    facts.batches_set_back = counters_.apply.set_back;
    facts.telegram_token_is_refused = counters_.notify.token_is_refused;
    facts.telegram_unanswered = static_cast<unsigned>(counters_.notify.unanswered);
    facts.messages_retrying = counters_.backlog.outbox_retrying;
    facts.oldest_message = seconds{static_cast<seconds::rep>(counters_.backlog.outbox_oldest_pending_seconds)};
    facts.comfydeploy_key_is_refused = counters_.reconcile.key_is_refused;
    return facts;
}

bool Daemon::wait_for_schema(const sigset_t& signals) {
    constexpr milliseconds look_interval{20};
    Backoff backoff({});
    std::optional<Database> database;
    while (true) {
        if (!database) {
            database.emplace(config_.get().postgres.uri, "start");
        }
        Systemd::give_time(start_step_max);
        // On a thread of its own: a PostgreSQL that hangs holds up no signal.
        std::promise<void> answer;
        std::future<void> answered = answer.get_future();
        const std::jthread asking = start_thread_([&database, &answer] {
            try {
                check_may_start(*database);
                answer.set_value();
            } catch (...) {
                answer.set_exception(std::current_exception());
            }
        });
        Wish wish = Wish::none;
        while (answered.wait_for(std::chrono::seconds{0}) != std::future_status::ready) {
            const Wish latest = wish_within(signals, look_interval);
            if (latest == Wish::end) {
                stop_bound_.emplace();
                interrupt_connections();
                return false;
            }
            wish = std::max(wish, latest);
        }
        bool may_start = false;
        try {
            answered.get();
            may_start = true;
        } catch (const SchemaMismatch&) {
            throw;
        } catch (const Refused&) {
            throw;
        } catch (const std::exception& error) {
            if (!database->give_up(error)) {
                spdlog::warn("the database's schema can't be read, trying again error={:?}",
                             std::string_view(error.what()));
            }
            systemd_.say(fmt::format("waiting for PostgreSQL: {}", error.what()));
        }
        if (!may_start && wish == Wish::none) {
            wish = wish_within(signals, backoff.next());
        }
        if (wish == Wish::end) {
            return false;
        }
        if (wish == Wish::reload) {
            const PostgresSettings asked = config_.get().postgres;
            if (config_.read_again(ConfigInUse::Phase::starting)) {
                change_log(config_.get().log);
                tell_health();
            }
            if (config_.get().postgres != asked) {
                database.reset();
                backoff.reset();
                may_start = false;
            }
        }
        if (may_start) {
            return true;
        }
    }
}

// From the end of the data's way to its beginning, so that nothing is taken in before the stages behind it run.
void Daemon::start() {
    handed_over_ = config_.get();
    const Config& config = handed_over_;
    const std::string& uri = config.postgres.uri;
    intake_.emplace(config.intake, queue_, counters_.intake);
    for (unsigned i = 0; i < config.postgres.appliers; ++i) {
        appliers_.emplace_back(uri, queue_, stop_, settle_wakeup_, counters_.apply);
    }
    settler_.emplace(config.settle, uri, SettleLane::prompt, settle_wakeup_, notify_wakeup_, counters_.settle);
    slow_settler_.emplace(config.settle, uri, SettleLane::patient, slow_settle_wakeup_, notify_wakeup_,
                          counters_.settle);
    reconciler_.emplace(config.comfydeploy, uri, lease_owner_, reconcile_wakeup_, settle_wakeup_, counters_.reconcile);
    notifier_.emplace(config.telegram, uri, lease_owner_, notify_wakeup_, counters_.notify);
    webhook_sender_.emplace(config.webhooks, uri, lease_owner_, webhooks_wakeup_, counters_.webhooks);
    maintainer_.emplace(config.retention, uri, maintain_wakeup_, counters_.maintain);
    if (metrics_) {
        backlog_.emplace(uri, stop_, counters_.backlog);
    }
    teller_.emplace(config.application, uri, stop_, counters_.tell);

    notify_thread_ = start_stage("notify", *notifier_, notify_silence_max);
    webhook_sender_->publish();  // Before anything is settled.
    webhooks_thread_ = start_stage("webhooks", *webhook_sender_, webhooks_silence_max);
    try {
        outbox_listener_.emplace(
            config.postgres.direct_uri, notify_wakeup_,
            [this](int backend) { return backend == settler_->backend() || backend == slow_settler_->backend(); },
            &webhooks_wakeup_);
    } catch (const std::system_error& error) {
        throw ThreadNotStarted(
            fmt::format("the thread that listens to the outbox can't be started: {}", error.code().message()));
    }
    tell_thread_ = start_stage("tell", *teller_, tell_silence_max);
    settle_thread_ = start_stage("settle", *settler_, settle_silence_max);
    slow_settle_thread_ = start_stage("settle slow", *slow_settler_, settle_silence_max);
    reconcile_thread_ = start_stage("reconcile", *reconciler_, reconcile_silence_max);
    for (Applier& applier : appliers_) {
        apply_threads_.push_back(start_stage("apply", applier, apply_silence_max));
    }
    intake_thread_ = start_stage("intake", *intake_, intake_silence_max);
    maintain_thread_ = start_stage("maintain", *maintainer_, maintain_silence_max);
    if (backlog_) {
        backlog_thread_ = start_stage("backlog", *backlog_, backlog_silence_max);
    }
    enter(DaemonPhase::running);
    spdlog::info("ready appliers={} telegram={} webhooks={} reconcile={}", config.postgres.appliers,
                 config.telegram.mode == TelegramMode::send ? "send" : "log", config.webhooks.is_on() ? "on" : "off",
                 config.comfydeploy.api_key.is_empty() ? "off, no key" : "on");
    systemd_.ready(status());
}

// In the order of data, so that each stage hands on what it has. The listener, whose threads look at the stages, is
// last.
void Daemon::stop() noexcept {
    if (!stop_bound_) {
        stop_bound_.emplace();
    }
    if (intake_thread_) {
        spdlog::info("draining");
        try {
            systemd_.stopping("draining: what was taken is finished, what was not stays at the edges");
        } catch (const std::bad_alloc&) {
            // systemd, which has asked for it, sees the end of the process.
        }
    }
    enter(DaemonPhase::draining);
    rates_stop_.stop();
    // Intake reads no more; appliers end with the turn under way, which intake then answers.
    stop_.stop();
    reconcile_wakeup_.stop();
    maintain_wakeup_.stop();
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
    webhooks_wakeup_.stop();
    notify_thread_.reset();
    webhooks_thread_.reset();
    outbox_listener_.reset();
    maintain_thread_.reset();
    backlog_thread_.reset();
    tell_thread_.reset();
    // Health was served until now. A page's reader may hang in PostgreSQL, too: within the bound.
    metrics_.reset();
}

void Daemon::watch(const sigset_t& signals) {
    constexpr std::chrono::microseconds look_interval = seconds{2};
    const auto watchdog = systemd_.watchdog();
    const std::chrono::microseconds interval = watchdog ? std::min(look_interval, *watchdog / 2) : look_interval;
    while (true) {
        switch (wish_within(signals, interval)) {
            case Wish::none:
                break;
            case Wish::reload:
                reload();
                break;
            case Wish::end:
                return;
        }
        try {
            if (!some_stage_hangs() && watchdog) {
                Systemd::beat();
            }
            systemd_.say(status());
        } catch (const std::bad_alloc&) {
            // There is another look soon, and systemd waits for two.
        }
    }
}

void Daemon::reload() noexcept {
    try {
        Systemd::reloading();
        if (config_.read_again(ConfigInUse::Phase::running)) {
            hand_over();
        }
    } catch (const std::exception& error) {
        // Want of memory. The stages that have nothing of it get it with the next reload.
        spdlog::critical("the configuration is reloaded in part: reload it again error={:?}",
                         std::string_view(error.what()));
    }
    Systemd::reloaded();
}

void Daemon::hand_over() {
    const auto hand = [this](auto Config::*section, const auto& to) {
        const auto& now = config_.get().*section;
        if (handed_over_.*section != now) {
            to(now);
            handed_over_.*section = now;
        }
    };
    hand(&Config::log, [](const LogSettings& log) { change_log(log); });
    hand(&Config::settle, [this](const SettleSettings& settle) {
        settler_->use(settle);
        slow_settler_->use(settle);
    });
    hand(&Config::retention, [this](const RetentionSettings& retention) { maintainer_->use(retention); });
    hand(&Config::telegram, [this](const TelegramSettings& telegram) { notifier_->use(telegram); });
    hand(&Config::application, [this](const ApplicationSettings& application) { teller_->use(application); });
    hand(&Config::webhooks, [this](const WebhookSettings& webhooks) { webhook_sender_->use(webhooks); });
    hand(&Config::comfydeploy, [this](const ReconcileSettings& comfydeploy) { reconciler_->use(comfydeploy); });
    tell_health();
}

std::string Daemon::status() {
    std::string text;
    if (!hanging_.empty()) {
        text = fmt::format("stage {} hangs", hanging_);
    } else if (postgres()->is_away()) {
        text = "PostgreSQL is away: the edges keep what comes";
    } else {
        text = fmt::format("flowing: {} events applied, {} runs settled, {} messages sent since the start",
                           counters_.apply.events_applied.load(), counters_.settle.settled.load(),
                           counters_.notify.sent.load());
    }
    if (const auto set_back = counters_.apply.set_back.load(); set_back > 0) {
        text += fmt::format("; PostgreSQL refuses {} batches, which wait by themselves", set_back);
    }
    if (counters_.notify.token_is_refused) {
        text += "; degraded: Telegram refuses the bot's token";
    }
    if (counters_.reconcile.key_is_refused) {
        text += "; degraded: ComfyDeploy refuses the key";
    }
    if (counters_.config.is_refused) {
        text += "; the last reload was refused: see the log";
    }
    return text;
}

bool Daemon::some_stage_hangs() {
    const auto now = steady_clock::now();
    std::vector<const StageThread*> threads{intake_thread_.get(),    settle_thread_.get(),  slow_settle_thread_.get(),
                                            reconcile_thread_.get(), notify_thread_.get(),  webhooks_thread_.get(),
                                            maintain_thread_.get(),  backlog_thread_.get(), tell_thread_.get()};
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

void run_daemon(const std::filesystem::path& config_file, const Config& config, const sigset_t& signals,
                const StartThread& start) {
    Daemon daemon(config_file, config, start);
    if (!daemon.wait_for_schema(signals)) {
        return;
    }
    daemon.start();
    daemon.watch(signals);
    daemon.stop();
    spdlog::info("stopped");
}

}  // namespace runledger
