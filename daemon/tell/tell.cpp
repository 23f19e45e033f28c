#include "daemon/tell/tell.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "queries/tell.hpp"

namespace runledger {
namespace {

constexpr std::chrono::milliseconds between_turns{200};
// A turn that took long, as one about a group of a million, is followed by a longer pause: it costs the server a fifth
// of one core at most.
constexpr int pause_factor = 4;
constexpr std::chrono::milliseconds pause_max{10'000};
constexpr std::size_t entries_a_turn_max = 1000;
constexpr std::size_t runs_a_turn_max = 1000;
// How long a mark is used before the queue is read from its beginning, in case that entries were put behind it in a way
// that PostgreSQL's transactions do not show, as by a restore of the table.
constexpr std::chrono::seconds mark_age_max{60};
constexpr TransactionBounds tell_bounds{.statement_timeout = std::chrono::seconds{10},
                                        .lock_timeout = std::chrono::seconds{1}};

}  // namespace

Teller::Teller(const ApplicationSettings& settings, const std::string& postgres_uri, Wakeup& stop,
               TellCounters& counters)
    : settings_(settings), database_(postgres_uri, "tell"), stop_(stop), counters_(counters) {}

void Teller::run() {
    std::chrono::milliseconds pause{0};
    while (stop_.pause(pause)) {
        heartbeat_.beat();
        const auto begun = std::chrono::steady_clock::now();
        (void)turn();  // What is left waits for the next one.
        const auto earned =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun) *
            pause_factor;
        pause = std::clamp<std::chrono::milliseconds>(earned, between_turns, pause_max);
        heartbeat_.rest();
    }
}

bool Teller::turn() {
    settings_ = next_settings_.take().value_or(settings_);
    bool is_all = false;
    bool has_failed = false;
    bool is_away = false;
    const auto attempt = [&](const auto& step) {
        try {
            step();
        } catch (const std::exception& error) {
            has_failed = true;
            is_away = is_outage(error);
            counters_.turns_failed.fetch_add(1, std::memory_order_relaxed);
            from_.clear();
            if (!database_.give_up(error)) {
                spdlog::warn("the application can't be told, trying again error=\"{}\"", error.what());
            }
        }
    };
    attempt([&] { is_all = tell_groups(); });
    if (!is_away) {  // Though the groups were refused: the two have nothing to do with each other.
        attempt([&] { tell_progress(); });
    }
    if (has_failed) {
        heartbeat_.fail();
    } else {
        heartbeat_.work();
    }
    return is_all && !has_failed;
}

bool Teller::tell_groups() {
    Transaction work(database_, tell_bounds);
    const auto now = std::chrono::steady_clock::now();
    if (from_.empty() || now - from_found_at_ > mark_age_max) {
        from_ = "0";
        from_found_at_ = now;
    }
    const auto row = ask1(work, queries::tell::groups, from_, entries_a_turn_max);
    if (row["looked_at"].as<std::uint64_t>() > 0) {  // Else no COMMIT: nothing was written.
        database_.commit(work);
    }
    from_ = row["up_to"].as<std::string>();
    counters_.groups_told.fetch_add(row["told"].as<std::uint64_t>(), std::memory_order_relaxed);
    return row["is_all"].as<bool>();
}

void Teller::tell_progress() {
    if (settings_.progress_interval.count() == 0) {
        return;
    }
    Transaction work(database_, tell_bounds);
    const auto told = ask1(work, queries::tell::progress, settings_.progress_interval.count(), runs_a_turn_max)[0]
                          .as<std::uint64_t>();
    database_.commit(work);
    counters_.progress_told.fetch_add(told, std::memory_order_relaxed);
}

}  // namespace runledger
