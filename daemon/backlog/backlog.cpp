#include "daemon/backlog/backlog.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "queries/backlog.hpp"

namespace runledger {
namespace {

constexpr std::chrono::seconds between_looks{5};
// A look that takes longer is not worth what it costs: as behind a snapshot that keeps millions of dead rows.
constexpr TransactionBounds look_bounds{.statement_timeout = std::chrono::seconds{5},
                                        .lock_timeout = std::chrono::seconds{1}};
constexpr int pause_factor = 100;
constexpr std::chrono::minutes pause_max{10};

std::uint64_t number(const pqxx::row& row, const char* column) { return row[column].as<std::uint64_t>(); }

}  // namespace

std::chrono::milliseconds pause_after_look(std::chrono::nanoseconds took) noexcept {
    const auto earned = std::chrono::duration_cast<std::chrono::milliseconds>(took * pause_factor);
    return std::clamp<std::chrono::milliseconds>(earned, between_looks, pause_max);
}

Backlog::Backlog(const std::string& postgres_uri, Wakeup& stop, BacklogGauges& gauges)
    : database_(postgres_uri, "backlog"), stop_(stop), gauges_(gauges) {}

void Backlog::run() {
    std::chrono::milliseconds pause{0};
    while (stop_.pause(pause)) {
        heartbeat_.beat();
        const auto begun = std::chrono::steady_clock::now();
        pause = look() == Look::away ? between_looks : pause_after_look(std::chrono::steady_clock::now() - begun);
        heartbeat_.rest();
    }
}

Backlog::Look Backlog::look() {
    try {
        Transaction work(database_, look_bounds);
        work.run(queries::backlog::use_indexes);
        const auto unsettled = ask(work, queries::backlog::unsettled);
        const auto stuck = ask1(work, queries::backlog::stuck);
        const auto outbox = ask1(work, queries::backlog::outbox);
        const auto lookups = ask1(work, queries::backlog::lookups);
        database_.commit(work);

        std::map<std::string, pqxx::row> by_state;
        for (const auto& row : unsettled) {
            by_state.emplace(row["state"].as<std::string>(), row);
        }
        const auto set = [&](const std::string& state, BacklogGauges::Unsettled& gauge) {
            const auto found = by_state.find(state);
            gauge.runs = found == by_state.end() ? 0 : number(found->second, "runs");
            gauge.oldest_seconds = found == by_state.end() ? 0 : number(found->second, "oldest_seconds");
        };
        set("new", gauges_.unsettled_new);
        set("locked", gauges_.unsettled_locked);
        set("refused", gauges_.unsettled_refused);
        gauges_.stuck_runs = number(stuck, "runs");
        gauges_.outbox_pending = number(outbox, "pending");
        gauges_.outbox_retrying = number(outbox, "retrying");
        gauges_.outbox_leased = number(outbox, "leased");
        gauges_.outbox_dead = number(outbox, "dead");
        gauges_.outbox_uncertain = number(outbox, "uncertain");
        gauges_.outbox_skipped = number(outbox, "skipped");
        gauges_.outbox_elsewhere = number(outbox, "elsewhere");
        gauges_.outbox_oldest_pending_seconds = number(outbox, "oldest_pending_seconds");
        gauges_.outbox_oldest_dead_seconds = number(outbox, "oldest_dead_seconds");
        gauges_.webhooks_pending = number(outbox, "webhooks_pending");
        gauges_.webhooks_retrying = number(outbox, "webhooks_retrying");
        gauges_.webhooks_dead = number(outbox, "webhooks_dead");
        gauges_.webhooks_skipped = number(outbox, "webhooks_skipped");
        gauges_.webhooks_oldest_seconds = number(outbox, "webhooks_oldest_seconds");
        gauges_.lookups_due = number(lookups, "due");
        gauges_.lookups_later = number(lookups, "later");
        gauges_.lookups_given_up = number(lookups, "given_up");
        gauges_.lookups_oldest_due_seconds = number(lookups, "oldest_due_seconds");
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        gauges_.measured_at = std::chrono::duration_cast<std::chrono::seconds>(now).count();
        heartbeat_.work();
        return Look::done;
    } catch (const std::exception& error) {
        gauges_.looks_failed.fetch_add(1, std::memory_order_relaxed);
        heartbeat_.fail();
        if (!database_.give_up(error)) {
            spdlog::warn("the backlog can't be measured, trying again error=\"{}\"", error.what());
        }
        return is_outage(error) ? Look::away : Look::failed;
    }
}

}  // namespace runledger
