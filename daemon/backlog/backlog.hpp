// The backlog stage: measures what waits in the database, for the metrics. One thread with a connection of its own, so
// that the numbers go on while Telegram refuses the token, settle waits, or the provider is away.
//
// It looks, and changes nothing. Each count is bounded, and the pause behind a look is a hundred times as long as the
// look took: so it costs the server a hundredth of one core at most, whatever the database has grown to. Several
// daemons on one database each show the same numbers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"

namespace runledger {

// As of the last look. Written by the backlog's thread, read by anybody. docs/metrics.md says what each counts.
struct BacklogGauges {
    struct Unsettled {
        std::atomic<std::uint64_t> runs{0};
        std::atomic<std::uint64_t> oldest_seconds{0};
    };
    Unsettled unsettled_new;
    Unsettled unsettled_locked;
    Unsettled unsettled_refused;
    std::atomic<std::uint64_t> stuck_runs{0};
    std::atomic<std::uint64_t> outbox_pending{0};
    std::atomic<std::uint64_t> outbox_retrying{0};
    std::atomic<std::uint64_t> outbox_leased{0};
    std::atomic<std::uint64_t> outbox_dead{0};
    std::atomic<std::uint64_t> outbox_uncertain{0};
    std::atomic<std::uint64_t> outbox_skipped{0};
    std::atomic<std::uint64_t> outbox_elsewhere{0};
    std::atomic<std::uint64_t> outbox_oldest_pending_seconds{0};
    std::atomic<std::uint64_t> outbox_oldest_dead_seconds{0};
    std::atomic<std::uint64_t> webhooks_pending{0};
    std::atomic<std::uint64_t> webhooks_retrying{0};
    std::atomic<std::uint64_t> webhooks_dead{0};
    std::atomic<std::uint64_t> webhooks_skipped{0};
    std::atomic<std::uint64_t> webhooks_oldest_seconds{0};
    std::atomic<std::uint64_t> lookups_due{0};
    std::atomic<std::uint64_t> lookups_later{0};
    std::atomic<std::uint64_t> lookups_given_up{0};
    std::atomic<std::uint64_t> lookups_oldest_due_seconds{0};
    std::atomic<std::int64_t> measured_at{0};  // Unix seconds; 0: not yet.
    std::atomic<std::uint64_t> looks_failed{0};
};

// How long after a look the next one begins.
[[nodiscard]] std::chrono::milliseconds pause_after_look(std::chrono::nanoseconds took) noexcept;

class Backlog {
public:
    // `stop` ends run(); nobody wakes it.
    Backlog(const std::string& postgres_uri, Wakeup& stop, BacklogGauges& gauges);

    // The thread's body: at once, then every few seconds, until stopped. Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }

    // If a look fails, the gauges stay as they were. `away`: PostgreSQL is, so it has cost the server nothing.
    enum class Look : std::uint8_t { done, failed, away };
    [[nodiscard]] Look look();

private:
    Database database_;
    Wakeup& stop_;
    BacklogGauges& gauges_;
    Heartbeat heartbeat_;
};

}  // namespace runledger
