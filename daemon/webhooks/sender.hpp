// The webhooks stage: takes events from the outbox and posts them, signed, to [webhooks] url and to the URLs that
// metadata names. One thread, which owns the calls.
//
// Invariant: each event is delivered at least once, by the same id on each attempt, unless it is given up, which its
// row says; those about one run go to one place in order. No transaction is open during a call. The stage keeps nothing
// that the rows do not: kill it at any moment. What an answer means is decided in policy.hpp; what is sent next, in
// sql/queries/webhooks/find_due.sql.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/backoff.hpp"
#include "daemon/base/settings_change.hpp"
#include "daemon/base/stage.hpp"
#include "daemon/base/wakeup.hpp"
#include "daemon/net/http_client.hpp"
#include "daemon/webhooks/outbox.hpp"
#include "daemon/webhooks/policy.hpp"
#include "daemon/webhooks/settings.hpp"

namespace runledger {

// Written by the webhooks thread, read by anybody.
struct WebhookCounters {
    std::atomic<std::uint64_t> delivered{0};     // Answered 2xx.
    std::atomic<std::uint64_t> retried{0};       // Put off.
    std::atomic<std::uint64_t> held{0};          // Put off, as the receiver has asked: Retry-After.
    std::atomic<std::uint64_t> dropped{0};       // Progress that was not delivered; later progress is.
    std::atomic<std::uint64_t> gone{0};          // Given up: answered 410.
    std::atomic<std::uint64_t> forbidden{0};     // Given up: metadata.webhookUrl is no URL that can be called.
    std::atomic<std::uint64_t> expired{0};       // Given up: had waited past give_up_days.
    std::atomic<std::uint64_t> turns_failed{0};  // For PostgreSQL's sake.
    std::atomic<std::uint64_t> in_flight{0};     // Leased at this moment.
    std::atomic<std::uint64_t> hosts_closed{0};  // As of the last look.
};

namespace webhooks {

// What no operator needs to turn; tests do.
struct Tuning {
    std::size_t in_flight_max{256};
    std::chrono::milliseconds poll_interval{std::chrono::seconds{1}};  // Behind the wake-ups.
    // Least time between two looks at the outbox: what ends or is settled meanwhile is stored and leased together. It
    // is not waited for if an attempt has ended at a host that had as many under way as it may have. Else at 200
    // settlements a second most of PostgreSQL's work for webhooks is BEGIN and COMMIT, and Telegram's messages wait for
    // it (docs/benchmarks/webhooks.md).
    std::chrono::milliseconds gather_interval{25};
    std::chrono::milliseconds stop_bound{std::chrono::seconds{3}};
    // For tests, which have only loopback: what the URLs of metadata may lead to, more authorities, names' addresses
    // and the port, as HttpClient::Options has them.
    std::function<bool(const sockaddr&, socklen_t)> is_allowed_address{};
    std::string ca_file{};
    std::vector<std::string> resolved{};
    std::uint16_t port{0};
};

class Sender {
public:
    // `lease_owner` names this process and no other. `wakeup` is notified when something may be to be sent.
    Sender(WebhookSettings settings, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
           WebhookCounters& counters, Tuning tuning = {});

    // Before run(), on the thread that will settle or start it: from its return on, settlements write webhooks by the
    // settings. If PostgreSQL refuses, run() tries again.
    void publish() noexcept;

    // The thread's body, until the wakeup is stopped; then what is in flight gets stop_bound to end. Never throws.
    void run() noexcept;
    [[nodiscard]] const Heartbeat& heartbeat() const noexcept { return heartbeat_; }
    // From any thread: used as soon as the calls in flight have ended.
    void use(WebhookSettings settings) {
        next_settings_.offer(std::move(settings));
        wakeup_.notify();
    }

private:
    using Time = std::chrono::steady_clock::time_point;

    void turn();
    void take_change();
    [[nodiscard]] bool make_ready();  // False: there is nothing to send with, or nothing to send.
    void make_clients();
    void finish();

    [[nodiscard]] std::size_t room() const noexcept;  // How many more may be leased.
    void store_and_look(Time now);
    void look(Time now);
    void take_stored(std::span<const Outbox::Stored> stored);  // Of outcomes_, which end with it.
    void take_leased(Time now, Outbox::Taken taken, std::size_t count_max);
    void look_soon();  // Something has ended, or may be due.
    [[nodiscard]] unsigned attempts_at(std::string_view host) const;
    void tell_progress(Time now);
    [[nodiscard]] bool store_outcomes();  // True: none is left.
    void database_failed(const std::exception& error);

    void begin(Leased row);
    [[nodiscard]] std::optional<Decision> refusal_of(const Leased& row) const;
    void drive(std::chrono::milliseconds bound);
    void take(HttpClient::Ended ended);
    void end(const Leased& row, Decision decision);
    void log_host(const Outcome& outcome, std::optional<unsigned> failures) const;
    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] double chance() { return std::uniform_real_distribution<double>{0.0, 1.0}(random_); }

    WebhookSettings settings_;
    SettingsChange<WebhookSettings> next_settings_;
    Tuning tuning_;
    Policy policy_;
    Wakeup& wakeup_;
    WebhookCounters& counters_;
    std::minstd_rand random_;

    Outbox outbox_;
    struct {
        Backoff backoff{{}};
        Time retry_at{};
        std::uint64_t failures{0};  // In a row.
        bool failure_is_said{false};
    } database_;
    bool is_published_{false};
    bool has_changed_{false};  // Since the start.
    Time next_look_{};
    Time gathers_until_{};  // No look before it.
    Time next_progress_look_{};

    std::optional<HttpClient> guarded_;  // To the open Internet alone, by https.
    std::optional<HttpClient> inner_;    // To [webhooks] url, if that may be an inner address.
    std::map<std::int64_t, Leased> calling_;
    std::vector<Outcome> outcomes_;  // Not stored yet.
    Heartbeat heartbeat_;
};

}  // namespace webhooks
}  // namespace runledger
