// How fast Telegram may be told: token buckets for the bot, for each chat and each group, and holds after a 429.
//
// Invariant: what was asked for first and then taken keeps every limit in every window, however unevenly it is sent: a
// bucket's tokens come back one by one, each a window after it was taken. The moment comes with the question, so there
// is no clock in here. Owned by the thread that sends.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "daemon/notify/settings.hpp"

namespace runledger {

// At most so many messages in any window.
struct Limit {
    std::size_t messages{};
    std::chrono::milliseconds window{};
};

// Telegram's limits (docs/bot-api.md, "Pace"). Each window is a little longer, because messages do not arrive as evenly
// as they leave.
struct PaceLimits {
    Limit bot{30, std::chrono::milliseconds{1020}};      // About 30 messages a second.
    Limit chat{3, std::chrono::milliseconds{3050}};      // One a second; short bursts pass.
    Limit group{20, std::chrono::milliseconds{60'200}};  // 20 a minute, besides the chat's limit; its id is negative.
    std::size_t refused_chats_max{3};  // So many chats with a 429 within refused_window: the bot itself is too fast.
    std::chrono::seconds refused_window{5};
};

// Those of [telegram], for one of its daemons.
[[nodiscard]] PaceLimits pace_limits(const TelegramSettings& config);

// What one of `daemons` may use, so that all of them together keep the limits.
[[nodiscard]] PaceLimits divided(const PaceLimits& limits, unsigned daemons);

class Pace {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Pace(const PaceLimits& limits) : limits_(limits), bot_(limits.bot) {}

    // From now on these. What was sent and held so far counts on.
    void change(const PaceLimits& limits);

    // How many messages the bot may send now, whatever the chats say.
    [[nodiscard]] std::size_t bot_allows(Time now) const;
    // When the bot, or the chat, may be sent so many messages at once: an album counts each of its own. More than a
    // bucket holds may go when it is full; the debt delays what follows.
    [[nodiscard]] Time bot_ready_at(std::size_t messages) const;
    [[nodiscard]] Time chat_ready_at(std::int64_t chat_id, std::size_t messages) const;
    [[nodiscard]] bool chat_is_ready(std::int64_t chat_id, Time now) const { return chat_ready_at(chat_id, 1) <= now; }
    // The chats that must wait: few, since only those that were lately written to can be among them.
    [[nodiscard]] std::vector<std::int64_t> chats_not_ready(Time now);
    // When the first thing that must wait now may go on; nothing if nothing must wait.
    [[nodiscard]] std::optional<Time> next_ready(Time now) const;

    [[nodiscard]] std::size_t chats_kept() const noexcept { return chats_.size(); }

    // `messages` go out, whether they are within the pace or not.
    void take(std::int64_t chat_id, std::size_t messages, Time now);
    // After a 429. When it repeats across chats within a short time, everything is held as long.
    void hold_chat(std::int64_t chat_id, Time until, Time now);
    void hold_all(Time until);
    // The chat waits until then for a reason of ours: it says nothing of the bot.
    void put_off_chat(std::int64_t chat_id, Time until);

private:
    class Bucket {
    public:
        explicit Bucket(const Limit& limit) : limit_(limit) {}

        // From now on of this limit. The tokens that are missing stay missing: the last of them, if it has fewer.
        void change(const Limit& limit);

        [[nodiscard]] Time ready_at(std::size_t messages) const;
        [[nodiscard]] std::size_t tokens(Time now) const;
        [[nodiscard]] bool is_full(Time now) const { return back_at_.empty() || back_at_.back() <= now; }
        void take(std::size_t messages, Time now);

    private:
        Limit limit_;
        std::deque<Time> back_at_;  // When each token that was taken is back, ascending; any other one is there.
    };

    struct Chat {
        Bucket bucket;
        std::optional<Bucket> group;
        Time held_until{};
        std::optional<Time> refused_at{};
        bool is_waiting{false};  // Among waiting_.
    };

    [[nodiscard]] Chat& chat(std::int64_t chat_id);
    [[nodiscard]] static Time ready_at(const Chat& chat, std::size_t messages);
    void wait_for(std::int64_t chat_id, Chat& chat);  // Behind whatever makes a chat ready later.

    PaceLimits limits_;
    Bucket bot_;
    Time all_held_until_{};
    std::unordered_map<std::int64_t, Chat> chats_;  // Those that are not at rest; others are as new.
    std::vector<std::int64_t> waiting_;             // Each of chats_ that is not ready is among them, once.
    Time next_sweep_{};                             // Of chats_, for those at rest.
};

}  // namespace runledger
