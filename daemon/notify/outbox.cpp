#include "daemon/notify/outbox.hpp"

#include <algorithm>
#include <utility>

#include "queries/notify.hpp"

namespace runledger {
namespace {

// The calls in flight are not moved on while a statement runs, so none may take long beside a call's time-out.
constexpr TransactionBounds outbox_bounds{
    .statement_timeout = std::chrono::seconds{5}, .lock_timeout = std::chrono::seconds{2}, .plans_once = true};
constexpr std::size_t stale_a_look_max = 1000;
// While there is always something due: how often it is looked for what has waited too long, and for leases of the dead.
constexpr std::chrono::seconds aged_look_interval{1};

MessageForm form_of(std::string_view word) noexcept {
    return word == "documents" ? MessageForm::documents : word == "text" ? MessageForm::text : MessageForm::media;
}

std::optional<std::string> unless_empty(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

std::string_view to_word(MessageForm form) noexcept {
    switch (form) {
        case MessageForm::media:
            return "media";
        case MessageForm::documents:
            return "documents";
        case MessageForm::text:
            return "text";
    }
    return "media";
}

Outbox::Outbox(Options options)
    : options_(std::move(options)), database_(options_.uri, "notify"), bounds_(outbox_bounds) {}

void Outbox::change(Options options) {
    options.uri = std::move(options_.uri);
    options.lease_owner = std::move(options_.lease_owner);
    options_ = std::move(options);
}

void Outbox::hurry(std::chrono::milliseconds statement_timeout) noexcept {
    bounds_.statement_timeout = statement_timeout;
    bounds_.lock_timeout = statement_timeout;
}

// From the chat after the last one's turn to the highest id, then from the lowest.
void Outbox::find_due(const Statements& work, const Request& request, const std::string& chats_waiting,
                      std::vector<std::int64_t>& chosen) {
    constexpr auto lowest = std::numeric_limits<std::int64_t>::min();
    constexpr auto highest = std::numeric_limits<std::int64_t>::max();
    const std::int64_t begun_after = last_chat_;
    const auto look = [&](std::int64_t after, std::int64_t up_to) {
        const auto due = ask(work, queries::notify::find_due, chats_waiting, after, up_to,
                             request.count_max - chosen.size(), options_.attempts_in_order);
        for (const auto& row : due) {
            chosen.push_back(row["id"].as<std::int64_t>());
            last_chat_ = row["chat_id"].as<std::int64_t>();
        }
    };
    if (chosen.size() < request.count_max) {
        look(begun_after, highest);
    }
    if (chosen.size() < request.count_max && begun_after != lowest) {
        look(lowest, begun_after);
    }
    if (chosen.size() < request.count_max) {
        last_chat_ = lowest;  // All had their turn.
    }
}

Outbox::Taken Outbox::lease(const Request& request) {
    Transaction work(database_, bounds_);
    Taken taken = lease(work, request);
    if (!taken.leased.empty() || taken.given_up > 0 || taken.skipped > 0) {  // Else no COMMIT: nothing was written.
        database_.commit(work);
    }
    return taken;
}

Outbox::Stored Outbox::store(std::span<const AttemptOutcome> outcomes) {
    Transaction work(database_, bounds_);
    Stored stored = store(work, outcomes);
    database_.commit(work);
    return stored;
}

Outbox::Exchanged Outbox::store_and_lease(std::span<const AttemptOutcome> outcomes, const Request& request) {
    Transaction work(database_, bounds_);
    Stored stored = store(work, outcomes);
    Taken taken = lease(work, request);
    database_.commit(work);
    return {.stored = std::move(stored), .taken = std::move(taken)};
}

Outbox::Taken Outbox::lease(const Statements& work, const Request& request) {
    Taken taken;
    const std::string chats_waiting = array_of(request.chats_waiting);
    std::vector<std::int64_t> chosen;
    std::vector<std::int64_t> used_up;
    const auto look_for_aged = [&] {
        next_aged_look_ = std::chrono::steady_clock::now() + aged_look_interval;
        const auto stale = ask(work, queries::notify::skip_stale, options_.not_after.count(), stale_a_look_max);
        for (const auto& row : stale) {
            ++(row[0].as<std::string>() == to_word(NextState::skipped) ? taken.skipped : taken.given_up);
        }
        const auto expired = ask(work, queries::notify::find_expired, chats_waiting, request.count_max);
        for (const auto& row : expired) {
            (row["attempts"].as<unsigned>() >= options_.attempts_max ? used_up : chosen)
                .push_back(row["id"].as<std::int64_t>());
        }
    };
    const bool is_time = std::chrono::steady_clock::now() >= next_aged_look_;
    if (is_time) {
        look_for_aged();
    }
    find_due(work, request, chats_waiting, chosen);
    if (chosen.empty() && !is_time) {
        look_for_aged();  // Before it is said that nothing is there.
    }
    if (!used_up.empty()) {
        taken.given_up +=
            static_cast<std::size_t>(ask(work, queries::notify::give_up_expired, array_of(used_up)).size());
    }
    if (!chosen.empty()) {
        const auto rows =
            ask(work, queries::notify::lease, array_of(chosen), options_.lease_owner, options_.lease.count());
        for (const auto& row : rows) {
            taken.leased.push_back({.id = row["id"].as<std::int64_t>(),
                                    .chat_id = row["chat_id"].as<std::int64_t>(),
                                    .chat_name = row["chat_name"].as<std::string>(),
                                    .run_id = row["run_id"].as<std::string>(),
                                    .kind = row["kind"].as<std::string>(),
                                    .payload = row["payload"].as<std::string>(),
                                    .attempts = row["attempts"].as<unsigned>(),
                                    .uncertain_attempts = row["uncertain_attempts"].as<unsigned>(),
                                    .parts_sent = row["parts_sent"].as<std::size_t>(),
                                    .next_part = {.form = form_of(row["form"].as<std::string>()),
                                                  .without_thread = row["without_thread"].as<bool>(),
                                                  .fallbacks = row["fallbacks"].as<unsigned>(),
                                                  .refusals_for_pace = row["refused_for_pace"].as<unsigned>(),
                                                  .without_buttons = row["without_buttons"].as<bool>()},
                                    .age = std::chrono::milliseconds{row["age_ms"].as<std::int64_t>()}});
        }
    } else {
        const auto next = ask1(work, queries::notify::next_due);
        if (!next[0].is_null()) {
            taken.next_due = std::chrono::milliseconds{next[0].as<std::int64_t>()};
        }
    }
    std::sort(taken.leased.begin(), taken.leased.end(),
              [](const LeasedNotification& a, const LeasedNotification& b) { return a.id < b.id; });
    return taken;
}

Outbox::Stored Outbox::store(const Statements& work, std::span<const AttemptOutcome> outcomes) const {
    Stored stored;
    stored.ours.reserve(outcomes.size());
    for (const AttemptOutcome& outcome : outcomes) {
        stored.ours.push_back(store_one(work, outcome));
        store_chat(work, outcome, stored);
    }
    return stored;
}

// Of the chat it is true whoever holds the notification by now.
void Outbox::store_chat(const Statements& work, const AttemptOutcome& outcome, Stored& stored) {
    const Decision& decision = outcome.decision;
    switch (decision.chat) {
        case ChatEffect::none:
            break;
        case ChatEffect::held:
            ask(work, queries::notify::chat_held, outcome.chat_id, decision.delay.count(), decision.error);
            break;
        case ChatEffect::moved:
            if (decision.new_chat_id && *decision.new_chat_id != outcome.chat_id) {
                ask(work, queries::notify::chat_moved, outcome.chat_id, *decision.new_chat_id, decision.error);
            }
            break;
        case ChatEffect::refused:
            for (const auto& row : ask(work, queries::notify::chat_refused, outcome.chat_id, decision.error)) {
                ++(row[0].as<std::string>() == to_word(NextState::dead) ? stored.dead_chats : stored.uncertain);
            }
            break;
    }
}

bool Outbox::store_one(const Statements& work, const AttemptOutcome& outcome) const {
    const Decision& decision = outcome.decision;
    const auto error = unless_empty(decision.error);
    const int uncertain = decision.may_have_arrived ? 1 : 0;
    const PartProgress& next = outcome.next_part;
    const std::string form(to_word(next.form));
    pqxx::result result;
    switch (decision.state) {
        case NextState::sent:
            result = ask(work, queries::notify::sent, outcome.id, options_.lease_owner, outcome.message_id, error,
                         outcome.parts_sent);
            break;
        case NextState::logged:
            result = ask(work, queries::notify::logged, outcome.id, options_.lease_owner, decision.error);
            break;
        case NextState::pending:
            result = ask(work, queries::notify::later, outcome.id, options_.lease_owner, decision.delay.count(),
                         decision.gives_attempt_back ? 1 : 0, uncertain, error, form, next.without_thread,
                         next.fallbacks, next.refusals_for_pace, next.without_buttons);
            break;
        case NextState::send_again:
            result = ask(work, queries::notify::renew, outcome.id, options_.lease_owner, options_.lease.count(),
                         decision.new_chat_id, error, outcome.parts_sent, outcome.message_id, form, next.without_thread,
                         next.fallbacks, next.refusals_for_pace, next.without_buttons);
            break;
        case NextState::uncertain:
        case NextState::dead:
        case NextState::skipped:
            result = ask(work, queries::notify::end, outcome.id, options_.lease_owner,
                         std::string(to_word(decision.state)), uncertain, decision.error);
            break;
    }
    return result.affected_rows() == 1;
}

void Outbox::recover(std::span<const std::int64_t> held_ids) {
    Transaction work(database_, bounds_);
    ask(work, queries::notify::recover, options_.lease_owner, array_of(held_ids));
    database_.commit(work);
}

}  // namespace runledger
