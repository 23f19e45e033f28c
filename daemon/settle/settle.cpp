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
// Where the many hung, as behind a trigger of the application's, the next turns do not try them together again: the
// rows that hang would each cost the others that time twice.
constexpr std::size_t turns_apart = 16;

// The application's triggers run inside, and those that hang or wait must not hold the turn for long. lock_timeout
// stays well under PostgreSQL's deadlock_timeout of 1 s: settle gives way before the application's transaction could be
// chosen as a deadlock's victim.
TransactionBounds bounds_of(SettleLane lane) {
    TransactionBounds bounds{.statement_timeout = std::chrono::milliseconds{500},
                             .lock_timeout = std::chrono::milliseconds{300}};
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
      backoff_({}) {}

void Settler::run() {
    while (wakeup_.wait(poll_interval)) {
        try {
            heartbeat_.beat();
            put_off_culprit();
            bool more = true;
            while (more && !wakeup_.is_stopped()) {
                heartbeat_.beat();
                const std::size_t entries_max = single_turns_left_ > 0 ? 1 : entries_a_turn_max;
                more = turn(entries_max);
                single_turns_left_ -= single_turns_left_ > 0 ? 1U : 0U;
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

void Settler::after_failure(const std::exception& error) {
    counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
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
}

void Settler::put_off_culprit() {
    if (!culprit_) {
        return;
    }
    Transaction work(database_, bounds_of(lane_));
    ask(work, queries::settle::later, culprit_->entry.id,
        delay_after(SettleOutcome::failed, culprit_->entry.attempts).count(), "failed: " + culprit_->error, true);
    database_.commit(work);
    culprit_.reset();
}

bool Settler::turn(std::size_t entries_max) {
    Transaction work(database_, bounds_of(lane_));
    backend_.store(work.own_backend().value_or(0), std::memory_order_relaxed);
    taken_.clear();
    const auto entries = ask(work, queries::settle::take, entries_max, lane_ == SettleLane::patient);
    if (entries.empty()) {
        return false;
    }
    // A run may stand in the queue several times; settling it once serves them all.
    Runs runs;
    for (const auto& row : entries) {
        const Entry entry{row[0].as<std::int64_t>(), row[2].as<int>()};
        taken_.push_back(entry);
        runs[row[1].as<std::string>()].push_back(entry);
    }
    Tally tally;
    if (turns_apart_left_ > 0) {
        --turns_apart_left_;
    } else if (lane_ == SettleLane::prompt && entries_max > 1) {
        settle_together(work, runs, tally);
    }
    bool slow = false;
    for (const auto& [run_id, run_entries] : runs) {
        const auto began_at = std::chrono::steady_clock::now();
        const auto row =
            ask1(work, queries::settle::run, run_id, settings_.outputs_grace.count(), settings_.duration_max.count());
        slow = std::chrono::steady_clock::now() - began_at >= slow_from;
        const Settled settled = read_settled(row[0], row[1]);
        if (is_postponed(settled.outcome)) {
            ++tally.postponed;
            postpone(work, run_id, run_entries, settled, slow);
        } else {
            tally.add(run_id, run_entries, settled);
        }
        if (slow) {
            break;  // What is settled becomes visible, and its rows free, before the next may be slow as well.
        }
    }
    ask(work, queries::settle::done, tally.done.str());
    database_.commit(work);
    counters_.settled += tally.settled;
    counters_.resettled += tally.resettled;
    counters_.edited_by_hand += tally.edited_by_hand;
    counters_.postponed += tally.postponed;
    if (tally.settled + tally.resettled > 0) {
        outbox_.notify();
    }
    return slow || entries.size() == entries_max;
}

// The usual case, by one statement. Removes from `runs` those that it has settled: all others, and all where one of
// them was refused, have to be asked for one by one.
void Settler::settle_together(const Statements& work, Runs& runs, Tally& tally) {
    ArrayLiteral run_ids;
    for (const auto& [run_id, entries] : runs) {
        run_ids.add(run_id);
    }
    const auto began_at = std::chrono::steady_clock::now();
    for (const auto& row : ask(work, queries::settle::runs, run_ids.str(), settings_.outputs_grace.count(),
                               settings_.duration_max.count())) {
        const auto settled = runs.extract(row[0].as<std::string>());
        tally.add(settled.key(), settled.mapped(), read_settled(row[1], row[2]));
    }
    if (tally.done.size() == 0 && std::chrono::steady_clock::now() - began_at >= slow_from) {
        turns_apart_left_ = turns_apart;
    }
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

Settler::Settled Settler::read_settled(const pqxx::field& outcome, const pqxx::field& detail) {
    return {outcome_of(outcome.as<std::string>()), detail.is_null() ? "" : detail.as<std::string>()};
}

void Settler::Tally::add(const std::string& run_id, const std::vector<Entry>& entries, const Settled& result) {
    settled += result.outcome == SettleOutcome::settled || result.outcome == SettleOutcome::kept ? 1U : 0U;
    resettled += result.outcome == SettleOutcome::resettled ? 1U : 0U;
    if (result.outcome == SettleOutcome::edited_by_hand) {
        ++edited_by_hand;
        spdlog::warn("generation was edited by hand and is left unchanged run_id={}", run_id);
    }
    spdlog::debug("settle run_id={} outcome={} detail=\"{}\"", run_id, word_of(result.outcome), result.detail);
    for (const Entry& entry : entries) {
        done.add(entry.id);
    }
}

}  // namespace runledger
