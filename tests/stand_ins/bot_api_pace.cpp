#include "tests/stand_ins/bot_api_pace.hpp"

#include <algorithm>
#include <cmath>

namespace runledger::test {

BotPace::Bucket::Bucket(double capacity_tokens, double tokens_per_second)
    : capacity(capacity_tokens), per_second(tokens_per_second), level(capacity_tokens) {}

void BotPace::Bucket::fill(Time now) {
    if (filled_at != Time{}) {
        level = std::min(capacity, level + per_second * std::chrono::duration<double>(now - filled_at).count());
    }
    filled_at = now;
}

double BotPace::Bucket::seconds_until(double tokens) const {
    // An album of more than the bucket holds passes when the bucket is full, or it would never pass.
    const double wanted = std::min(tokens, capacity);
    return level >= wanted ? 0.0 : (wanted - level) / per_second;
}

BotPace::BotPace(const PaceLimits& limits)
    : limits_(limits), bot_(static_cast<double>(limits.bot_per_second), static_cast<double>(limits.bot_per_second)) {}

BotPace::Bucket& BotPace::bucket_of(std::map<std::string, Bucket, std::less<>>& buckets, std::string_view chat,
                                    const Bucket& fresh) {
    return buckets.try_emplace(std::string{chat}, fresh).first->second;
}

std::optional<std::chrono::seconds> BotPace::refuse(std::string_view chat, int messages, Time now) {
    const double tokens = messages;
    Bucket& in_chat = bucket_of(chats_, chat, Bucket(limits_.chat_burst, limits_.chat_per_second));
    Bucket* in_group = nullptr;
    if (chat.starts_with('-')) {
        in_group = &bucket_of(groups_, chat, Bucket(limits_.group_per_minute, limits_.group_per_minute / 60.0));
        in_group->fill(now);
    }
    bot_.fill(now);
    in_chat.fill(now);

    double wait = std::max(bot_.seconds_until(tokens), in_chat.seconds_until(tokens));
    if (in_group != nullptr) {
        wait = std::max(wait, in_group->seconds_until(tokens));
    }
    if (wait > 0.0) {
        return std::chrono::seconds{std::max(1L, static_cast<long>(std::ceil(wait)))};
    }
    bot_.level -= tokens;
    in_chat.level -= tokens;
    if (in_group != nullptr) {
        in_group->level -= tokens;
    }
    return std::nullopt;
}

}  // namespace runledger::test
