// The reconcile stage: asks the provider about runs that have been silent for too long, because some endings send no
// webhook. One thread, which owns the calls; it rests while there is no key.
//
// Invariant: only a terminal answer changes anything; silence, errors and unknown words guess nothing. No transaction
// is open during a call. The stage has no state that is not in the tables: it may be killed at any moment.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>

#include "daemon/base/backoff.hpp"
#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/reconcile/comfy_api.hpp"
#include "daemon/reconcile/lookups.hpp"
#include "daemon/reconcile/settings.hpp"

namespace runledger {

// Written by the reconcile thread, read by anybody. Each look-up is counted once.
struct ReconcileCounters {
    std::atomic<std::uint64_t> ended{0};         // The provider told an ending.
    std::atomic<std::uint64_t> not_ended{0};     // It told another status.
    std::atomic<std::uint64_t> not_found{0};     // It knows no such run.
    std::atomic<std::uint64_t> refused{0};       // 401 or 403.
    std::atomic<std::uint64_t> too_many{0};      // 429.
    std::atomic<std::uint64_t> failed{0};        // No answer, 5xx, or an answer that is none.
    std::atomic<std::uint64_t> given_up{0};      // Runs that are not asked about any more; they are counted above, too.
    std::atomic<std::uint64_t> too_late{0};      // Endings of `ended` that are not kept: forgotten or removed runs.
    std::atomic<std::uint64_t> turns_failed{0};  // For PostgreSQL's sake.
    std::atomic<std::uint64_t> in_flight{0};
    std::atomic<bool> key_is_refused{false};  // One look-up every so often tries whether that is repaired.
};

// What no operator needs to turn; tests do.
struct ReconcileTuning {
    std::chrono::milliseconds poll_interval{std::chrono::seconds{5}};
    std::chrono::milliseconds key_retry{std::chrono::minutes{10}};
    std::chrono::milliseconds outage_delay_min{std::chrono::seconds{1}};
    std::chrono::milliseconds outage_delay_max{std::chrono::minutes{2}};
    std::chrono::milliseconds too_many_delay_max{std::chrono::minutes{10}};  // However long the provider asks for.
    std::chrono::milliseconds stop_bound{std::chrono::seconds{2}};           // For giving leases back.
    std::chrono::milliseconds lease_margin{std::chrono::seconds{30}};        // A lease is a time-out and this.
    std::size_t answer_bytes_max{8UL * 1024 * 1024};
};

class Reconciler {
public:
    // `lease_owner` names this process and no other. `wakeup` is stopped to end the thread; `settle` is notified after
    // a run was ended.
    Reconciler(ReconcileSettings comfydeploy, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
               Wakeup& settle, ReconcileCounters& counters, ReconcileTuning tuning = {});

    // The thread's body, until `wakeup` is stopped; then what is in flight is given back. Never throws.
    void run() noexcept;
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }
    // From any thread: runs are looked up by these as soon as the look-ups in flight have ended. Until then none
    // begins.
    void use(ReconcileSettings settings) {
        next_config_.offer(std::move(settings));
        wakeup_.notify();
    }

private:
    using Time = std::chrono::steady_clock::time_point;
    using LookupOutcome = std::variant<Reported, Postponed>;

    void start_calls();
    void take_change();
    void begin_anew(const ReconcileSettings& settings);
    void turn();
    void finish();
    void look(Time now);
    [[nodiscard]] std::size_t capacity() const;
    void take_result(const std::string& run_id, LookupResult result);
    [[nodiscard]] LookupOutcome outcome_of(const LeasedLookup& lookup, LookupResult result);
    [[nodiscard]] LookupOutcome outcome_of_answer(const LeasedLookup& lookup, ApiAnswer answer);
    [[nodiscard]] Postponed later(const LeasedLookup& lookup, std::string provider_status, std::string error);
    void hold_for(std::chrono::milliseconds delay);
    void answered();
    void outage(const std::string& why);
    void forget_stranded();               // After a failed turn.
    [[nodiscard]] bool store_outcomes();  // True: none is left.
    void database_failed(const std::exception& error);

    ReconcileSettings config_;
    SettingsChange<ReconcileSettings> next_config_;
    ReconcileTuning tuning_;
    Wakeup& wakeup_;
    Wakeup& settle_;
    ReconcileCounters& counters_;
    Lookups lookups_;
    Backoff database_backoff_;
    Backoff outage_backoff_;
    std::minstd_rand random_;
    std::optional<ComfyApi> api_;  // Made and used by the thread; none while there is no key.

    std::unordered_map<std::string, LeasedLookup> leased_;  // In flight, or their outcome waits to be stored.
    std::deque<LookupOutcome> outcomes_;
    Time next_look_{};
    Time hold_until_{};
    Time database_retry_at_{};
    std::uint64_t database_failures_{0};  // In a row, of those that the stage itself has to say.
    bool is_away_{false};                 // The last call was not answered: one at a time.
    Heartbeat heartbeat_;
};

}  // namespace runledger
