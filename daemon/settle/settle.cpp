#include "daemon/settle/settle.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "queries/settle.hpp"

namespace runledger {
namespace {

constexpr std::size_t entries_a_turn_max = 128;
// Behind the wake-ups of apply: how long the application's own commit may wait to be seen.
constexpr std::chrono::milliseconds poll_interval{100};
// What takes longer than this in vain is tried again in the patient lane.
constexpr std::chrono::milliseconds slow_from{200};
// A turn takes no further run after this time, and the next turns take as many entries as fit into it. So the
// application waits for a row for about this long, and as long as its own triggers take for that row.
constexpr std::chrono::milliseconds turn_time{100};
// A statement that settles many runs is cut off after this time; then each gets a transaction of its own.
constexpr std::chrono::milliseconds together_time{250};
// How long a mark is used before it is looked for from the beginning of the queue, in case that entries were put behind
// it in a way that PostgreSQL's transactions do not show, as by a restore of the table.
constexpr std::chrono::minutes mark_age_max{10};
constexpr TransactionBounds mark_bounds{.statement_timeout = std::chrono::seconds{30},
                                        .lock_timeout = std::chrono::seconds{1}};

// The application's triggers run inside, and those that hang or wait must not hold the turn for long. lock_timeout
// stays well under PostgreSQL's deadlock_timeout of 1 s: settle gives way before the application's transaction could be
// chosen as a deadlock's victim. The looks at the queue have generic plans, which follow its index: by the statistics
// of a table that is empty most of the time, a plan for one look would read the whole queue and sort it.
TransactionBounds bounds_of(SettleLane lane) {
    TransactionBounds bounds{.statement_timeout = std::chrono::milliseconds{500},
                             .lock_timeout = std::chrono::milliseconds{300},
                             .plans_once = true};
    switch (lane) {
        case SettleLane::prompt:
            break;
        case SettleLane::patient:
            bounds.statement_timeout = std::chrono::seconds{3};  // Also what a clean shutdown may wait.
            break;
    }
    return bounds;
}

constexpr std::array<std::pair<std::string_view, SettleOutcome>, 12> outcome_words{{
    {"settled", SettleOutcome::settled},
    {"resettled", SettleOutcome::resettled},
    {"kept", SettleOutcome::kept},
    {"edited_by_hand", SettleOutcome::edited_by_hand},
    {"processing", SettleOutcome::processing},
    {"unchanged", SettleOutcome::unchanged},
    {"not_ended", SettleOutcome::not_ended},
    {"no_run", SettleOutcome::no_run},
    {"no_generation", SettleOutcome::no_generation},
    {"busy", SettleOutcome::busy},
    {"locked", SettleOutcome::locked},
    {"failed", SettleOutcome::failed},
}};

// Throws std::logic_error for a word that settle_run does not say in this build's schema.
SettleOutcome outcome_of(std::string_view word) {
    const auto found = std::ranges::find(outcome_words, word, &decltype(outcome_words)::value_type::first);
    if (found == outcome_words.end()) {
        throw std::logic_error(fmt::format("runledger.settle_run said \"{}\"", word));
    }
    return found->second;
}

std::string_view word_of(SettleOutcome outcome) {
    return std::ranges::find(outcome_words, outcome, &decltype(outcome_words)::value_type::second)->first;
}

// Whether the run stays in the queue.
bool is_postponed(SettleOutcome outcome) {
    return outcome == SettleOutcome::locked || outcome == SettleOutcome::busy || outcome == SettleOutcome::failed;
}

// A locked row is looked at again soon: "settled within a second of the lock's end".
std::chrono::milliseconds delay_after(SettleOutcome outcome, int attempts) {
    const auto ceiling =
        outcome == SettleOutcome::failed ? std::chrono::milliseconds{60'000} : std::chrono::milliseconds{400};
    const auto step = std::chrono::milliseconds{50} * (1 << std::min(attempts, 12));
    return std::min(step, ceiling);
}

}  // namespace

Settler::Settler(const SettleSettings& settings, const std::string& postgres_uri, SettleLane lane, Wakeup& wakeup,
                 Wakeup& outbox, SettleCounters& counters)
    : settings_(settings),
      lane_(lane),
      database_(postgres_uri, lane == SettleLane::prompt ? "settle" : "settle slow"),
      wakeup_(wakeup),
      outbox_(outbox),
      counters_(counters),
      backoff_({}),
      runs_a_turn_(lane == SettleLane::prompt ? entries_a_turn_max : 1) {}

void Settler::run() {
    while (wakeup_.wait(poll_interval)) {
        try {
            heartbeat_.beat();
            put_off_culprit();
            bool more = true;
            while (more && !wakeup_.is_stopped()) {
                heartbeat_.beat();
                settings_ = next_settings_.take().value_or(settings_);
                find_mark();
                more = turn(next_portion());
                heartbeat_.work();
            }
            backoff_.reset();
        } catch (const std::exception& error) {
            after_failure(error);
            if (!wakeup_.pause(backoff_.next())) {
                return;
            }
            wakeup_.notify();
        }
    }
}

Settler::Portion Settler::next_portion() {
    const auto count_down = [](std::size_t& left) { return left > 0 && left-- > 0; };
    if (count_down(single_turns_left_)) {
        return {.entries_max = 1, .runs_max = 1};
    }
    return {.entries_max = entries_a_turn_max, .runs_max = count_down(turns_apart_left_) ? 1 : runs_a_turn_};
}

void Settler::after_failure(const std::exception& error) {
    counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
    heartbeat_.fail();
    if (!database_.give_up(error)) {
        spdlog::warn("settle turn failed, trying again entries={} error=\"{}\"", taken_.size(), error.what());
    }
    // Only an error that PostgreSQL raised for a statement has a culprit: a server that goes away has none.
    if (dynamic_cast<const pqxx::sql_error*>(&error) != nullptr && !is_outage(error)) {
        if (taken_.size() == 1) {
            culprit_ = Culprit{taken_.front(), error.what()};
        }
        single_turns_left_ = entries_a_turn_max;
    }
    mark_.reset();
}

void Settler::put_off_culprit() {
    if (!culprit_) {
        return;
    }
    const auto put_off = [this](std::string_view words) {
        Transaction work(database_, bounds_of(lane_));
        ask(work, queries::settle::later, culprit_->entry.id,
            delay_after(SettleOutcome::failed, culprit_->entry.attempts).count(),
            fmt::format("{}{}", words, culprit_->error), true);
        database_.commit(work);
    };
    try {
        put_off("failed: ");
    } catch (const pqxx::sql_error& error) {
        if (is_outage(error)) {
            throw;
        }
        counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
        spdlog::warn("the application can't be told of a refused settlement, it is postponed without error=\"{}\"",
                     error.what());
        try {
            put_off("failed, and not told: ");  // No news: the trigger that adds them fires for "failed:".
        } catch (const pqxx::sql_error& again) {
            if (is_outage(again)) {
                throw;
            }
            // Another daemon has it most often, and its turns pass it. Else the next turn that it fails finds it again.
            counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
            spdlog::warn("a refused settlement can't be postponed error=\"{}\"", again.what());
        }
    }
    culprit_.reset();
}

void Settler::find_mark() {
    const auto now = std::chrono::steady_clock::now();
    if (mark_ && now - mark_found_at_ < mark_age_max) {
        return;
    }
    taken_.clear();  // If this fails, no entry is to blame.
    Transaction work(database_, mark_bounds);
    mark_ = next_mark(work, {});
    mark_found_at_ = now;
}

Settler::Mark Settler::next_mark(const Statements& work, const Mark& from) const {
    const auto row = ask1(work, queries::settle::mark, from.next, from.next_id, from.late, from.due_from,
                          lane_ == SettleLane::patient);
    return {.next = row["next"].as<std::string>(),
            .next_id = row["next_id"].as<std::string>(),
            .late = row["late"].as<std::string>(),
            .due_from = row["due_from"].as<std::string>()};
}

bool Settler::take(const Statements& work, const Portion& portion, Runs& runs) {
    std::size_t locked = 0;
    bool all_fit = true;
    const auto add = [&](const pqxx::result& entries) {
        for (const auto& row : entries) {
            ++locked;
            auto run_id = row[1].as<std::string>();
            if (runs.size() == portion.runs_max && !runs.contains(run_id)) {
                all_fit = false;
                continue;
            }
            const Entry entry{row[0].as<std::int64_t>(), row[2].as<int>()};
            taken_.push_back(entry);
            runs[std::move(run_id)].push_back(entry);
        }
    };
    const auto take_again = [&](std::size_t count) {
        if (count > 0) {
            add(ask(work, queries::settle::take_again, count, lane_ == SettleLane::patient, mark_->due_from));
        }
    };
    const auto take_new = [&](std::size_t count) {
        if (count > 0 && mark_->late != "{}") {
            const auto before = locked;
            add(ask(work, queries::settle::take_late, count, mark_->late));
            count -= locked - before;
        }
        if (count > 0) {
            add(ask(work, queries::settle::take_new, count, mark_->next, mark_->next_id));
        }
    };
    const std::size_t half = (portion.entries_max + 1) / 2;
    new_ones_first_ = !new_ones_first_;  // Neither kind waits for the other, however many there are.
    if (lane_ == SettleLane::patient) {
        take_again(portion.entries_max);
    } else if (new_ones_first_) {
        take_new(half);
        take_again(portion.entries_max - locked);
    } else {
        take_again(half);
        take_new(portion.entries_max - locked);
    }
    return !all_fit || locked >= half;
}

bool Settler::turn(const Portion& portion) {
    Transaction work(database_, bounds_of(lane_));
    backend_.store(work.own_backend().value_or(0), std::memory_order_relaxed);
    taken_.clear();
    // A run may stand in the queue several times; settling it once serves them all.
    Runs runs;
    const bool more = take(work, portion, runs);
    if (taken_.empty()) {
        mark_ = next_mark(work, *mark_);
        return false;
    }
    // What else is planned in this transaction is planned as its session does: the application's triggers are in it.
    work.run("SET LOCAL plan_cache_mode TO DEFAULT");
    const auto turn_began_at = std::chrono::steady_clock::now();
    const auto since = [](std::chrono::steady_clock::time_point began_at) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_at);
    };
    const std::size_t runs_taken = runs.size();
    Tally tally;
    if (lane_ == SettleLane::prompt && runs_taken > 1 && !settle_together(work, runs, tally)) {
        turns_apart_left_ = runs_taken;
        return true;
    }
    bool slow = false;
    bool stays_behind = false;
    struct Postponed {
        const std::string& run_id;
        const std::vector<Entry>& entries;
        Settled settled;
        bool slow;
    };
    std::vector<Postponed> postponed;
    for (const auto& [run_id, run_entries] : runs) {
        if (since(turn_began_at) >= turn_time && run_id != runs.begin()->first) {
            stays_behind = true;  // What is settled becomes visible, and its rows free.
            break;
        }
        const auto began_at = std::chrono::steady_clock::now();
        const auto row =
            ask1(work, queries::settle::run, run_id, settings_.outputs_grace.count(), settings_.duration_max.count());
        slow = since(began_at) >= slow_from;
        const Settled settled = read_settled(row);
        if (is_postponed(settled.outcome)) {
            ++tally.postponed;
            postponed.push_back({run_id, run_entries, settled, slow});
        } else {
            tally.add(run_id, run_entries, settled);
        }
        if (slow) {
            break;  // Likewise.
        }
    }
    keep_pace(runs_taken, since(turn_began_at));
    // Behind the rows: an error is news for the application, whose writers wait for the end of this transaction.
    for (const auto& [run_id, run_entries, settled, was_slow] : postponed) {
        postpone(work, run_id, run_entries, settled, was_slow);
    }
    ask(work, queries::settle::done, tally.done.str());
    Mark next = next_mark(work, *mark_);
    database_.commit(work);
    mark_ = std::move(next);
    const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    for (const WallTime ended_at : tally.ended_at) {
        counters_.lag.observe(now - ended_at);
    }
    counters_.settled += tally.settled;
    counters_.resettled += tally.resettled;
    counters_.edited_by_hand += tally.edited_by_hand;
    counters_.postponed += tally.postponed;
    if (tally.settled + tally.resettled > 0) {
        outbox_.notify();
    }
    return more || slow || stays_behind;
}

void Settler::keep_pace(std::size_t runs, std::chrono::milliseconds spent) {
    if (lane_ == SettleLane::patient) {
        return;
    }
    const auto spent_each = std::chrono::duration<double, std::milli>(spent) / static_cast<double>(runs);
    const auto twice = 2 * runs_a_turn_;
    if (spent > turn_time) {
        const auto fitting = static_cast<std::size_t>(turn_time / spent_each);
        runs_a_turn_ = std::clamp<std::size_t>(fitting, 1, runs_a_turn_);
    } else if (spent_each * static_cast<double>(twice) <= turn_time) {
        runs_a_turn_ = std::min(twice, entries_a_turn_max);
    }
}

// The usual case, by one statement. Removes from `runs` those that it has settled: all others, and all where one of
// them was refused, have to be asked for one by one.
bool Settler::settle_together(const Statements& work, Runs& runs, Tally& tally) {
    ArrayLiteral run_ids;
    for (const auto& [run_id, entries] : runs) {
        run_ids.add(run_id);
    }
    const auto bound = [&](std::chrono::milliseconds time) {
        work.run(fmt::format("SET LOCAL statement_timeout = {}", time.count()));
    };
    const auto began_at = std::chrono::steady_clock::now();
    bound(together_time);
    for (const auto& row : ask(work, queries::settle::runs, run_ids.str(), settings_.outputs_grace.count(),
                               settings_.duration_max.count())) {
        const auto settled = runs.extract(row[0].as<std::string>());
        tally.add(settled.key(), settled.mapped(), read_settled(row));
    }
    bound(bounds_of(lane_).statement_timeout);
    return tally.done.size() > 0 || std::chrono::steady_clock::now() - began_at < slow_from;
}

void Settler::postpone(const Statements& work, const std::string& run_id, const std::vector<Entry>& entries,
                       const Settled& settled, bool slow) {
    for (const auto& [id, attempts] : entries) {
        ask(work, queries::settle::later, id, delay_after(settled.outcome, attempts).count(),
            fmt::format("{}{}{}", word_of(settled.outcome), settled.detail.empty() ? "" : ": ", settled.detail), slow);
    }
    if (settled.outcome == SettleOutcome::failed) {
        spdlog::warn("settlement refused, trying again later run_id={} error=\"{}\"", run_id, settled.detail);
    }
}

Settler::Settled Settler::read_settled(const pqxx::row& row) {
    Settled settled{.outcome = outcome_of(row["outcome"].as<std::string>()), .detail = row["detail"].c_str()};
    if (!row["ended_at_us"].is_null()) {
        settled.ended_at = WallTime{std::chrono::microseconds{row["ended_at_us"].as<std::int64_t>()}};
    }
    return settled;
}

void Settler::Tally::add(const std::string& run_id, const std::vector<Entry>& entries, const Settled& result) {
    settled += result.outcome == SettleOutcome::settled || result.outcome == SettleOutcome::kept ? 1U : 0U;
    resettled += result.outcome == SettleOutcome::resettled ? 1U : 0U;
    if (result.outcome == SettleOutcome::edited_by_hand) {
        ++edited_by_hand;
        spdlog::warn("generation was edited by hand and is left unchanged run_id={}", run_id);
    }
    if (result.ended_at) {
        ended_at.push_back(*result.ended_at);
    }
    spdlog::debug("settle run_id={} outcome={} detail=\"{}\"", run_id, word_of(result.outcome), result.detail);
    for (const Entry& entry : entries) {
        done.add(entry.id);
    }
}

}  // namespace runledger
