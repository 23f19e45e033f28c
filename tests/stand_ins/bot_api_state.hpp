// What the stand-in Bot API remembers, and how it decides on a call. Internal to bot_api*.cpp.
//
// Invariant: one mutex over all of it; no lock is held while an answer is delayed or written.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/stand_ins/bot_api.hpp"

namespace runledger::test {

struct BotReply {
    BotAnswer answer;
    std::string body;  // JSON.
};

class BotApi::State {
public:
    explicit State(BotApiOptions options);

    // Fetches what the call gives by URL and has not been fetched in vain before. Without the lock: others go on.
    void fetch_media_of(const std::string& method, const CallFields& fields);

    // Decides, has the effect, records. `now` is for the pace.
    BotReply take(std::string_view token, std::string method, CallFields fields, BotPace::Time now);

    void script(BotRule rule);
    void clear_script();
    [[nodiscard]] std::vector<BotCall> calls() const;
    [[nodiscard]] std::vector<BotMessage> visible_in(std::string_view chat_id) const;
    [[nodiscard]] std::vector<std::string> fetched_urls() const;
    [[nodiscard]] std::string recorded_json() const;

private:
    using MessageKey = std::pair<std::string, std::int64_t>;

    mutable std::mutex mutex_;
    BotApiOptions options_;
    std::optional<BotPace> pace_;
    std::vector<BotRule> rules_;
    std::vector<BotCall> calls_;
    std::map<MessageKey, BotMessage> messages_;
    std::int64_t next_message_id_{1};
    std::vector<std::string> fetched_;
    std::map<std::string, std::string> bad_urls_;  // With the 400 that each is answered with, for days.
    std::minstd_rand random_;

    [[nodiscard]] BotAnswer decide(std::string_view token, const BotCall& call, BotPace::Time now);
    [[nodiscard]] std::optional<std::string> bad_url_fault(const BotCall& call) const;
    [[nodiscard]] std::optional<BotAnswer> take_scripted(const BotCall& call);
    // The effect; a refusal where the message to edit or delete is not there.
    [[nodiscard]] std::optional<BotAnswer> apply(BotCall& call);
};

// JSON of Telegram's shape.
[[nodiscard]] std::string reply_body(const BotCall& call, const BotAnswer& answer);
[[nodiscard]] std::string recorded_as_json(const std::vector<BotCall>& calls);

}  // namespace runledger::test
