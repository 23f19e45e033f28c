#include "daemon/pace.hpp"

#include <algorithm>
#include <cmath>

namespace runledger {
namespace {

// Sums of floating-point shares may miss a whole token by this much.
constexpr double slack = 1e-9;

}  // namespace

double Pace::Bucket::tokens(Time now) const {
    if (now <= filled_at_) {
        return tokens_;
    }
    const double seconds = std::chrono::duration<double>(now - filled_at_).count();
    return std::min(rate_.burst, tokens_ + seconds * rate_.per_second);
}

Pace::Time Pace::Bucket::ready_at(Time now) const {
    const double missing = 1.0 - tokens(now);
    if (missing <= slack) {
        return now;
    }
    // Rounded up, or the one who waits would come a moment too early.
    return now +
           std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(missing / rate_.per_second));
}

void Pace::Bucket::take(double count, Time now) {
    tokens_ = tokens(now) - count;
    filled_at_ = std::max(filled_at_, now);
}

Pace::Chat& Pace::chat(std::int64_t chat_id) {
    return chats_.try_emplace(chat_id, Chat{.bucket = Bucket(chat_id < 0 ? limits_.group : limits_.chat)})
        .first->second;
}

Pace::Time Pace::ready_at(const Chat& chat, Time now) { return std::max(chat.bucket.ready_at(now), chat.held_until); }

std::size_t Pace::bot_allows(Time now) const {
    if (now < all_held_until_) {
        return 0;
    }
    return static_cast<std::size_t>(std::max(0.0, std::floor(bot_.tokens(now) + slack)));
}

bool Pace::chat_is_ready(std::int64_t chat_id, Time now) const {
    const auto found = chats_.find(chat_id);
    return found == chats_.end() || ready_at(found->second, now) <= now;
}

std::vector<std::int64_t> Pace::chats_not_ready(Time now) {
    std::vector<std::int64_t> waiting;
    std::erase_if(chats_, [&](const auto& entry) {
        const Chat& chat = entry.second;
        if (ready_at(chat, now) > now) {
            waiting.push_back(entry.first);
            return false;
        }
        const double burst = entry.first < 0 ? limits_.group.burst : limits_.chat.burst;
        return chat.bucket.tokens(now) >= burst - slack;  // At rest.
    });
    return waiting;
}

std::optional<Pace::Time> Pace::next_ready(Time now) const {
    std::optional<Time> next;
    const auto consider = [&](Time time) {
        if (time > now && (!next || time < *next)) {
            next = time;
        }
    };
    consider(std::max(bot_.ready_at(now), all_held_until_));
    for (const auto& [chat_id, chat] : chats_) {
        consider(ready_at(chat, now));
    }
    return next;
}

void Pace::take(std::int64_t chat_id, std::size_t messages, Time now) {
    const auto count = static_cast<double>(messages);
    bot_.take(count, now);
    chat(chat_id).bucket.take(count, now);
}

void Pace::hold_chat(std::int64_t chat_id, Time until, Time now) {
    Chat& held = chat(chat_id);
    held.held_until = std::max(held.held_until, until);
    held.refused_at = now;
    const auto refused_chats = std::count_if(chats_.begin(), chats_.end(), [&](const auto& entry) {
        return entry.second.refused_at && *entry.second.refused_at > now - limits_.refused_window;
    });
    if (static_cast<std::size_t>(refused_chats) >= limits_.refused_chats_max) {
        hold_all(until);
    }
}

void Pace::hold_all(Time until) { all_held_until_ = std::max(all_held_until_, until); }

}  // namespace runledger
