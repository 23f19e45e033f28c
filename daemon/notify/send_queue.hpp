// The messages that are ready to be sent and wait for the pace, in order. Pure; the moment comes as a value.
//
// Invariant: a message that waits for the bot's pace, an album say, is not overtaken by shorter ones for ever. A
// message that would wait longer than its lease allows is put off.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/notify/pace.hpp"

namespace runledger {

class SendQueue {
public:
    using Time = Pace::Time;

    struct Entry {
        std::int64_t id{};  // The notification's.
        std::int64_t chat_id{};
        std::size_t messages{};  // What it counts for against the pace.
        Time since{};
    };
    struct PutOff {
        std::int64_t id{};
        std::chrono::milliseconds delay{};
    };
    struct Due {
        std::vector<std::int64_t> may_go;  // They are taken from the pace already.
        std::vector<PutOff> put_off;
    };

    void add(const Entry& entry) { entries_.push_back(entry); }
    // Takes what may go now, and what would have to wait for too long.
    [[nodiscard]] Due take_due(Time now, Pace& pace);
    void clear() noexcept { entries_.clear(); }

    [[nodiscard]] bool is_empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
    [[nodiscard]] std::size_t messages() const;
    // When the first of them may go; nothing if there is none.
    [[nodiscard]] std::optional<Time> ready_at(const Pace& pace) const;

private:
    std::vector<Entry> entries_;
};

}  // namespace runledger
