// The maintain stage: makes the day partitions of webhook_events ahead, drops those that are past their retention, and
// removes what else has expired, a bounded number of rows at a time. One thread.
//
// Each step is a transaction of its own. It gives up if a lock is not granted soon, and is retried a minute later, so
// that apply never waits long. Only one of several daemons does this at a time. It may be late: events of a day without
// a partition go to the DEFAULT one, and are moved later.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/settle/settings.hpp"

namespace runledger {

struct MaintainCounters {
    std::atomic<std::uint64_t> days_made{0};
    std::atomic<std::uint64_t> days_dropped{0};
    std::atomic<std::uint64_t> runs_removed{0};
    std::atomic<std::uint64_t> notifications_removed{0};
    std::atomic<std::uint64_t> settlements_removed{0};
    std::atomic<std::uint64_t> quarantine_removed{0};
    std::atomic<std::uint64_t> tombstones_removed{0};
    std::atomic<std::uint64_t> news_removed{0};
    std::atomic<std::uint64_t> runs_requeued{0};  // They had ended and were in no queue.
    std::atomic<std::uint64_t> steps_failed{0};   // Tried again a minute later.
};

// How many rows the next step removes, by how long the last one took: apply may wait for as long as a step.
class RowsAStep {
public:
    static constexpr std::size_t min = 50;
    static constexpr std::size_t max = 300;

    [[nodiscard]] std::size_t next() const noexcept { return rows_; }
    void took(std::chrono::nanoseconds time) noexcept {
        if (time > std::chrono::milliseconds{30}) {
            rows_ = std::max(rows_ / 2, min);
        } else if (time < std::chrono::milliseconds{15}) {
            rows_ = std::min(rows_ * 2, max);
        }
    }

private:
    std::size_t rows_ = min;
};

class Maintainer {
public:
    // `wakeup` is stopped to end run(); nobody but use() wakes it.
    Maintainer(const RetentionSettings& retention, const std::string& postgres_uri, Wakeup& wakeup,
               MaintainCounters& counters);

    // The thread's body: at once, then hourly, until stopped. Never throws.
    void run();
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }
    // From any thread: a round by these begins as soon as the one under way has ended.
    void use(const RetentionSettings& retention) {
        next_retention_.offer(retention);
        wakeup_.notify();
    }

    // One round of everything that is due. False: something failed, or another daemon is doing it; try again soon.
    [[nodiscard]] bool turn();

private:
    enum class Step : std::uint8_t { done, not_ours, failed };
    Step maintain_days();
    Step remove_expired(std::string_view what, unsigned days, std::atomic<std::uint64_t>& removed);
    // Queues what ended and is neither settled nor queued.
    Step queue_lost();
    struct Found {
        std::size_t rows{};                  // At most `rows_max`.
        std::chrono::nanoseconds waited{0};  // For others, without holding up anybody.
    };
    using RowsStep = std::function<Found(const Statements&, std::size_t rows_max)>;
    // One step after the other, until one finds fewer rows than it may. `committed` is called behind each that is.
    Step in_steps(std::string_view what, const RowsStep& step, const std::function<void()>& committed);
    // In a transaction of its own, if no other daemon maintains. `what` names it in the log.
    Step attempt(std::string_view what, const std::function<void(const Statements&)>& step);

    RetentionSettings retention_;
    SettingsChange<RetentionSettings> next_retention_;
    Database database_;
    Wakeup& wakeup_;
    MaintainCounters& counters_;
    Heartbeat heartbeat_;
};

}  // namespace runledger
