#include "daemon/settle/maintain.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <vector>

#include "queries/maintain.hpp"

namespace runledger {
namespace {

// Enough for a long weekend of failures, each of which is in the log.
constexpr int days_ahead = 4;
constexpr int lost_days = 30;
constexpr std::chrono::hours between_turns{1};
constexpr std::chrono::minutes after_failure{1};
// Between two steps of a removal, so that vacuum, replicas and the other stages keep up.
constexpr std::chrono::milliseconds between_steps{5};
// How often a step looks whether no apply turn is under way before it waits for one, and apply behind it.
constexpr int tries_between_turns = 40;
// A step that would take longer is not worth what it holds up; apply waits 5 s for a lock. A crash that undoes the last
// step undoes nothing that anybody built on: what is committed behind it and waits for the disk is behind it in the
// log, too. Its locks are not held for as long as the disk takes.
constexpr TransactionBounds maintain_bounds{
    .statement_timeout = std::chrono::seconds{5}, .lock_timeout = std::chrono::seconds{1}, .is_durable = false};

}  // namespace

Maintainer::Maintainer(const RetentionSettings& retention, const std::string& postgres_uri, Wakeup& wakeup,
                       MaintainCounters& counters)
    : retention_(retention), database_(postgres_uri, "maintain"), wakeup_(wakeup), counters_(counters) {}

void Maintainer::run() {
    std::chrono::milliseconds delay{0};
    while (wakeup_.wait(delay)) {
        retention_ = next_retention_.take().value_or(retention_);
        delay = turn() ? std::chrono::milliseconds{between_turns} : std::chrono::milliseconds{after_failure};
        heartbeat_.rest();
    }
}

bool Maintainer::turn() {
    // Each is tried though another failed: they have nothing to do with each other.
    bool done = maintain_days() == Step::done;
    done &=
        remove_expired("notifications", retention_.notifications_days, counters_.notifications_removed) == Step::done;
    done &= remove_expired("runs", retention_.runs_days, counters_.runs_removed) == Step::done;
    done &= remove_expired("settlements", retention_.settlements_days, counters_.settlements_removed) == Step::done;
    done &= remove_expired("quarantine", retention_.quarantine_days, counters_.quarantine_removed) == Step::done;
    done &= remove_expired("tombstones", retention_.tombstones_days, counters_.tombstones_removed) == Step::done;
    done &= remove_expired("news", retention_.news_days, counters_.news_removed) == Step::done;
    done &= queue_lost() == Step::done;
    database_.disconnect();  // Not held for an hour: a pooler's, or the server's, connections are counted.
    return done;
}

Maintainer::Step Maintainer::maintain_days() {
    struct Day {
        bool is_made{};
        std::string date;
    };
    std::vector<Day> days;
    Step worst = attempt("plan", [&](const Statements& work) {
        for (const auto& row : work.run(queries::maintain::plan_days, days_ahead, retention_.webhook_events_days)) {
            days.push_back({row[0].as<std::string>() == "make", row[1].as<std::string>()});
        }
    });
    for (const Day& day : days) {
        if (wakeup_.is_stopped()) {
            return worst;
        }
        const Step step = attempt(day.date, [&](const Statements& work) {
            const auto outcome =
                work.run1(day.is_made ? queries::maintain::make_day : queries::maintain::drop_day, day.date)[0]
                    .as<std::string>();
            spdlog::info("events of a day: partition {} day={}", day.is_made ? outcome : "dropped", day.date);
        });
        if (step == Step::done) {
            (day.is_made ? counters_.days_made : counters_.days_dropped).fetch_add(1, std::memory_order_relaxed);
        }
        worst = std::max(worst, step);
    }
    return worst;
}

Maintainer::Step Maintainer::remove_expired(std::string_view what, unsigned days, std::atomic<std::uint64_t>& removed) {
    if (days == 0) {
        return Step::done;
    }
    std::uint64_t in_all = 0;
    std::size_t rows = 0;
    std::string up_to = "-infinity";
    std::string up_to_now;
    const Step step = in_steps(
        what,
        [&](const Statements& work, std::size_t rows_max) -> Found {
            const auto begun = std::chrono::steady_clock::now();
            for (int tries = 0;; ++tries) {
                const auto asked = std::chrono::steady_clock::now();
                const auto row = work.run1(queries::maintain::remove_expired, std::string(what), days, rows_max, up_to,
                                           tries == tries_between_turns);
                if (!row["looked_at"].is_null()) {
                    rows = row["removed"].as<std::size_t>();
                    up_to_now = row["up_to"].is_null() ? up_to : row["up_to"].as<std::string>();
                    // What others have locked is left to the next turn.
                    return {.rows = rows == 0 ? 0 : row["looked_at"].as<std::size_t>(), .waited = asked - begun};
                }
                (void)wakeup_.pause(between_steps);
            }
        },
        [&] {
            up_to = up_to_now;
            in_all += rows;
            removed.fetch_add(rows, std::memory_order_relaxed);
        });
    if (in_all > 0) {
        spdlog::info("expired rows removed of={} rows={} days={}", what, in_all, days);
    }
    return step;
}

Maintainer::Step Maintainer::queue_lost() {
    // All that ended within the last month, a bounded number at a time: an entry may be lost long after the ending, as
    // by a generation that comes without its trigger.
    std::string changed_at = "-infinity";
    std::string run_id;
    std::uint64_t queued = 0;
    std::uint64_t queued_now = 0;
    std::string one_queued;
    const Step step = in_steps(
        "lost settlements",
        [&](const Statements& work, std::size_t rows_max) -> Found {
            queued_now = 0;
            const auto last = work.run(queries::maintain::queue_lost, changed_at, run_id, rows_max, lost_days);
            if (last.empty()) {
                return {};
            }
            changed_at = last[0]["changed_at"].as<std::string>();
            run_id = last[0]["run_id"].as<std::string>();
            queued_now = last[0]["runs_queued"].as<std::uint64_t>();
            one_queued = last[0]["one_queued"].is_null() ? one_queued : last[0]["one_queued"].as<std::string>();
            return {.rows = last[0]["rows_read"].as<std::size_t>()};
        },
        [&] { queued += queued_now; });
    if (queued > 0) {
        counters_.runs_requeued.fetch_add(queued, std::memory_order_relaxed);
        spdlog::error("runs had ended and were in no queue: they are queued again runs={} run_id={:?}", queued,
                      one_queued);
    }
    return step;
}

Maintainer::Step Maintainer::in_steps(std::string_view what, const RowsStep& step,
                                      const std::function<void()>& committed) {
    RowsAStep rows_a_step;
    bool is_more = true;
    while (is_more && wakeup_.pause(between_steps)) {
        const std::size_t rows_max = rows_a_step.next();
        const auto begun = std::chrono::steady_clock::now();
        Found found;
        const Step outcome = attempt(what, [&](const Statements& work) {
            found = step(work, rows_max);
            is_more = found.rows == rows_max;
        });
        if (outcome != Step::done) {
            return outcome;
        }
        rows_a_step.took(std::chrono::steady_clock::now() - begun - found.waited);
        committed();
    }
    return Step::done;
}

Maintainer::Step Maintainer::attempt(std::string_view what, const std::function<void(const Statements&)>& step) {
    heartbeat_.beat();
    try {
        Transaction work(database_, maintain_bounds);
        if (!work.run1(queries::maintain::try_turn)[0].as<bool>()) {
            return Step::not_ours;
        }
        step(work);
        database_.commit(work);
        return Step::done;
    } catch (const std::exception& error) {
        counters_.steps_failed.fetch_add(1, std::memory_order_relaxed);
        if (!database_.give_up(error)) {
            spdlog::warn("maintenance postponed, trying again step={} error=\"{}\"", what, error.what());
        }
        return Step::failed;
    }
}

}  // namespace runledger
