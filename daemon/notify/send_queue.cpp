#include "daemon/notify/send_queue.hpp"

#include <algorithm>
#include <utility>

namespace runledger {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds put_off_min{1};
constexpr milliseconds patience{5000};  // Within a lease's margin.

}  // namespace

SendQueue::Due SendQueue::take_due(Time now, Pace& pace) {
    Due due;
    bool bot_is_ready = true;
    for (const Entry& entry : std::exchange(entries_, {})) {
        const Time chat_at = pace.chat_ready_at(entry.chat_id, entry.messages);
        const Time ready_at = std::max(chat_at, pace.bot_ready_at(entry.messages));
        if (ready_at > entry.since + patience) {
            due.put_off.push_back(
                {.id = entry.id, .delay = std::max(std::chrono::ceil<milliseconds>(ready_at - now), put_off_min)});
            if (chat_at > now) {
                pace.put_off_chat(entry.chat_id, chat_at);  // Or messages behind it would take its tokens.
            }
            continue;
        }
        const bool chat_is_ready = chat_at <= now;
        bot_is_ready = bot_is_ready && (!chat_is_ready || pace.bot_ready_at(entry.messages) <= now);
        if (!chat_is_ready || !bot_is_ready) {
            entries_.push_back(entry);
            continue;
        }
        pace.take(entry.chat_id, entry.messages, now);
        due.may_go.push_back(entry.id);
    }
    return due;
}

std::size_t SendQueue::messages() const {
    std::size_t messages = 0;
    for (const Entry& entry : entries_) {
        messages += entry.messages;
    }
    return messages;
}

std::optional<SendQueue::Time> SendQueue::ready_at(const Pace& pace) const {
    std::optional<Time> first;
    for (const Entry& entry : entries_) {
        const Time ready =
            std::max(pace.chat_ready_at(entry.chat_id, entry.messages), pace.bot_ready_at(entry.messages));
        first = std::min(first.value_or(ready), ready);
    }
    return first;
}

}  // namespace runledger
