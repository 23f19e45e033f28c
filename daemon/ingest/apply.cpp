#include "daemon/ingest/apply.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace runledger {
namespace {

// What one turn takes: large enough to make COMMIT cheap, small enough to answer soon, and to keep the memory of all
// appliers bounded: decoded and folded, an event takes several times its bytes.
constexpr std::size_t turn_bytes_max = 2UL * 1024 * 1024;
// So many batches that are refused alone, one after the other, say that the server refuses all: the others of the turn
// are not tried.
constexpr unsigned refused_in_a_row_max = 8;

// Two hosts whose clocks are kept differ by less.
constexpr std::chrono::seconds clock_ahead_max{1};

// Whether the refusal came after a time-out: then trying once more costs as much again.
bool has_waited(std::string_view sqlstate) { return sqlstate == "55P03" || sqlstate == "57014"; }

wire::Answer committed(const BatchName& name) {
    return {.verdict = wire::Verdict::committed, .reason = wire::Damage::none, .batch = name};
}

}  // namespace

Applier::Applier(const std::string& postgres_uri, IntakeQueue& queue, Wakeup& stop, Wakeup& settle,
                 ApplyCounters& counters, const ApplyTuning& tuning)
    : tuning_(tuning),
      database_(postgres_uri, "apply"),
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
            if (!database_.give_up(error)) {
                spdlog::error("apply error=\"{}\"", error.what());
            }
        }
        for (const auto& arrival : arrivals) {
            release(arrival);
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
            answer(arrival, {.verdict = wire::Verdict::refused, .reason = damage, .batch = arrival->key});
        }
    }
    return tasks;
}

template <class Step>
Applier::Result Applier::persist(const char* what, std::size_t count, Step step) {
    using enum Result::Kind;
    while (true) {
        heartbeat_.beat();
        try {
            step();
            backoff_.reset();
            return {.kind = done};
        } catch (const std::exception& error) {
            switch (classify(error)) {
                case Failure::poison:
                    if (dynamic_cast<const pqxx::sql_error*>(&error) != nullptr) {
                        spdlog::warn("{}: refused by the database batches={} error=\"{}\"", what, count, error.what());
                    } else {
                        // A fault of this program, or memory that a smaller turn does not need.
                        spdlog::error("{}: failed in the daemon batches={} error=\"{}\"", what, count, error.what());
                        database_.disconnect();
                    }
                    return {.kind = poison};
                case Failure::refused: {
                    // The halves of a turn, and repetitions, are refused in the same words: once is enough. It may be
                    // the session's fault, so a fresh turn gives it up.
                    const bool is_said = !is_narrowing_ && database_.give_up(error);
                    if (!is_said) {
                        spdlog::log(is_narrowing_ ? spdlog::level::debug : spdlog::level::warn,
                                    "{}: refused by the database batches={} sqlstate={} error=\"{}\"", what, count,
                                    sqlstate_of(error), error.what());
                    }
                    counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
                    return {.kind = refused, .sqlstate = std::string(sqlstate_of(error))};
                }
                case Failure::try_again:
                    // Also pqxx::in_doubt_error: COMMIT may have landed. Trying again is safe: ingested_batches refuses
                    // the second.
                    if (!database_.give_up(error)) {
                        spdlog::warn("{}: failed, trying again batches={} error=\"{}\"", what, count, error.what());
                    }
                    break;
            }
        }
        counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
        if (!stop_.pause(backoff_.next())) {
            return {.kind = stopped};
        }
    }
}

const TransactionBounds& Applier::bounds() const noexcept { return is_narrowing_ ? tuning_.narrowed : tuning_.turn; }

void Applier::apply(std::span<const Task> tasks) {
    is_narrowing_ = tasks.front().arrival->setback.has_value();
    Result result = persist("apply", tasks.size(), [&] { attempt(tasks, ApplyMode::together); });
    if (result.kind == Result::Kind::refused && !is_narrowing_ && !has_waited(result.sqlstate) &&
        stop_.pause(backoff_.next())) {
        // Once more as a whole: a deadlock, or what the session had, is over.
        result = persist("apply", tasks.size(), [&] { attempt(tasks, ApplyMode::together); });
    }
    is_narrowing_ = true;
    Narrowing seen{.applied_before = counters_.events_applied};
    narrow(tasks, result, seen);
    is_narrowing_ = false;
}

void Applier::narrow(std::span<const Task> tasks, const Result& why, Narrowing& seen) {
    switch (why.kind) {
        case Result::Kind::done:
        case Result::Kind::stopped:
            return;
        case Result::Kind::poison:
        case Result::Kind::refused:
            break;
    }
    if (tasks.size() == 1) {
        if (why.kind == Result::Kind::poison) {
            write_one_by_one(tasks.front());
        } else {
            ++seen.refused;
            refused(tasks.front(), why.sqlstate);
        }
        return;
    }
    for (const auto half : {tasks.first(tasks.size() / 2), tasks.subspan(tasks.size() / 2)}) {
        if (stop_.is_stopped()) {
            return;
        }
        if (seen.refused >= refused_in_a_row_max && counters_.events_applied == seen.applied_before) {
            for (const Task& task : half) {
                note_refusal(task.arrival, why.sqlstate);
                task.arrival->setback->attempts = 0;  // It was not tried: it goes first when the server is asked again.
                put_back(task.arrival);
            }
            continue;
        }
        narrow(half, persist("apply", half.size(), [&] { attempt(half, ApplyMode::together); }), seen);
    }
}

void Applier::write_one_by_one(const Task& task) {
    const Result result = persist("apply one by one", 1, [&] { attempt({&task, 1}, ApplyMode::one_by_one); });
    switch (result.kind) {
        case Result::Kind::done:
        case Result::Kind::stopped:
            break;
        case Result::Kind::poison:
            refuse(task);
            break;
        case Result::Kind::refused:
            refused(task, result.sqlstate);
            break;
    }
}

void Applier::refused(const Task& task, const std::string& sqlstate) {
    const bool is_decided = note_refusal(task.arrival, sqlstate);
    if (task.arrival->setback->attempts == 1) {
        // give_up() has said what is refused for good.
        spdlog::log(is_for_good(sqlstate) ? spdlog::level::debug : spdlog::level::warn,
                    "refused by the database, waits apart batch={}/{} sqlstate={}", task.batch.name.segment.hex(),
                    task.batch.name.number, sqlstate);
    }
    if (!is_decided) {
        put_back(task.arrival);
        return;
    }
    bool is_written = false;
    const Result result = persist("apply one by one", 1, [&] {
        is_written = attempt({&task, 1}, ApplyMode::set_aside);
    });
    const bool is_refused = result.kind == Result::Kind::poison ||
                            (result.kind == Result::Kind::refused && !passes_by_itself(result.sqlstate));
    if (is_refused && others_are_stored(task.arrival)) {
        refuse(task);
    } else if (!is_written) {
        put_back(task.arrival);
    }
}

// Not an event: the batch's own rows are refused. It stays at the edge, out of the others' way.
void Applier::refuse(const Task& task) {
    const BatchName& name = task.batch.name;
    counters_.batches_refused.fetch_add(1, std::memory_order_relaxed);
    spdlog::error("batch refused: the database accepts none of its rows batch={}/{}", name.segment.hex(), name.number);
    answer(task.arrival, {.verdict = wire::Verdict::refused, .reason = wire::Damage::over_limit, .batch = name});
}

bool Applier::note_refusal(const IntakeQueue::ArrivalPtr& arrival, const std::string& sqlstate) {
    const auto now = std::chrono::steady_clock::now();
    std::optional<Setback>& setback = arrival->setback;
    if (!setback || setback->sqlstate != sqlstate) {
        setback = Setback{.sqlstate = sqlstate, .since = now, .applied_before = counters_.events_applied};
        counters_.set_back.fetch_add(1, std::memory_order_relaxed);
        setback->counted.reset(&counters_.set_back);
    }
    ++setback->attempts;
    return setback->attempts >= tuning_.refusals_min && now - setback->since >= tuning_.refused_for_min &&
           !passes_by_itself(sqlstate);
}

bool Applier::others_are_stored(const IntakeQueue::ArrivalPtr& arrival) const {
    return counters_.events_applied > arrival->setback->applied_before;
}

void Applier::put_back(const IntakeQueue::ArrivalPtr& arrival) const {
    const auto doublings = static_cast<int>(std::min(arrival->setback->attempts, 8U));
    const auto delay = std::min(tuning_.set_back_min * (1 << doublings) / 2, tuning_.set_back_max);
    arrival->setback->not_before = std::chrono::steady_clock::now() + delay;
}

void Applier::release(const IntakeQueue::ArrivalPtr& arrival) {
    if (arrival->setback && arrival->setback->not_before) {
        const auto not_before = *std::exchange(arrival->setback->not_before, std::nullopt);
        queue_.put_back(arrival, not_before);
    } else {
        queue_.forget(arrival);
    }
}

void Applier::answer(const IntakeQueue::ArrivalPtr& arrival, const wire::Answer& answer) {
    arrival->setback.reset();
    queue_.answer(arrival, answer);
}

bool Applier::attempt(std::span<const Task> tasks, ApplyMode mode) {
    std::vector<const wire::Batch*> batches;
    batches.reserve(tasks.size());
    for (const Task& task : tasks) {
        batches.push_back(&task.batch);
    }
    Transaction work(database_, bounds());
    const TurnResult result = write_turn(work, batches, mode);
    if (mode == ApplyMode::set_aside && result.events_applied == result.events_cut &&
        !others_are_stored(tasks.front().arrival)) {
        return false;
    }
    database_.commit(work);

    if (mode != ApplyMode::together && result.events_quarantined + result.events_cut > 0) {
        const BatchName& name = tasks.front().batch.name;
        spdlog::error("events were refused and are in quarantine batch={}/{} events={} outputs_of={}",
                      name.segment.hex(), name.number, result.events_quarantined, result.events_cut);
    }

    const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    settle_.notify();
    counters_.turns.fetch_add(1, std::memory_order_relaxed);
    counters_.events_applied.fetch_add(result.events_applied, std::memory_order_relaxed);
    counters_.events_quarantined.fetch_add(result.events_quarantined, std::memory_order_relaxed);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        switch (result.batch_results[i]) {
            case BatchResult::applied:
                counters_.batches_applied.fetch_add(1, std::memory_order_relaxed);
                observe_lag(tasks[i].batch, now);
                break;
            case BatchResult::copy:
                counters_.batch_copies.fetch_add(1, std::memory_order_relaxed);
                break;
            case BatchResult::conflict:
                counters_.batch_conflicts.fetch_add(1, std::memory_order_relaxed);
                break;
        }
        answer(tasks[i].arrival, committed(tasks[i].batch.name));
    }
    return true;
}

void Applier::observe_lag(const wire::Batch& batch, WallTime now) {
    for (const wire::Event& event : batch.events) {
        const auto lag = now - event.stamp.received_at;
        counters_.lag.observe(lag);
        if (lag < -clock_ahead_max) {
            counters_.events_ahead_of_clock.fetch_add(1, std::memory_order_relaxed);
        }
    }
}

void Applier::retire(const IntakeQueue::ArrivalPtr& arrival, const wire::Retire& retirement) {
    bool known = false;
    is_narrowing_ = arrival->setback.has_value();
    const Result result = persist("retire", 1, [&] {
        Transaction work(database_, bounds());
        known = write_retirement(work, retirement);
        database_.commit(work);
    });
    is_narrowing_ = false;
    switch (result.kind) {
        case Result::Kind::stopped:
            return;
        case Result::Kind::refused:
            if (!note_refusal(arrival, result.sqlstate) || !others_are_stored(arrival)) {
                put_back(arrival);
                return;
            }
            break;
        case Result::Kind::done:
        case Result::Kind::poison:
            break;
    }
    if (!known || result.kind != Result::Kind::done) {
        // Unless the database refuses it, the ledger lacks batches that the edge had acknowledged, as after a restore
        // to an earlier point.
        spdlog::error("retirement refused: {} segment={} batches={}",
                      result.kind == Result::Kind::done ? "the ledger does not have all batches"
                                                        : "the database does not accept it",
                      retirement.segment.hex(), retirement.batch_count);
        answer(arrival, {.verdict = wire::Verdict::refused,
                         .reason = wire::Damage::truncated,
                         .batch = {retirement.segment, retirement.batch_count}});
        return;
    }
    counters_.segments_retired.fetch_add(1, std::memory_order_relaxed);
    answer(arrival, {.verdict = wire::Verdict::retired,
                     .reason = wire::Damage::none,
                     .batch = {retirement.segment, retirement.batch_count}});
}

}  // namespace runledger
