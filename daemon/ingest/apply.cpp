#include "daemon/ingest/apply.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace runledger {
namespace {

// What one turn takes: large enough to make COMMIT cheap, small enough to answer soon, and to keep the memory of all
// appliers bounded: decoded and folded, an event takes several times its bytes.
constexpr std::size_t turn_bytes_max = 2UL * 1024 * 1024;
constexpr TransactionBounds apply_bounds{
    .statement_timeout = std::chrono::seconds{60}, .lock_timeout = std::chrono::seconds{10}, .plans_once = true};

wire::Answer committed(const BatchName& name) {
    return {.verdict = wire::Verdict::committed, .reason = wire::Damage::none, .batch = name};
}

}  // namespace

Applier::Applier(const std::string& postgres_uri, IntakeQueue& queue, Wakeup& stop, Wakeup& settle,
                 ApplyCounters& counters)
    : database_(postgres_uri, "apply"),
      queue_(queue),
      stop_(stop),
      settle_(settle),
      counters_(counters),
      backoff_({}) {}

void Applier::run() {
    while (true) {
        heartbeat_.rest();
        std::vector<IntakeQueue::ArrivalPtr> arrivals;
        try {
            arrivals = queue_.take(turn_bytes_max);
            heartbeat_.beat();
            if (arrivals.empty()) {
                return;
            }
            const auto tasks = sort_out(arrivals);
            if (!tasks.empty()) {
                apply(tasks);
            }
        } catch (const std::exception& error) {
            // Out of memory, or a bug: unanswered batches come again from the edge's spool.
            spdlog::error("apply error=\"{}\"", error.what());
            database_.disconnect();
        }
        for (const auto& arrival : arrivals) {
            queue_.forget(arrival);
        }
        if (stop_.is_stopped()) {
            return;
        }
    }
}

std::vector<Applier::Task> Applier::sort_out(const std::vector<IntakeQueue::ArrivalPtr>& arrivals) {
    std::vector<Task> tasks;
    for (const auto& arrival : arrivals) {
        auto request = wire::decode_request(arrival->frame);
        if (auto* batch = std::get_if<wire::Batch>(&request)) {
            tasks.push_back({arrival, std::move(*batch)});
        } else if (const auto* retirement = std::get_if<wire::Retire>(&request)) {
            retire(arrival, *retirement);
        } else {
            const auto damage = std::get<wire::Damage>(request);
            counters_.batches_refused.fetch_add(1, std::memory_order_relaxed);
            spdlog::error("batch refused batch={}/{} reason={}", arrival->key.segment.hex(), arrival->key.number,
                          wire::to_word(damage));
            queue_.answer(arrival, {.verdict = wire::Verdict::refused, .reason = damage, .batch = arrival->key});
        }
    }
    return tasks;
}

template <class Step>
std::optional<bool> Applier::persist(const char* what, std::size_t count, Step step) {
    while (true) {
        heartbeat_.beat();
        try {
            step();
            backoff_.reset();
            return false;
        } catch (const pqxx::in_doubt_error& error) {
            // COMMIT may have landed. Trying again is safe: ingested_batches refuses the second.
            spdlog::warn("{}: commit in doubt, trying again batches={} error=\"{}\"", what, count, error.what());
        } catch (const std::exception& error) {
            if (classify(error) == Failure::poison) {
                if (dynamic_cast<const pqxx::sql_error*>(&error) != nullptr) {
                    spdlog::warn("{}: refused by the database batches={} error=\"{}\"", what, count, error.what());
                } else {
                    // A fault of this program, or memory that a smaller turn does not need.
                    spdlog::error("{}: failed in the daemon batches={} error=\"{}\"", what, count, error.what());
                    database_.disconnect();
                }
                return true;
            }
            spdlog::warn("{}: failed, trying again batches={} error=\"{}\"", what, count, error.what());
        }
        counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
        database_.disconnect();
        if (!stop_.pause(backoff_.next())) {
            return std::nullopt;
        }
    }
}

void Applier::apply(std::span<const Task> tasks) {
    const auto poisoned = persist("apply", tasks.size(), [&] { attempt(tasks, ApplyMode::together); });
    if (!poisoned || !*poisoned) {
        return;
    }
    if (tasks.size() > 1) {
        apply(tasks.first(tasks.size() / 2));
        apply(tasks.subspan(tasks.size() / 2));
        return;
    }
    const auto still_poisoned = persist("apply one by one", 1, [&] { attempt(tasks, ApplyMode::one_by_one); });
    if (still_poisoned && *still_poisoned) {
        // Not an event: the batch's own rows are refused. It stays at the edge, out of the others' way.
        counters_.batches_refused.fetch_add(1, std::memory_order_relaxed);
        queue_.answer(
            tasks.front().arrival,
            {.verdict = wire::Verdict::refused, .reason = wire::Damage::over_limit, .batch = tasks.front().batch.name});
    }
}

void Applier::attempt(std::span<const Task> tasks, ApplyMode mode) {
    std::vector<const wire::Batch*> batches;
    batches.reserve(tasks.size());
    for (const Task& task : tasks) {
        batches.push_back(&task.batch);
    }
    Transaction work(database_, apply_bounds);
    const TurnResult result = write_turn(work, batches, mode);
    database_.commit(work);

    settle_.notify();
    counters_.turns.fetch_add(1, std::memory_order_relaxed);
    counters_.events_applied.fetch_add(result.events_applied, std::memory_order_relaxed);
    counters_.events_quarantined.fetch_add(result.events_quarantined, std::memory_order_relaxed);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        switch (result.batch_results[i]) {
            case BatchResult::applied:
                counters_.batches_applied.fetch_add(1, std::memory_order_relaxed);
                break;
            case BatchResult::copy:
                counters_.batch_copies.fetch_add(1, std::memory_order_relaxed);
                break;
            case BatchResult::conflict:
                counters_.batch_conflicts.fetch_add(1, std::memory_order_relaxed);
                break;
        }
        queue_.answer(tasks[i].arrival, committed(tasks[i].batch.name));
    }
}

void Applier::retire(const IntakeQueue::ArrivalPtr& arrival, const wire::Retire& retirement) {
    bool known = false;
    const auto poisoned = persist("retire", 1, [&] {
        Transaction work(database_, apply_bounds);
        known = write_retirement(work, retirement);
        database_.commit(work);
    });
    if (!poisoned) {
        return;
    }
    if (!known || *poisoned) {
        // The ledger lacks batches that the edge had acknowledged, as after a restore to an earlier point.
        spdlog::error("retirement refused: the ledger does not have all batches segment={} batches={}",
                      retirement.segment.hex(), retirement.batch_count);
        queue_.answer(arrival, {.verdict = wire::Verdict::refused,
                                .reason = wire::Damage::truncated,
                                .batch = {retirement.segment, retirement.batch_count}});
        return;
    }
    counters_.segments_retired.fetch_add(1, std::memory_order_relaxed);
    queue_.answer(arrival, {.verdict = wire::Verdict::retired,
                            .reason = wire::Damage::none,
                            .batch = {retirement.segment, retirement.batch_count}});
}

}  // namespace runledger
