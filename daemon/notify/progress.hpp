// Optional: reports a run's progress, in one message for each run that is edited at most every few seconds and deleted
// when the message about the ending was sent. The ending has a message of its own, because an edit notifies nobody
// (docs/bot-api.md, "Edits").
//
// Invariant: nothing here can hold up or lose an ending: it takes only what is left of the pace, and whatever fails is
// left out. A progress message may stay behind where Telegram's answer to its sending was lost. Owned by the notify
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/notify/pace.hpp"
#include "daemon/telegram/bot_api.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger {

class ProgressMessages {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit ProgressMessages(std::string postgres_uri) : database_(std::move(postgres_uri), "progress") {}

    // First, and later while no call is in flight. `is_silent`: a message about progress alerts nobody.
    void change(std::chrono::milliseconds interval, telegram::Wordings wordings, bool is_silent) {
        interval_ = interval;
        wordings_ = std::move(wordings);
        is_silent_ = is_silent;
    }

    [[nodiscard]] Time next_look() const noexcept { return next_look_; }
    // Begins calls for what is new, as far as the pace allows. PostgreSQL's errors are logged, and it is tried later.
    void look(Time now, telegram::BotApi& bot, Pace& pace) noexcept;

    // Its tickets are below zero.
    [[nodiscard]] std::int64_t chat_of(telegram::BotApi::Ticket ticket) const { return calls_.at(ticket).chat_id; }
    void take_answer(telegram::BotApi::Ticket ticket, const telegram::Answer& answer) noexcept;

private:
    enum class Kind : std::uint8_t { send, edit, remove };
    struct Call {
        Kind kind{};
        std::string run_id;
        std::int64_t chat_id{};
    };

    void tell(Time now, telegram::BotApi& bot, Pace& pace);
    void remove_ended(telegram::BotApi& bot);
    [[nodiscard]] pqxx::result take(std::string_view query, std::size_t count_max);
    void store(std::string_view query, const std::string& run_id, std::optional<std::int64_t> message_id = {});
    // What Telegram's answers say of the rows: stored now, or before the next look.
    void store_known();
    [[nodiscard]] telegram::BotApi::Ticket add(Call call);
    void failed(const std::exception& error) noexcept;

    Database database_;
    std::chrono::milliseconds interval_{};
    telegram::Wordings wordings_{};
    bool is_silent_{false};
    std::unordered_map<telegram::BotApi::Ticket, Call> calls_;
    // Of answers that are not stored yet: a message whose id was lost could be neither edited nor deleted.
    struct Known {
        std::string_view query;
        std::string run_id;
        std::optional<std::int64_t> message_id;
    };
    std::vector<Known> known_;  // Has room for the answer of each call.
    telegram::BotApi::Ticket last_ticket_{0};
    Time next_look_{};
    bool is_failing_{false};
};

}  // namespace runledger
