#include "daemon/webhooks/outbox.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "queries/webhooks.hpp"

namespace runledger::webhooks {
namespace {

// The attempts in flight are not moved on while a statement runs.
constexpr TransactionBounds outbox_bounds{
    .statement_timeout = std::chrono::seconds{5}, .lock_timeout = std::chrono::seconds{2}, .plans_once = true};
constexpr std::size_t stale_a_look_max = 1000;
constexpr std::size_t progress_a_look_max = 500;
constexpr std::chrono::seconds aged_look_interval{1};  // For what has waited too long, and for leases of the dead.
constexpr std::chrono::milliseconds lease_margin{std::chrono::seconds{30}};
constexpr std::string_view before_all_hosts;
constexpr std::string_view behind_all_hosts = "~";  // No host's name begins with it.

std::optional<long> unless_none(long status) { return status == 0 ? std::nullopt : std::optional(status); }

}  // namespace

Outbox::Outbox(std::string postgres_uri, std::string lease_owner)
    : database_(std::move(postgres_uri), "webhooks"), lease_owner_(std::move(lease_owner)), bounds_(outbox_bounds) {}

void Outbox::hurry(std::chrono::milliseconds statement_timeout) noexcept {
    bounds_.statement_timeout = statement_timeout;
    bounds_.lock_timeout = statement_timeout;
}

TransactionBounds Outbox::lazy_bounds() const noexcept {
    TransactionBounds bounds = bounds_;
    bounds.is_durable = false;
    return bounds;
}

void Outbox::publish(const WebhookSettings& settings, bool are_new) {
    Transaction work(database_, bounds_);
    if (settings.is_on()) {
        work.run(queries::webhooks::publish, !settings.url.empty(), array_of(settings.host_suffixes),
                 array_of(settings.metadata_keys), array_of(settings.events));
    } else {
        work.run(queries::webhooks::unpublish);
    }
    work.run(queries::webhooks::forget_hosts, std::string(are_new ? host_of_our_url : ""));
    database_.commit(work);
}

// From the host after the last one's turn to the last host, then from the first.
std::vector<std::int64_t> Outbox::find_due(const Statements& work, const WebhookSettings& settings,
                                           std::size_t count_max) {
    std::vector<std::int64_t> chosen;
    const std::string begun_after = last_host_;
    const auto look = [&](std::string_view after, std::string_view up_to) {
        const auto due = ask(work, queries::webhooks::find_due, std::string(after), std::string(up_to),
                             count_max - chosen.size(), settings.concurrency, settings.breaker_failures);
        for (const auto& row : due) {
            chosen.push_back(row["id"].as<std::int64_t>());
            last_host_ = row["webhook_host"].as<std::string>();
        }
    };
    look(begun_after, behind_all_hosts);
    if (chosen.size() < count_max && !begun_after.empty()) {
        look(before_all_hosts, begun_after);
    }
    if (chosen.size() < count_max) {
        last_host_ = before_all_hosts;  // All had their turn.
    }
    return chosen;
}

void Outbox::tell_progress(const WebhookSettings& settings) {
    Transaction work(database_, bounds_);
    if (!ask1(work, queries::webhooks::hold_forgetting)[0].as<bool>()) {
        return;  // The next look tells it.
    }
    if (!ask(work, queries::webhooks::tell_progress, settings.progress_interval.count(), progress_a_look_max).empty()) {
        database_.commit(work);
    }
}

Outbox::Taken Outbox::lease(const WebhookSettings& settings, std::size_t count_max) {
    Transaction work(database_, lazy_bounds());
    Taken taken = lease(work, settings, count_max);
    if (!taken.leased.empty() || taken.given_up > 0) {  // Else no COMMIT: nothing was written.
        database_.commit(work);
    }
    return taken;
}

std::vector<Outbox::Stored> Outbox::store(const WebhookSettings& settings, std::span<const Outcome> outcomes) {
    Transaction work(database_, lazy_bounds());
    auto stored = store(work, settings, outcomes);
    database_.commit(work);
    return stored;
}

Outbox::Exchanged Outbox::store_and_lease(const WebhookSettings& settings, std::span<const Outcome> outcomes,
                                          std::size_t count_max) {
    Transaction work(database_, lazy_bounds());
    auto stored = store(work, settings, outcomes);
    Taken taken = lease(work, settings, count_max);
    database_.commit(work);
    return {.stored = std::move(stored), .taken = std::move(taken)};
}

Outbox::Taken Outbox::lease(const Statements& work, const WebhookSettings& settings, std::size_t count_max) {
    Taken taken;
    taken.hosts_closed = ask1(work, queries::webhooks::count_closed)[0].as<std::size_t>();
    std::vector<std::int64_t> chosen;
    if (std::chrono::steady_clock::now() >= next_aged_look_) {
        next_aged_look_ = std::chrono::steady_clock::now() + aged_look_interval;
        const auto stale =
            ask(work, queries::webhooks::give_up_stale,
                std::chrono::duration_cast<std::chrono::seconds>(settings.give_up).count(), stale_a_look_max);
        taken.given_up = static_cast<std::size_t>(stale.size());
        for (const auto& row : ask(work, queries::webhooks::find_expired, count_max)) {
            chosen.push_back(row[0].as<std::int64_t>());
        }
    }
    if (chosen.size() < count_max) {
        const auto due = find_due(work, settings, count_max - chosen.size());
        chosen.insert(chosen.end(), due.begin(), due.end());
    }
    if (!chosen.empty()) {
        const auto lease = settings.timeout + lease_margin;
        for (const auto& row : ask(work, queries::webhooks::lease, array_of(chosen), lease_owner_, lease.count())) {
            const auto kind = row["kind"].as<std::string>();
            const bool is_of_a_group = kind == "group";
            taken.leased.push_back({.id = row["id"].as<std::int64_t>(),
                                    .run_id = is_of_a_group ? "" : row["run_id"].as<std::string>(),
                                    .group_id = is_of_a_group ? row["group_key"].as<std::string>() : "",
                                    .is_progress = kind == "progress",
                                    .is_late = !row["is_late"].is_null() && row["is_late"].as<bool>(),
                                    .webhook_id = row["webhook_id"].as<std::string>(),
                                    .host = row["webhook_host"].as<std::string>(),
                                    .url = row["webhook_url"].is_null()
                                               ? std::nullopt
                                               : std::optional(row["webhook_url"].as<std::string>()),
                                    .body = row["payload"].as<std::string>(),
                                    .attempts = row["attempts"].as<unsigned>(),
                                    .age = std::chrono::milliseconds{row["age_ms"].as<std::int64_t>()}});
        }
    }
    std::ranges::sort(taken.leased, {}, &Leased::id);
    return taken;
}

std::vector<Outbox::Stored> Outbox::store(const Statements& work, const WebhookSettings& settings,
                                          std::span<const Outcome> outcomes) const {
    std::vector<Stored> stored(outcomes.size());
    std::vector<std::int64_t> delivered;
    std::vector<long> statuses;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const Decision& decision = outcomes[i].decision;
        if (decision.verdict == Verdict::delivered) {
            delivered.push_back(outcomes[i].id);
            statuses.push_back(decision.status);
        } else {
            stored[i].is_ours = store_undelivered(work, outcomes[i]);
        }
    }
    if (!delivered.empty()) {
        std::set<std::int64_t> ours;
        for (const auto& row :
             ask(work, queries::webhooks::sent, array_of(delivered), lease_owner_, array_of(statuses))) {
            ours.insert(row[0].as<std::int64_t>());
        }
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            stored[i].is_ours = stored[i].is_ours || ours.contains(outcomes[i].id);
        }
    }
    store_hosts(work, settings, outcomes, stored);
    return stored;
}

void Outbox::store_hosts(const Statements& work, const WebhookSettings& settings, std::span<const Outcome> outcomes,
                         std::span<Stored> stored) {
    // Two daemons that store for the same hosts lock their rows in one order.
    std::vector<std::size_t> by_host(outcomes.size());
    std::iota(by_host.begin(), by_host.end(), std::size_t{0});
    std::ranges::stable_sort(by_host, {}, [&](std::size_t i) -> const std::string& { return outcomes[i].host; });
    const std::string* accepts = nullptr;  // The host that has accepted the last one.
    for (const std::size_t i : by_host) {
        if (!stored[i].is_ours) {
            continue;
        }
        const Outcome& outcome = outcomes[i];
        const bool has_accepted = outcome.decision.verdict == Verdict::delivered;
        if (!has_accepted || accepts == nullptr || *accepts != outcome.host) {  // Else it has nothing left to end.
            stored[i].host_failures = store_host(work, settings, outcome);
        }
        accepts = has_accepted ? &outcome.host : nullptr;
    }
}

bool Outbox::store_undelivered(const Statements& work, const Outcome& outcome) const {
    const Decision& decision = outcome.decision;
    pqxx::result result;
    switch (decision.verdict) {
        case Verdict::delivered:
            break;  // Stored together.
        case Verdict::later:
        case Verdict::held:
            result = ask(work, queries::webhooks::later, outcome.id, lease_owner_, decision.delay.count(),
                         decision.error, unless_none(decision.status), 0);
            ask(work, queries::webhooks::hold_later_ones, outcome.id);
            break;
        case Verdict::aborted:
            result = ask(work, queries::webhooks::later, outcome.id, lease_owner_, 0, std::optional<std::string>(),
                         std::optional<long>(), 1);
            break;
        case Verdict::dropped:
            result = ask(work, queries::webhooks::drop_progress, outcome.id, lease_owner_, decision.error,
                         unless_none(decision.status));
            break;
        case Verdict::gone:
        case Verdict::forbidden:
            result = ask(work, queries::webhooks::dead, outcome.id, lease_owner_, decision.error,
                         unless_none(decision.status));
            break;
    }
    return result.affected_rows() == 1;
}

std::optional<unsigned> Outbox::store_host(const Statements& work, const WebhookSettings& settings,
                                           const Outcome& outcome) {
    const Decision& decision = outcome.decision;
    pqxx::result result;
    if (decision.verdict == Verdict::delivered) {
        result = ask(work, queries::webhooks::host_answered, outcome.host);
    } else if (decision.host_fails || decision.verdict == Verdict::held) {
        const auto asked = decision.verdict == Verdict::held ? decision.delay : std::chrono::milliseconds{0};
        result = ask(work, queries::webhooks::host_failed, outcome.host, decision.host_fails ? 1 : 0,
                     settings.breaker_failures, std::min(settings.retry_delay_min, settings.breaker_delay_max).count(),
                     settings.breaker_delay_max.count(), asked.count(), decision.error);
    }
    return result.empty() ? std::nullopt : std::optional(result[0][0].as<unsigned>());
}

void Outbox::recover(std::span<const std::int64_t> held_ids) {
    Transaction work(database_, bounds_);
    ask(work, queries::webhooks::recover, lease_owner_, array_of(held_ids));
    database_.commit(work);
}

}  // namespace runledger::webhooks
