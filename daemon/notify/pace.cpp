#include "daemon/notify/pace.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace runledger {
namespace {

// Fewer messages in the same window, or, where that leaves none, one in a longer one; rounded towards the slower.
Limit divided(const Limit& limit, unsigned daemons) {
    const std::size_t messages = std::max<std::size_t>(limit.messages / daemons, 1);
    const auto all_windows = limit.window.count() * static_cast<std::chrono::milliseconds::rep>(daemons * messages);
    const auto all_messages = static_cast<std::chrono::milliseconds::rep>(limit.messages);
    return {messages, std::chrono::milliseconds{(all_windows + all_messages - 1) / all_messages}};
}

}  // namespace

PaceLimits pace_limits(const TelegramSettings& config) {
    PaceLimits limits;
    limits.bot.messages = config.messages_per_second;
    limits.chat.messages *= config.chat_messages_per_second;
    limits.group.messages = config.group_messages_per_minute;
    return divided(limits, config.daemons);
}

PaceLimits divided(const PaceLimits& limits, unsigned daemons) {
    PaceLimits share = limits;
    share.bot = divided(limits.bot, daemons);
    share.chat = divided(limits.chat, daemons);
    share.group = divided(limits.group, daemons);
    return share;
}

Pace::Bucket Pace::Bucket::changed(const Limit& limit) const {
    std::vector<Time> back_at = back_at_;
    std::ranges::sort(back_at, std::greater<>{});
    back_at.resize(limit.messages);  // What it has more is there at once.
    std::ranges::reverse(back_at);
    Bucket bucket(limit);
    bucket.back_at_ = std::move(back_at);
    return bucket;
}

Pace::Time Pace::Bucket::ready_at(std::size_t messages) const {
    const std::size_t wanted = std::clamp<std::size_t>(messages, 1, back_at_.size());
    return back_at_[(first_ + wanted - 1) % back_at_.size()];
}

std::size_t Pace::Bucket::tokens(Time now) const {
    return static_cast<std::size_t>(
        std::count_if(back_at_.begin(), back_at_.end(), [&](Time at) { return at <= now; }));
}

void Pace::Bucket::take(std::size_t messages, Time now) {
    for (std::size_t i = 0; i < messages; ++i) {
        // The one that is back first; where it isn't yet, this is debt, and begins when it is.
        Time& first = back_at_[first_];
        first = std::max(first, now) + window_;
        first_ = (first_ + 1) % back_at_.size();
    }
}

Pace::Chat& Pace::chat(std::int64_t chat_id) {
    return chats_
        .try_emplace(chat_id, Chat{.bucket = Bucket(limits_.chat),
                                   .group = chat_id < 0 ? std::optional(Bucket(limits_.group)) : std::nullopt})
        .first->second;
}

Pace::Time Pace::ready_at(const Chat& chat, std::size_t messages) {
    const Time at = std::max(chat.bucket.ready_at(messages), chat.held_until);
    return chat.group ? std::max(at, chat.group->ready_at(messages)) : at;
}

void Pace::change(const PaceLimits& limits) {
    limits_ = limits;
    bot_ = bot_.changed(limits.bot);
    for (auto& [chat_id, chat] : chats_) {
        chat.bucket = chat.bucket.changed(limits.chat);
        if (chat.group) {
            chat.group = chat.group->changed(limits.group);
        }
    }
}

std::size_t Pace::bot_allows(Time now) const { return now < all_held_until_ ? 0 : bot_.tokens(now); }

Pace::Time Pace::bot_ready_at(std::size_t messages) const { return std::max(bot_.ready_at(messages), all_held_until_); }

Pace::Time Pace::chat_ready_at(std::int64_t chat_id, std::size_t messages) const {
    const auto found = chats_.find(chat_id);
    return found == chats_.end() ? Time{} : ready_at(found->second, messages);
}

std::vector<std::int64_t> Pace::chats_not_ready(Time now) {
    std::vector<std::int64_t> waiting;
    std::erase_if(chats_, [&](const auto& entry) {
        const Chat& chat = entry.second;
        if (ready_at(chat, 1) > now) {
            waiting.push_back(entry.first);
            return false;
        }
        return chat.bucket.is_full(now) && (!chat.group || chat.group->is_full(now));  // At rest.
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
    consider(bot_ready_at(1));
    for (const auto& [chat_id, chat] : chats_) {
        consider(ready_at(chat, 1));
    }
    return next;
}

void Pace::take(std::int64_t chat_id, std::size_t messages, Time now) {
    bot_.take(messages, now);
    Chat& taken = chat(chat_id);
    taken.bucket.take(messages, now);
    if (taken.group) {
        taken.group->take(messages, now);
    }
}

void Pace::hold_chat(std::int64_t chat_id, Time until, Time now) {
    put_off_chat(chat_id, until);
    chat(chat_id).refused_at = now;
    const auto refused_chats = std::count_if(chats_.begin(), chats_.end(), [&](const auto& entry) {
        return entry.second.refused_at && *entry.second.refused_at > now - limits_.refused_window;
    });
    if (static_cast<std::size_t>(refused_chats) >= limits_.refused_chats_max) {
        hold_all(until);
    }
}

void Pace::hold_all(Time until) { all_held_until_ = std::max(all_held_until_, until); }

void Pace::put_off_chat(std::int64_t chat_id, Time until) {
    Chat& held = chat(chat_id);
    held.held_until = std::max(held.held_until, until);
}

}  // namespace runledger
