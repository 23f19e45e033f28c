// Telegram's limits of pace, for the stand-in (docs/bot-api.md, "Pace"): about 30 messages a second for the bot, one a
// second in a chat with short bursts, 20 a minute in a group.
//
// Invariant: what is refused is not counted. Pure: the time comes with the question. Not for sharing between threads.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace runledger::test {

struct PaceLimits {
    int bot_per_second{30};
    int chat_per_second{1};
    int chat_burst{3};
    int group_per_minute{20};
};

class BotPace {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit BotPace(const PaceLimits& limits = {});

    // Nothing where `messages` (an album counts each of its own) may be sent to the chat now, and they are counted;
    // otherwise the seconds to wait, at least 1, as `retry_after` says them. A group's chat id begins with '-'.
    [[nodiscard]] std::optional<std::chrono::seconds> refuse(std::string_view chat, int messages, Time now);

private:
    // Fills at `per_second` up to `capacity`.
    struct Bucket {
        double capacity{};
        double per_second{};
        double level{};
        Time filled_at{};

        Bucket(double capacity_tokens, double tokens_per_second);
        void fill(Time now);
        [[nodiscard]] double seconds_until(double tokens) const;
    };

    PaceLimits limits_;
    Bucket bot_;
    std::map<std::string, Bucket, std::less<>> chats_;
    std::map<std::string, Bucket, std::less<>> groups_;

    static Bucket& bucket_of(std::map<std::string, Bucket, std::less<>>& buckets, std::string_view chat,
                             const Bucket& fresh);
};

}  // namespace runledger::test
