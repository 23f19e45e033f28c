#include "daemon/outbox.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "queries.hpp"

namespace runledger {
namespace {

// The calls in flight are not moved on while a statement runs, so none may take long beside a call's time-out.
constexpr TransactionBounds outbox_bounds{.statement_timeout = std::chrono::seconds{5},
                                          .lock_timeout = std::chrono::seconds{2}};
// Looked at for each one that is leased: a chat with many due notifications stands before the others.
constexpr std::size_t look_ahead = 8;

std::string array_of(std::span<const std::int64_t> values) {
    ArrayLiteral array;
    for (const std::int64_t value : values) {
        array.add(value);
    }
    return array.str();
}

std::optional<std::string> unless_empty(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

Outbox::Outbox(Options options)
    : options_(std::move(options)), database_(options_.uri, "notify"), bounds_(outbox_bounds) {}

void Outbox::hurry(std::chrono::milliseconds statement_timeout) noexcept {
    bounds_ = {.statement_timeout = statement_timeout, .lock_timeout = statement_timeout};
}

Outbox::Taken Outbox::lease(const Request& request) {
    pqxx::work work(database_.connection());
    begin_durably(work, bounds_);
    const auto due = work.exec_params(std::string(queries::notify_find_due), array_of(request.chats_waiting),
                                      request.count_max * look_ahead);
    std::vector<std::int64_t> chosen;
    std::vector<std::int64_t> used_up;
    std::unordered_set<std::int64_t> chats;
    for (const auto& row : due) {
        const auto id = row["id"].as<std::int64_t>();
        if (row["is_expired"].as<bool>() && row["attempts"].as<unsigned>() >= options_.attempts_max) {
            used_up.push_back(id);
        } else if (chosen.size() < request.count_max && chats.insert(row["chat_id"].as<std::int64_t>()).second) {
            chosen.push_back(id);
        }
    }
    Taken taken;
    if (chosen.empty() && used_up.empty()) {
        return taken;  // Nothing was written: no COMMIT.
    }
    if (!used_up.empty()) {
        taken.given_up = work.exec_params(std::string(queries::notify_give_up_expired), array_of(used_up)).size();
    }
    if (!chosen.empty()) {
        const auto rows = work.exec_params(std::string(queries::notify_lease), array_of(chosen), options_.lease_owner,
                                           options_.lease.count());
        for (const auto& row : rows) {
            taken.leased.push_back({.id = row["id"].as<std::int64_t>(),
                                    .chat_id = row["chat_id"].as<std::int64_t>(),
                                    .run_id = row["run_id"].as<std::string>(),
                                    .kind = row["kind"].as<std::string>(),
                                    .payload = row["payload"].as<std::string>(),
                                    .attempts = row["attempts"].as<unsigned>(),
                                    .uncertain_attempts = row["uncertain_attempts"].as<unsigned>(),
                                    .age = std::chrono::milliseconds{row["age_ms"].as<std::int64_t>()}});
        }
    }
    database_.commit(work);
    std::sort(taken.leased.begin(), taken.leased.end(), [](const Leased& a, const Leased& b) { return a.id < b.id; });
    return taken;
}

std::vector<bool> Outbox::store(std::span<const Outcome> outcomes) {
    std::vector<bool> ours;
    ours.reserve(outcomes.size());
    pqxx::work work(database_.connection());
    begin_durably(work, bounds_);
    for (const Outcome& outcome : outcomes) {
        ours.push_back(store_one(work, outcome));
    }
    database_.commit(work);
    return ours;
}

bool Outbox::store_one(pqxx::work& work, const Outcome& outcome) const {
    const Decision& decision = outcome.decision;
    const auto error = unless_empty(decision.error);
    const int uncertain = decision.may_have_arrived ? 1 : 0;
    pqxx::result result;
    switch (decision.state) {
        case NextState::sent:
            result = work.exec_params(std::string(queries::notify_sent), outcome.id, options_.lease_owner,
                                      outcome.message_id, error);
            break;
        case NextState::pending:
            result = work.exec_params(std::string(queries::notify_later), outcome.id, options_.lease_owner,
                                      decision.delay.count(), decision.gives_attempt_back ? 1 : 0, uncertain, error);
            break;
        case NextState::send_again:
            result = work.exec_params(std::string(queries::notify_renew), outcome.id, options_.lease_owner,
                                      options_.lease.count(), decision.new_chat_id, decision.error);
            break;
        case NextState::uncertain:
        case NextState::dead:
        case NextState::skipped:
            result = work.exec_params(std::string(queries::notify_end), outcome.id, options_.lease_owner,
                                      std::string(to_word(decision.state)), uncertain, decision.error);
            break;
    }
    return result.affected_rows() == 1;
}

void Outbox::recover(std::span<const std::int64_t> held_ids) {
    pqxx::work work(database_.connection());
    begin_durably(work, bounds_);
    work.exec_params(std::string(queries::notify_recover), options_.lease_owner, array_of(held_ids));
    database_.commit(work);
}

}  // namespace runledger
