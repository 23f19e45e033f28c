// How fast Telegram may be told: token buckets for the bot, for each chat and each group, and holds after a 429.
//
// The moment comes with the question, so there is no clock in here. A message may be taken that is over the pace (an
// album counts each of its pictures): the debt delays what follows. Owned by the thread that sends.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace runledger {

// Fills at `per_second` up to `burst`: in any t seconds, at most burst + t * per_second are taken without debt.
struct Rate {
    double per_second{};
    double burst{};
};

struct PaceLimits {
    Rate bot{25.0, 5.0};               // TELEGRAM.md: about 30 messages in any second.
    Rate chat{1.0, 3.0};               // One a second; short bursts pass.
    Rate group{17.0 / 60.0, 3.0};      // 20 in any minute; a group's id is negative.
    std::size_t refused_chats_max{3};  // So many chats with a 429 within refused_window: the bot itself is too fast.
    std::chrono::seconds refused_window{5};
};

class Pace {
public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Pace(const PaceLimits& limits) : limits_(limits), bot_(limits.bot) {}

    // How many messages the bot may send now, whatever the chats say.
    [[nodiscard]] std::size_t bot_allows(Time now) const;
    [[nodiscard]] bool chat_is_ready(std::int64_t chat_id, Time now) const;
    // The chats that must wait: few, since only those that were lately written to can be among them.
    [[nodiscard]] std::vector<std::int64_t> chats_not_ready(Time now);
    // When the first thing that must wait now may go on; nothing if nothing must wait.
    [[nodiscard]] std::optional<Time> next_ready(Time now) const;

    // `messages` go out, whether they are within the pace or not.
    void take(std::int64_t chat_id, std::size_t messages, Time now);
    // After a 429. When it repeats across chats within a short time, everything is held as long.
    void hold_chat(std::int64_t chat_id, Time until, Time now);
    void hold_all(Time until);

private:
    class Bucket {
    public:
        explicit Bucket(const Rate& rate) : rate_(rate), tokens_(rate.burst) {}

        [[nodiscard]] double tokens(Time now) const;
        [[nodiscard]] Time ready_at(Time now) const;  // When there is a whole token.
        void take(double count, Time now);

    private:
        Rate rate_;
        double tokens_;
        Time filled_at_{};
    };

    struct Chat {
        Bucket bucket;
        Time held_until{};
        std::optional<Time> refused_at{};
    };

    [[nodiscard]] Chat& chat(std::int64_t chat_id);
    [[nodiscard]] static Time ready_at(const Chat& chat, Time now);

    PaceLimits limits_;
    Bucket bot_;
    Time all_held_until_{};
    std::unordered_map<std::int64_t, Chat> chats_;  // Those that are not at rest; others are as new.
};

}  // namespace runledger
