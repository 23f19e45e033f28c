#include "daemon/notify/progress.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/telegram/body.hpp"
#include "daemon/telegram/text.hpp"
#include "queries/progress.hpp"

namespace runledger {
namespace {

using telegram::Verdict;

constexpr TransactionBounds progress_bounds{.statement_timeout = std::chrono::seconds{2},
                                            .lock_timeout = std::chrono::milliseconds{500}};
constexpr std::size_t calls_max = 8;
constexpr std::chrono::milliseconds look_interval{1000};
constexpr std::chrono::milliseconds look_again_after_failure{10'000};

bool says(const telegram::Answer& answer, std::string_view words) {
    return answer.description.find(words) != std::string::npos;
}

}  // namespace

void ProgressMessages::look(Time now, telegram::BotApi& bot, Pace& pace) noexcept {
    next_look_ = now + std::min(interval_, look_interval);
    try {
        store_known();
        remove_ended(bot);
        tell(now, bot, pace);
        is_failing_ = false;
    } catch (const std::exception& error) {
        failed(error);
    }
}

void ProgressMessages::tell(Time now, telegram::BotApi& bot, Pace& pace) {
    // Half of what the bot may send is left to those who wait for an ending.
    const std::size_t allowed = pace.bot_allows(now) / 2;
    if (allowed == 0 || calls_.size() >= calls_max) {
        return;
    }
    for (const auto& row : take(queries::progress::take, std::min(allowed, calls_max - calls_.size()))) {
        const auto run_id = row["run_id"].as<std::string>();
        const auto chat_id = row["chat_id"].as<std::int64_t>();
        const bool is_first = row["message_id"].is_null();
        if (!pace.chat_is_ready(chat_id, now)) {
            if (is_first) {
                store(queries::progress::forget, run_id);  // Taken anew when there is room.
            }
            continue;
        }
        telegram::Template::Values values{{"run_id", run_id},
                                          {"generation_id", row["generation_id"].as<std::string>()}};
        values["step"] = telegram::clean_line(row["step"].as<std::string>());
        if (!row["percent"].is_null()) {
            values["percent"] = row["percent"].as<std::string>();
        }
        const std::string language =
            row["language"].is_null()
                ? std::string{}
                : telegram::find_language(row["language"].as<std::string>()).value_or(std::string{});
        telegram::HtmlText html(telegram::text_units_max);
        html.add(telegram::clean(wordings_.get(language).progress.fill(values)));
        pace.take(chat_id, 1, now);
        if (is_first) {
            telegram::Message message{.text = html.take(), .is_silent = is_silent_};
            if (!row["thread_id"].is_null()) {
                message.thread_id = row["thread_id"].as<std::int64_t>();
            }
            bot.call(add({Kind::send, run_id, chat_id}), "sendMessage", telegram::to_json(message, {.id = chat_id}));
        } else {
            bot.call(add({Kind::edit, run_id, chat_id}), "editMessageText",
                     telegram::to_edit_json(html.take(), chat_id, row["message_id"].as<std::int64_t>()));
        }
    }
}

void ProgressMessages::remove_ended(telegram::BotApi& bot) {
    if (calls_.size() >= calls_max) {
        return;
    }
    for (const auto& row : take(queries::progress::take_ended, calls_max - calls_.size())) {
        const auto run_id = row["run_id"].as<std::string>();
        const auto chat_id = row["chat_id"].as<std::int64_t>();
        if (row["message_id"].is_null()) {
            store(queries::progress::forget, run_id);  // Its answer was lost: nobody knows what to delete.
            continue;
        }
        bot.call(add({Kind::remove, run_id, chat_id}), "deleteMessage",
                 telegram::to_delete_json(chat_id, row["message_id"].as<std::int64_t>()));
    }
}

void ProgressMessages::take_answer(telegram::BotApi::Ticket ticket, const telegram::Answer& answer) noexcept {
    try {
        const auto found = calls_.find(ticket);
        Call call = std::move(found->second);
        calls_.erase(found);
        const bool was_not_taken = answer.verdict == Verdict::unreached || answer.verdict == Verdict::unavailable ||
                                   answer.verdict == Verdict::too_many || answer.verdict == Verdict::unauthorized;
        switch (call.kind) {
            case Kind::send:
                if (answer.verdict == Verdict::sent) {
                    known_.push_back({queries::progress::told, std::move(call.run_id), answer.message_id});
                } else if (was_not_taken) {
                    known_.push_back({queries::progress::forget, std::move(call.run_id), {}});
                }  // Else its row stays as it is: the run's progress is not told again.
                break;
            case Kind::edit:
                if (says(answer, "message to edit not found")) {
                    // A new one is sent next time.
                    known_.push_back({queries::progress::forget, std::move(call.run_id), {}});
                }  // "message is not modified" is what was wanted; whatever else it was, the next edit says it better.
                break;
            case Kind::remove:
                if (!was_not_taken && answer.verdict != Verdict::uncertain) {
                    known_.push_back({queries::progress::forget, std::move(call.run_id), {}});
                }
                break;
        }
        store_known();
    } catch (const std::exception& error) {
        failed(error);
    }
}

pqxx::result ProgressMessages::take(std::string_view query, std::size_t count_max) {
    Transaction work(database_, progress_bounds);
    const auto rows = ask(work, query, interval_.count(), count_max);
    if (!rows.empty()) {
        database_.commit(work);  // The mark before the calls.
    }
    return rows;
}

// Safe to repeat after a COMMIT whose answer was lost: each statement says what is, not what has changed.
void ProgressMessages::store_known() {
    while (!known_.empty()) {
        const Known& known = known_.front();
        store(known.query, known.run_id, known.message_id);
        known_.erase(known_.begin());
    }
}

void ProgressMessages::store(std::string_view query, const std::string& run_id,
                             std::optional<std::int64_t> message_id) {
    Transaction work(database_, progress_bounds);
    if (query == queries::progress::told) {
        ask(work, query, run_id, message_id);
    } else {
        ask(work, query, run_id);
    }
    database_.commit(work);
}

telegram::BotApi::Ticket ProgressMessages::add(Call call) {
    known_.reserve(known_.size() + calls_.size() + 1);  // So that no answer is lost for want of memory.
    calls_.insert_or_assign(--last_ticket_, std::move(call));
    return last_ticket_;
}

void ProgressMessages::failed(const std::exception& error) noexcept {
    next_look_ = std::chrono::steady_clock::now() + look_again_after_failure;
    if (!database_.give_up(error) && !std::exchange(is_failing_, true)) {
        spdlog::warn("progress messages are paused error=\"{}\"", telegram::clean_line(error.what()));
    }
}

}  // namespace runledger
