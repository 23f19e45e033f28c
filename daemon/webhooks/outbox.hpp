// The outbox's table as the sender of webhooks uses it: publish the settings, lease, store what became of the attempts.
//
// Invariant: a lease is committed before its attempt begins, and what an attempt came to is stored as often as
// PostgreSQL lets it be; repeating it changes nothing. Whatever decides what is sent next is in the rows. Owned by the
// sender's thread. Throws what pqxx throws.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/webhooks/policy.hpp"
#include "daemon/webhooks/settings.hpp"

namespace runledger::webhooks {

// notifications.webhook_host of what goes to [webhooks] url, as runledger.queue_webhooks writes it.
inline constexpr std::string_view host_of_our_url = "[webhooks] url";

struct Leased {
    std::int64_t id{};
    std::string run_id{};     // Empty: it is about a group's end.
    std::string group_id{};   // Of a group's end.
    bool is_progress{false};  // It is not tried again.
    bool is_late{false};      // Progress of a run that has ended meanwhile.
    std::string webhook_id{};
    std::string host{};
    std::optional<std::string> url{};  // Nothing: [webhooks] url.
    std::string body{};
    unsigned attempts{1};  // With the one that begins.
    std::chrono::milliseconds age{};
};

struct Outcome {
    std::int64_t id{};
    std::string host{};
    Decision decision{};
};

class Outbox {
public:
    Outbox(std::string postgres_uri, std::string lease_owner);

    // From its COMMIT on, settlements write webhooks by these. `are_new`: the breaker of [webhooks] url begins anew.
    void publish(const WebhookSettings& settings, bool are_new);

    struct Taken {
        std::vector<Leased> leased{};
        std::size_t given_up{0};  // They had waited for too long.
        std::size_t hosts_closed{0};
    };
    // Writes the latest progress of running runs to the outbox.
    void tell_progress(const WebhookSettings& settings);
    [[nodiscard]] Taken lease(const WebhookSettings& settings, std::size_t count_max);

    struct Stored {
        bool is_ours{};  // Else another daemon has the webhook by now.
        std::optional<unsigned>
            host_failures{};  // Of its host in a row, with this one; or before it accepted this one.
    };
    [[nodiscard]] std::vector<Stored> store(const WebhookSettings& settings, std::span<const Outcome> outcomes);

    // Both in one transaction.
    struct Exchanged {
        std::vector<Stored> stored{};
        Taken taken{};
    };
    [[nodiscard]] Exchanged store_and_lease(const WebhookSettings& settings, std::span<const Outcome> outcomes,
                                            std::size_t count_max);

    // Gives back what the table says we hold though we don't.
    void recover(std::span<const std::int64_t> held_ids);

    void disconnect() noexcept { database_.disconnect(); }
    [[nodiscard]] bool give_up(const std::exception& error) noexcept { return database_.give_up(error); }
    // For an orderly end: no statement may take longer from now on.
    void hurry(std::chrono::milliseconds statement_timeout) noexcept;

private:
    // Of leases and outcomes: one that a crash of PostgreSQL undoes only has a webhook sent again, by its id. So
    // nothing else waits for the disk behind them.
    [[nodiscard]] TransactionBounds lazy_bounds() const noexcept;
    [[nodiscard]] Taken lease(const Statements& work, const WebhookSettings& settings, std::size_t count_max);
    [[nodiscard]] std::vector<Stored> store(const Statements& work, const WebhookSettings& settings,
                                            std::span<const Outcome> outcomes) const;
    [[nodiscard]] std::vector<std::int64_t> find_due(const Statements& work, const WebhookSettings& settings,
                                                     std::size_t count_max);
    // Of those that are ours: a store that is repeated counts no failure again.
    static void store_hosts(const Statements& work, const WebhookSettings& settings, std::span<const Outcome> outcomes,
                            std::span<Stored> stored);
    [[nodiscard]] bool store_undelivered(const Statements& work, const Outcome& outcome) const;
    [[nodiscard]] static std::optional<unsigned> store_host(const Statements& work, const WebhookSettings& settings,
                                                            const Outcome& outcome);

    Database database_;
    std::string lease_owner_;
    TransactionBounds bounds_;
    std::string last_host_{};  // Whose turn was last.
    std::chrono::steady_clock::time_point next_aged_look_{};
};

}  // namespace runledger::webhooks
