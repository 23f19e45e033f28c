#include "daemon/notify/pace.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace runledger {
namespace {

constexpr std::chrono::seconds sweep_interval{1};

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

void Pace::Bucket::change(const Limit& limit) {
    limit_ = limit;
    while (back_at_.size() > limit.messages) {
        back_at_.pop_front();  // What it had more is there at once.
    }
}

Pace::Time Pace::Bucket::ready_at(std::size_t messages) const {
    const std::size_t there = limit_.messages - back_at_.size();
    const std::size_t wanted = std::clamp<std::size_t>(messages, 1, limit_.messages);
    return wanted <= there ? Time{} : back_at_[wanted - there - 1];
}

std::size_t Pace::Bucket::tokens(Time now) const {
    return limit_.messages - static_cast<std::size_t>(back_at_.end() - std::ranges::upper_bound(back_at_, now));
}

void Pace::Bucket::take(std::size_t messages, Time now) {
    back_at_.erase(back_at_.begin(), std::ranges::upper_bound(back_at_, now));
    for (std::size_t i = 0; i < messages; ++i) {
        Time begin = now;
        if (back_at_.size() == limit_.messages) {
            begin = back_at_.front();  // None is there: this is debt, and begins when the next one is back.
            back_at_.pop_front();
        }
        back_at_.push_back(begin + limit_.window);
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
    bot_.change(limits.bot);
    for (auto& [chat_id, chat] : chats_) {
        chat.bucket.change(limits.chat);
        if (chat.group) {
            chat.group->change(limits.group);
        }
        wait_for(chat_id, chat);
    }
}

std::size_t Pace::bot_allows(Time now) const { return now < all_held_until_ ? 0 : bot_.tokens(now); }

Pace::Time Pace::bot_ready_at(std::size_t messages) const { return std::max(bot_.ready_at(messages), all_held_until_); }

Pace::Time Pace::chat_ready_at(std::int64_t chat_id, std::size_t messages) const {
    const auto found = chats_.find(chat_id);
    return found == chats_.end() ? Time{} : ready_at(found->second, messages);
}

void Pace::wait_for(std::int64_t chat_id, Chat& chat) {
    if (!std::exchange(chat.is_waiting, true)) {
        waiting_.push_back(chat_id);
    }
}

std::vector<std::int64_t> Pace::chats_not_ready(Time now) {
    std::erase_if(waiting_, [&](std::int64_t chat_id) {
        Chat& chat = chats_.at(chat_id);
        chat.is_waiting = ready_at(chat, 1) > now;
        return !chat.is_waiting;
    });
    if (now >= next_sweep_) {
        next_sweep_ = now + sweep_interval;
        std::erase_if(chats_, [&](const auto& entry) {
            const Chat& chat = entry.second;
            return !chat.is_waiting && chat.bucket.is_full(now) && (!chat.group || chat.group->is_full(now));
        });
    }
    return waiting_;
}

std::optional<Pace::Time> Pace::next_ready(Time now) const {
    std::optional<Time> next;
    const auto consider = [&](Time time) {
        if (time > now && (!next || time < *next)) {
            next = time;
        }
    };
    consider(bot_ready_at(1));
    for (const std::int64_t chat_id : waiting_) {
        consider(ready_at(chats_.at(chat_id), 1));
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
    if (ready_at(taken, 1) > now) {
        wait_for(chat_id, taken);
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
    wait_for(chat_id, held);
}

}  // namespace runledger
