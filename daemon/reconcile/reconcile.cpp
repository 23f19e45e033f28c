#include "daemon/reconcile/reconcile.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/database/connect_fault.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds drive_bound{50};  // How late a stop is seen while calls are in flight.
constexpr long http_ok = 200;
constexpr long http_redirects = 300;
constexpr long http_unauthorized = 401;
constexpr long http_forbidden = 403;
constexpr long http_not_found = 404;
constexpr long http_client_faults = 400;
constexpr long http_too_many = 429;
constexpr long http_server_faults = 500;
constexpr std::size_t status_word_bytes_max = 100;  // Of a word that is not known, for the log and the table.
constexpr unsigned cancelled_max = 5;  // After as many attempts a report counts as one that can't be stored.

// Whether a report that was refused may be stored by a later attempt. A lock passes, such as the one that `runledger
// forget` holds. A statement that ran into its time-out may have met a slow server, or a trigger that hangs for this
// run alone and would stop all look-ups: it is tried a few times.
bool may_be_stored_later(std::string_view sqlstate, LeasedLookup& lookup) {
    constexpr std::string_view query_canceled = "57014";
    return sqlstate == query_canceled ? ++lookup.cancelled < cancelled_max : passes_by_itself(sqlstate);
}

Lookups::Options lookup_options(const ReconcileSettings& config, const ReconcileTuning& tuning,
                                std::string postgres_uri, std::string lease_owner) {
    return {.uri = std::move(postgres_uri),
            .lease_owner = std::move(lease_owner),
            .lease = config.timeout + tuning.lease_margin,
            .silence = config.silence,
            .lookback = config.give_up};
}

}  // namespace

Reconciler::Reconciler(ReconcileSettings comfydeploy, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
                       Wakeup& settle, ReconcileCounters& counters, ReconcileTuning tuning)
    : config_(std::move(comfydeploy)),
      tuning_(tuning),
      wakeup_(wakeup),
      settle_(settle),
      counters_(counters),
      lookups_(lookup_options(config_, tuning_, std::move(postgres_uri), std::move(lease_owner))),
      database_backoff_({}),
      outage_backoff_({.delay_min = tuning_.outage_delay_min, .delay_max = tuning_.outage_delay_max}),
      random_(std::random_device{}()) {}

void Reconciler::run() noexcept {
    try {
        start_calls();
        while (!wakeup_.is_stopped()) {
            heartbeat_.beat();
            try {
                take_change();
                if (api_) {
                    turn();
                } else {
                    heartbeat_.rest();
                    (void)wakeup_.wait(tuning_.poll_interval);  // Whether to go on is asked by the loop.
                }
            } catch (const std::exception& error) {
                // Database errors are met where they happen: this is want of memory or a bug of ours. Leases run out.
                ++counters_.turns_failed;
                if (api_) {
                    forget_stranded();
                }
                spdlog::critical("reconcile's turn failed error={:?}", std::string_view(error.what()));
                (void)wakeup_.pause(tuning_.poll_interval);  // Whether to go on is asked by the loop.
            }
        }
        finish();
    } catch (...) {
        // Even the log refuses. The leases run out by themselves.
        ++counters_.turns_failed;
    }
}

void Reconciler::start_calls() {
    while (!api_ && !config_.api_key.is_empty() && !wakeup_.is_stopped()) {
        try {
            api_.emplace(ComfyApi::Options{.api_url = config_.api_url,
                                           .key = config_.api_key,
                                           .timeout = config_.timeout,
                                           .answer_bytes_max = tuning_.answer_bytes_max});
            outage_backoff_.reset();
        } catch (const std::exception& error) {
            // Want of memory: nothing of it is the key's fault, so there is no reason to wait as for another key.
            const auto delay = outage_backoff_.next();
            spdlog::error("the provider can't be called error={:?} delay_ms={}", std::string_view(error.what()),
                          delay.count());
            (void)wakeup_.pause(delay);  // Whether to go on is asked by the loop.
        }
    }
}

// A look-up is made by one configuration from its lease to its end. So those in flight end first.
void Reconciler::take_change() {
    if (!next_config_.waits() || !leased_.empty() || !outcomes_.empty()) {
        return;
    }
    auto settings = next_config_.take();
    try {
        begin_anew(settings.value());
    } catch (...) {
        next_config_.put_back(std::move(*settings));  // Nothing is leased before they could be used.
        throw;
    }
    start_calls();
}

void Reconciler::begin_anew(const ReconcileSettings& settings) {
    config_ = settings;
    lookups_.change(lookup_options(config_, tuning_, {}, {}));
    api_.reset();
    // What was learnt of another key or address.
    counters_.key_is_refused = false;
    is_away_ = false;
    hold_until_ = Time{};
    next_look_ = Time{};
    outage_backoff_.reset();
    spdlog::info("silent runs are looked up by the new configuration reconcile={}",
                 config_.api_key.is_empty() ? "off, no key" : "on");
}

void Reconciler::turn() {
    const bool all_stored = store_outcomes();
    auto now = steady_clock::now();
    const auto look_at = std::max({next_look_, hold_until_, database_retry_at_});
    if (all_stored && now >= look_at) {
        look(now);
        now = steady_clock::now();
    }
    if (api_->in_flight() > 0) {
        for (auto& ended : api_->drive(drive_bound)) {
            take_result(ended.run_id, std::move(ended.result));
            next_look_ = Time{};  // There is room.
        }
    } else if (outcomes_.empty() || now < database_retry_at_) {
        const auto until = std::max({next_look_, hold_until_, database_retry_at_}) - now;
        const auto bound = std::clamp(std::chrono::ceil<milliseconds>(until), milliseconds{0}, tuning_.poll_interval);
        (void)wakeup_.wait(bound);  // Whether to go on is asked by the loop.
    }
}

// A look-up that has neither a call in flight nor an outcome will never have one. It would keep its room, and its run
// would not be asked for again when its lease has run out.
void Reconciler::forget_stranded() {
    api_->forget_stranded();
    std::erase_if(leased_, [&](const auto& lookup) {
        const bool has_outcome = std::ranges::any_of(outcomes_, [&](const LookupOutcome& outcome) {
            return std::visit([&](const auto& each) { return each.run_id == lookup.first; }, outcome);
        });
        return !has_outcome && !api_->is_in_flight(lookup.first);
    });
}

std::size_t Reconciler::capacity() const {
    if (next_config_.waits()) {
        return 0;
    }
    const std::size_t most = is_away_ || counters_.key_is_refused ? 1 : config_.concurrency;
    return most > leased_.size() ? most - leased_.size() : 0;
}

void Reconciler::look(Time now) {
    next_look_ = now + tuning_.poll_interval;
    const std::size_t count_max = capacity();
    if (count_max == 0) {
        return;
    }
    try {
        for (LeasedLookup& lookup : lookups_.lease(count_max)) {
            const std::string run_id = lookup.run_id;
            spdlog::debug("look-up run_id={:?} attempt={} silent_ms={}", run_id, lookup.attempts, lookup.age.count());
            if (leased_.insert_or_assign(run_id, std::move(lookup)).second) {
                api_->ask(run_id);
            }
        }
        database_backoff_.reset();
        heartbeat_.work();
        if (const auto failures = std::exchange(database_failures_, 0); failures > 0) {
            spdlog::info("reconcile's transactions succeed again failures={}", failures);
        }
    } catch (const std::exception& error) {
        forget_stranded();  // Leased, and not asked for.
        database_failed(error);
    }
    counters_.in_flight = leased_.size();
}

void Reconciler::take_result(const std::string& run_id, LookupResult result) {
    outcomes_.push_back(outcome_of(leased_.at(run_id), std::move(result)));
}

Reconciler::LookupOutcome Reconciler::outcome_of(const LeasedLookup& lookup, LookupResult result) {
    if (auto* answer = std::get_if<ApiAnswer>(&result)) {
        return outcome_of_answer(lookup, std::move(*answer));
    }
    const NoAnswer& none = std::get<NoAnswer>(result);
    ++counters_.failed;
    if (!none.is_too_large) {  // That is this run's trouble alone.
        outage(none.why);
    }
    return later(lookup, {}, none.why);
}

Reconciler::LookupOutcome Reconciler::outcome_of_answer(const LeasedLookup& lookup, ApiAnswer answer) {
    if (answer.status == http_unauthorized || answer.status == http_forbidden) {
        ++counters_.refused;
        if (!counters_.key_is_refused.exchange(true)) {
            spdlog::error(
                "the provider refuses the key: runs are not looked up; check [comfydeploy] api_key_file and api_url "
                "status={} retry_ms={}",
                answer.status, tuning_.key_retry.count());
        }
        hold_for(tuning_.key_retry);
        return later(lookup, {}, fmt::format("refused: {}", answer.status));
    }
    if (answer.status == http_too_many) {
        ++counters_.too_many;
        const auto asked_for = answer.retry_after ? milliseconds{*answer.retry_after} : outage_backoff_.next();
        const auto delay = std::clamp(asked_for, tuning_.outage_delay_min, tuning_.too_many_delay_max);
        spdlog::warn("the provider asks for fewer look-ups hold_ms={}", delay.count());
        hold_for(delay);
        return later(lookup, {}, "too_many: 429");
    }
    if (answer.status >= http_server_faults || answer.status < http_client_faults) {
        if (answer.status != http_ok) {
            ++counters_.failed;
            const std::string why = answer.status >= http_redirects && answer.status < http_client_faults
                                        ? fmt::format("it redirects with {}: check api_url", answer.status)
                                        : fmt::format("it answers {}", answer.status);
            outage(why);
            return later(lookup, {}, why);
        }
    }
    answered();
    if (answer.status == http_not_found) {
        ++counters_.not_found;
        spdlog::warn("the provider does not know the run run_id={:?}", lookup.run_id);
        return later(lookup, {}, "not_found: the provider does not know the run");
    }
    if (answer.status != http_ok) {
        ++counters_.failed;
        return later(lookup, {}, fmt::format("it answers {}", answer.status));
    }
    auto decoded = decode_report(lookup.run_id, std::move(answer.body));
    if (const auto* fault = std::get_if<ReportFault>(&decoded)) {
        ++counters_.failed;
        spdlog::warn("the provider's answer can't be read run_id={:?} error={:?}", lookup.run_id, fault->sentence);
        return later(lookup, {}, fmt::format("unreadable answer: {}", fault->sentence));
    }
    auto& report = std::get<ProviderReport>(decoded);
    if (!report.is_ending()) {
        ++counters_.not_ended;
        return later(lookup, report.status_word.substr(0, status_word_bytes_max), {});
    }
    ++counters_.ended;
    spdlog::info("the provider reports a run's ending run_id={:?} status={} outputs={}", lookup.run_id,
                 report.status_word, report.outputs.size());
    return Reported{lookup.run_id, std::move(report)};
}

Postponed Reconciler::later(const LeasedLookup& lookup, std::string provider_status, std::string error) {
    Postponed postponed{.run_id = lookup.run_id,
                        .delay = std::nullopt,
                        .provider_status = std::move(provider_status),
                        .error = std::move(error)};
    if (lookup.age >= config_.give_up) {
        ++counters_.given_up;
        spdlog::warn("a silent run is no longer looked up run_id={:?} attempts={} error={:?}", lookup.run_id,
                     lookup.attempts, postponed.error);
        postponed.error = fmt::format("given up: {}", postponed.error);
        return postponed;
    }
    milliseconds delay = config_.retry_delay_min;
    for (unsigned attempt = 1; attempt < lookup.attempts && delay < config_.retry_delay_max; ++attempt) {
        delay *= 2;
    }
    delay = std::min(delay, config_.retry_delay_max);
    std::uniform_int_distribution<milliseconds::rep> jitter(delay.count() / 2, delay.count());
    postponed.delay = milliseconds{jitter(random_)};
    return postponed;
}

void Reconciler::hold_for(milliseconds delay) { hold_until_ = std::max(hold_until_, steady_clock::now() + delay); }

void Reconciler::answered() {
    if (std::exchange(is_away_, false)) {
        spdlog::info("the provider answers again");
    }
    if (counters_.key_is_refused.exchange(false)) {
        spdlog::info("the provider accepts the key again");
    }
    outage_backoff_.reset();
}

void Reconciler::outage(const std::string& why) {
    const auto delay = outage_backoff_.next();
    hold_for(delay);
    if (!std::exchange(is_away_, true)) {
        spdlog::warn("the provider can't be asked, trying one look-up at a time error={:?} delay_ms={}", why,
                     delay.count());
    }
}

bool Reconciler::store_outcomes() {
    if (!outcomes_.empty() && steady_clock::now() < database_retry_at_) {
        return false;
    }
    while (!outcomes_.empty()) {
        const LookupOutcome& outcome = outcomes_.front();
        std::string run_id;
        try {
            if (const auto* reported = std::get_if<Reported>(&outcome)) {
                run_id = reported->run_id;
                switch (lookups_.store(*reported)) {
                    case ReportFate::stored:
                        settle_.notify();
                        break;
                    case ReportFate::known:
                        break;
                    case ReportFate::too_late:
                        // Without the run: it may be one that was forgotten.
                        ++counters_.too_late;
                        spdlog::warn(
                            "a provider's report came too late and is not kept: its run was forgotten or removed");
                        break;
                }
            } else {
                run_id = std::get<Postponed>(outcome).run_id;
                lookups_.postpone(std::get<Postponed>(outcome));
            }
        } catch (const std::exception& error) {
            const Failure failure = classify(error);
            if (failure == Failure::try_again ||
                (failure == Failure::refused && (!std::holds_alternative<Reported>(outcome) ||
                                                 may_be_stored_later(sqlstate_of(error), leased_.at(run_id))))) {
                // Safe to repeat: a report is kept once, and a lease that ran out is passed by.
                database_failed(error);
                if (failure == Failure::refused) {
                    // The lock may be on this run alone, so the others are stored before it.
                    std::rotate(outcomes_.begin(), std::next(outcomes_.begin()), outcomes_.end());
                }
                return false;
            }
            // PostgreSQL can't hold this answer, or a trigger refuses it or hangs. The lease is let run out behind a
            // long delay; nothing else waits.
            spdlog::error("a provider's report can't be stored run_id={:?} error={:?}", run_id,
                          std::string_view(error.what()));
            outcomes_.front() = later(leased_.at(run_id), {}, fmt::format("can't be stored: {}", error.what()));
            lookups_.disconnect();
            continue;
        }
        leased_.erase(run_id);
        outcomes_.pop_front();
    }
    counters_.in_flight = leased_.size();
    return true;
}

void Reconciler::finish() {
    if (!api_) {
        return;
    }
    for (std::string& run_id : api_->abort_all()) {
        outcomes_.push_back(
            Postponed{.run_id = std::move(run_id), .delay = milliseconds{0}, .gives_attempt_back = true});
    }
    lookups_.hurry(std::max(tuning_.stop_bound / 2, milliseconds{100}));
    database_retry_at_ = Time{};
    if (!store_outcomes()) {
        spdlog::warn("PostgreSQL can't be reached, the look-ups' leases will expire look-ups={}", leased_.size());
    }
}

void Reconciler::database_failed(const std::exception& error) {
    ++counters_.turns_failed;
    heartbeat_.fail();
    const auto delay = database_backoff_.next();
    if (!lookups_.give_up(error) && database_failures_++ == 0) {
        spdlog::warn("reconcile's transaction failed, trying again error={:?} delay_ms={}",
                     std::string_view(error.what()), delay.count());
    }
    database_retry_at_ = steady_clock::now() + delay;
}

}  // namespace runledger
