// The outbox in PostgreSQL: runledger.notifications, leased, renewed and settled by one daemon's notify stage.
//
// Each function is one short transaction; none is open while Telegram is called. What a daemon writes about a
// notification holds only while the lease is its own. Owned by one thread. Every function throws what pqxx throws,
// and CommitDoubtful: then disconnect(), wait, recover(), and do it again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/database.hpp"
#include "daemon/notify_policy.hpp"

namespace runledger {

// A notification that this daemon holds.
struct Leased {
    std::int64_t id{};
    std::int64_t chat_id{};
    std::string run_id;
    std::string kind;
    std::string payload;            // JSON.
    unsigned attempts{};            // This one included.
    unsigned uncertain_attempts{};  // A lease that was taken over included.
    std::chrono::milliseconds age{};
};

// What became of it.
struct Outcome {
    std::int64_t id{};
    Decision decision;
    std::optional<std::int64_t> message_id{};
};

class Outbox {
public:
    struct Options {
        std::string uri;
        std::string lease_owner;  // Names the daemon's process, and no other for ever.
        std::chrono::milliseconds lease{};
        unsigned attempts_max{12};
    };

    explicit Outbox(Options options);

    struct Request {
        std::vector<std::int64_t> chats_waiting;  // Nothing is leased for these.
        std::size_t count_max{};
    };
    struct Taken {
        std::vector<Leased> leased;  // At most one for each chat.
        std::size_t given_up{0};     // Leases that ran out too often: now `uncertain`.
    };

    // Leases what is due. A lease that ran out is taken over and counts as an attempt that may have arrived.
    [[nodiscard]] Taken lease(const Request& request);

    // Writes outcomes. The answer says of each whether the notification was still ours: if not, what was to follow
    // must not.
    [[nodiscard]] std::vector<bool> store(std::span<const Outcome> outcomes);

    // Gives back what the table says we hold though we don't.
    void recover(std::span<const std::int64_t> held_ids);

    void disconnect() noexcept { database_.disconnect(); }
    // For an orderly end: no statement may take longer from now on.
    void hurry(std::chrono::milliseconds statement_timeout) noexcept;

private:
    [[nodiscard]] bool store_one(pqxx::work& work, const Outcome& outcome) const;

    Options options_;
    Database database_;
    TransactionBounds bounds_;
};

}  // namespace runledger
