#include "daemon/webhooks/sender.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include "daemon/net/public_host.hpp"
#include "daemon/webhooks/signature.hpp"

namespace runledger::webhooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds drive_bound{50};  // How late a stop is seen while calls are in flight.
constexpr milliseconds drive_bound_beside_others{5};
constexpr milliseconds stop_pause{20};
constexpr milliseconds pause_after_a_fault{500};
constexpr std::size_t leases_a_look_max = 32;
constexpr milliseconds progress_look_interval_max{1000};

Policy policy_of(const WebhookSettings& settings) {
    return {.retry_delay_min = settings.retry_delay_min,
            .retry_delay_max = settings.retry_delay_max,
            .retry_after_max = settings.retry_after_max};
}

bool is_public(const sockaddr& address, socklen_t length) { return is_public_address(address, length); }

std::int64_t unix_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

Sender::Sender(WebhookSettings settings, std::string postgres_uri, std::string lease_owner, Wakeup& wakeup,
               WebhookCounters& counters, Tuning tuning)
    : settings_(std::move(settings)),
      tuning_(std::move(tuning)),
      policy_(policy_of(settings_)),
      wakeup_(wakeup),
      counters_(counters),
      random_(std::random_device{}()),
      outbox_(std::move(postgres_uri), std::move(lease_owner)) {}

void Sender::publish() noexcept {
    try {
        outbox_.publish(settings_, has_changed_);
        is_published_ = true;
    } catch (const std::exception& error) {
        database_failed(error);
    }
}

void Sender::run() noexcept {
    try {
        while (!wakeup_.is_stopped()) {
            heartbeat_.beat();
            try {
                turn();
            } catch (const std::exception& error) {
                // Lack of memory, or a bug of ours. A webhook whose outcome is lost comes back when its lease ends.
                ++counters_.turns_failed;
                spdlog::critical("the turn of webhooks failed error={:?}", std::string_view(error.what()));
                (void)wakeup_.pause(pause_after_a_fault);  // Whether to go on is asked by the loop.
            }
        }
        finish();
    } catch (...) {
        // Even the log refuses. The leases run out by themselves.
        counters_.turns_failed.fetch_add(1);
    }
}

void Sender::turn() {
    take_change();
    const auto now = steady_clock::now();
    if (!is_published_ && now >= database_.retry_at) {
        publish();
    }
    if (!make_ready()) {
        if (!is_published_) {
            (void)wakeup_.pause(std::clamp(std::chrono::ceil<milliseconds>(database_.retry_at - now), milliseconds{1},
                                           tuning_.poll_interval));  // The loop asks whether to go on.
            return;
        }
        counters_.hosts_closed = 0;  // Webhooks are off, and nobody looks.
        heartbeat_.rest();
        (void)wakeup_.wait(std::chrono::hours{1});
        return;
    }
    if (settings_.tells_progress() && now >= next_progress_look_ && now >= database_.retry_at &&
        !next_settings_.waits()) {
        tell_progress(now);
    }
    if (now >= next_look_ && now >= database_.retry_at) {
        if (!outcomes_.empty() && database_.failures == 0 && room() > 0 && !next_settings_.waits()) {
            store_and_look(now);
        } else if (store_outcomes() && !next_settings_.waits()) {
            look(now);
        }
    }
    const auto next = std::max(next_look_, database_.retry_at);
    const auto bound =
        std::clamp(std::chrono::ceil<milliseconds>(next - steady_clock::now()), milliseconds{0}, tuning_.poll_interval);
    if (in_flight() > 0) {
        drive(std::min(std::max(bound, milliseconds{1}), drive_bound));
        if (wakeup_.take_notice()) {
            look_soon();
        }
    } else if (bound.count() > 0 && wakeup_.wait(bound)) {
        look_soon();  // Woken, or waited long enough.
    }
}

// An event is sent by one configuration, so what is in flight ends first. Nothing is leased meanwhile.
void Sender::take_change() {
    if (!next_settings_.waits() || !calling_.empty() || !store_outcomes()) {
        return;
    }
    auto settings = next_settings_.take();
    settings_ = std::move(settings.value());
    policy_ = policy_of(settings_);
    guarded_.reset();
    inner_.reset();
    is_published_ = false;
    has_changed_ = true;
    next_look_ = Time{};
    spdlog::info("webhooks are sent by the new configuration webhooks={}", settings_.is_on() ? "on" : "off");
}

bool Sender::make_ready() {
    if (!settings_.is_on()) {
        return false;
    }
    if (!guarded_) {
        make_clients();
    }
    return true;
}

void Sender::make_clients() {
    // No connection is one call's own: the address was checked when it was made, by a rule that is the same for all.
    HttpClient::Options options{.timeout = settings_.timeout,
                                .connections = HttpClient::Connections::exclusive,
                                .is_https_only = true,
                                .port = tuning_.port,
                                .ca_file = tuning_.ca_file,
                                .resolved = tuning_.resolved,
                                .is_allowed_address = tuning_.is_allowed_address};
    if (!options.is_allowed_address) {
        options.is_allowed_address = is_public;
    }
    if (settings_.url_is_inner) {
        HttpClient::Options inner{.timeout = settings_.timeout,
                                  .connections = HttpClient::Connections::exclusive,
                                  .ca_file = tuning_.ca_file};
        // What goes over http must not leave the operator's network.
        const bool is_https = settings_.url.starts_with("https:");
        inner.is_https_only = is_https;
        inner.is_allowed_address = [is_https](const sockaddr& address, socklen_t length) {
            return is_https || !is_public_address(address, length);
        };
        inner_.emplace(std::move(inner));
    }
    guarded_.emplace(std::move(options));
}

std::size_t Sender::in_flight() const noexcept {
    return (guarded_ ? guarded_->in_flight() : 0) + (inner_ ? inner_->in_flight() : 0);
}

// Why it is not sent as things are; nothing: it is.
std::optional<Decision> Sender::refusal_of(const Leased& row) const {
    if (row.is_late) {
        return Decision{.verdict = Verdict::dropped, .error = "the run has ended"};
    }
    // When it was written the configuration allowed its place. It waits for that to be so again.
    const Verdict not_now = row.is_progress ? Verdict::dropped : Verdict::later;
    if (!row.url) {
        return settings_.url.empty()
                   ? std::optional(Decision{
                         .verdict = not_now, .delay = settings_.retry_delay_max, .error = "[webhooks] has no url now"})
                   : std::nullopt;
    }
    const auto host = find_https_host(*row.url);
    if (!host) {
        return Decision{.verdict = Verdict::forbidden, .error = "metadata.webhookUrl names no https host"};
    }
    if (!is_configured_host(*host, settings_.host_suffixes)) {
        return Decision{.verdict = not_now,
                        .delay = settings_.retry_delay_max,
                        .error = "metadata.webhookUrl names no https host of [webhooks] host_suffixes"};
    }
    return std::nullopt;
}

void Sender::begin(Leased row) {
    if (auto refusal = refusal_of(row)) {
        end(row, std::move(*refusal));
        return;
    }
    HttpClient& client = !row.url && inner_ ? *inner_ : *guarded_;
    const std::int64_t timestamp = unix_seconds();
    HttpRequest request{.ticket = row.id,
                        .url = row.url ? *row.url : settings_.url,
                        .content = HttpRequest::PostJson{.body = row.body},
                        .response_bytes_max = answer_bytes_max,
                        .is_cut = true};
    request.headers = {
        fmt::format("webhook-id: {}", row.webhook_id), fmt::format("webhook-timestamp: {}", timestamp),
        fmt::format("webhook-signature: {}",
                    signature_of({.id = row.webhook_id, .timestamp = timestamp, .body = row.body}, settings_.secrets))};
    const std::int64_t id = row.id;
    row.body.clear();
    calling_.insert_or_assign(id, std::move(row));
    client.begin(std::move(request));
}

void Sender::drive(milliseconds bound) {
    const int interrupt = wakeup_.is_stopped() ? -1 : wakeup_.descriptor();
    std::vector<HttpClient::Ended> ended;
    const bool are_both = inner_ && inner_->in_flight() > 0 && guarded_ && guarded_->in_flight() > 0;
    for (auto* client : {&inner_, &guarded_}) {
        if (*client && (*client)->in_flight() > 0) {
            for (HttpClient::Ended& each : (*client)->drive(are_both ? drive_bound_beside_others : bound, interrupt)) {
                ended.push_back(std::move(each));
            }
        }
    }
    for (HttpClient::Ended& each : ended) {
        take(std::move(each));
    }
}

void Sender::take(HttpClient::Ended ended) {
    const auto found = calling_.extract(ended.ticket);
    if (found.empty()) {
        return;  // A bug of ours has ended it already.
    }
    const Leased& row = found.mapped();
    if (attempts_at(row.host) + 1 >= settings_.concurrency) {
        gathers_until_ = Time{};  // More for this host may have waited for this end.
    }
    end(row, decide(ended.response, {.attempts = row.attempts, .is_progress = row.is_progress, .url_is_ours = !row.url},
                    policy_, chance()));
}

void Sender::end(const Leased& row, Decision decision) {
    const bool is_of_a_group = row.run_id.empty();
    const auto who =
        fmt::format("notification={} {}={:?} webhook_id={} host={:?} attempt={}", row.id,
                    is_of_a_group ? "group_id" : "run_id", std::string_view(is_of_a_group ? row.group_id : row.run_id),
                    row.webhook_id, std::string_view(row.host), row.attempts);
    const std::string_view error = decision.error;
    switch (decision.verdict) {
        case Verdict::delivered:
            ++counters_.delivered;
            spdlog::info("webhook delivered {} status={} waited_ms={}", who, decision.status, row.age.count());
            break;
        case Verdict::later:
            ++counters_.retried;
            spdlog::warn("webhook postponed {} delay_ms={} error={:?}", who, decision.delay.count(), error);
            break;
        case Verdict::held:
            ++counters_.held;
            spdlog::warn("webhook postponed, as its receiver asks {} delay_ms={} error={:?}", who,
                         decision.delay.count(), error);
            break;
        case Verdict::dropped:
            ++counters_.dropped;
            spdlog::info("progress is not delivered {} error={:?}", who, error);
            break;
        case Verdict::gone:
            ++counters_.gone;
            spdlog::error("webhook dead {} error={:?}", who, error);
            break;
        case Verdict::forbidden:
            ++counters_.forbidden;
            spdlog::error("webhook dead {} error={:?}", who, error);
            break;
        case Verdict::aborted:
            break;
    }
    outcomes_.push_back({.id = row.id, .host = row.host, .decision = std::move(decision)});
    look_soon();  // It is to be stored, there is room, and the run may have more.
}

void Sender::tell_progress(Time now) {
    next_progress_look_ = now + std::min(settings_.progress_interval, progress_look_interval_max);
    try {
        outbox_.tell_progress(settings_);
        look_soon();
    } catch (const std::exception& error) {
        database_failed(error);
    }
}

std::size_t Sender::room() const noexcept {
    return std::min(leases_a_look_max,
                    tuning_.in_flight_max > calling_.size() ? tuning_.in_flight_max - calling_.size() : 0);
}

// The usual case while there is much to do: one COMMIT for both.
void Sender::store_and_look(Time now) {
    const std::size_t count_max = room();
    Outbox::Exchanged exchanged;
    try {
        exchanged = outbox_.store_and_lease(settings_, outcomes_, count_max);
    } catch (const std::exception& error) {
        database_failed(error);
        return;
    }
    heartbeat_.work();
    take_stored(exchanged.stored);
    take_leased(now, std::move(exchanged.taken), count_max);
}

void Sender::look(Time now) {
    Outbox::Taken taken;
    const std::size_t count_max = room();
    if (count_max > 0) {
        try {
            if (database_.failures > 0) {
                std::vector<std::int64_t> held;
                for (const auto& [id, row] : calling_) {
                    held.push_back(id);
                }
                outbox_.recover(held);
            }
            taken = outbox_.lease(settings_, count_max);
        } catch (const std::exception& error) {
            database_failed(error);
            return;
        }
        heartbeat_.work();
        if (std::exchange(database_.failures, 0) > 0) {
            database_.backoff.reset();
            if (std::exchange(database_.failure_is_said, false)) {
                spdlog::info("the transactions of webhooks succeed again");
            }
        }
    }
    take_leased(now, std::move(taken), count_max);
}

void Sender::take_leased(Time now, Outbox::Taken taken, std::size_t count_max) {
    if (count_max > 0) {
        counters_.hosts_closed = taken.hosts_closed;
    }
    if (taken.given_up > 0) {
        counters_.expired += taken.given_up;
        spdlog::error("webhooks were given up, they had waited past give_up_days notifications={}", taken.given_up);
    }
    next_look_ = now + tuning_.poll_interval;
    gathers_until_ = now + tuning_.gather_interval;
    for (Leased& row : taken.leased) {
        if (!calling_.contains(row.id)) {  // Else a crash of PostgreSQL has undone the lease of a call that goes on.
            begin(std::move(row));
        }
    }
    if (taken.leased.size() == count_max) {
        gathers_until_ = Time{};  // There may be more.
    }
    if (!taken.leased.empty()) {
        look_soon();
    }
    counters_.in_flight = calling_.size();
}

void Sender::look_soon() { next_look_ = std::min(next_look_, gathers_until_); }

unsigned Sender::attempts_at(std::string_view host) const {
    return static_cast<unsigned>(
        std::ranges::count_if(calling_, [&](const auto& call) { return call.second.host == host; }));
}

bool Sender::store_outcomes() {
    if (outcomes_.empty()) {
        return true;
    }
    if (steady_clock::now() < database_.retry_at && !wakeup_.is_stopped()) {
        return false;
    }
    std::vector<Outbox::Stored> stored;
    try {
        stored = outbox_.store(settings_, outcomes_);
    } catch (const std::exception& error) {
        // Safe to repeat: what has landed is no longer leased by us, and is passed by.
        database_failed(error);
        return false;
    }
    take_stored(stored);
    return true;
}

void Sender::take_stored(std::span<const Outbox::Stored> stored) {
    for (std::size_t i = 0; i < stored.size(); ++i) {
        if (!stored[i].is_ours) {
            spdlog::warn("a webhook's lease was lost notification={}", outcomes_[i].id);
        }
        log_host(outcomes_[i], stored[i].host_failures);
    }
    outcomes_.clear();
    counters_.in_flight = calling_.size();
}

void Sender::log_host(const Outcome& outcome, std::optional<unsigned> failures) const {
    const std::string_view host = outcome.host;
    if (!failures) {
        return;
    }
    if (outcome.decision.verdict == Verdict::delivered) {
        if (*failures >= settings_.breaker_failures) {
            spdlog::info("a receiver of webhooks accepts them again host={:?} failures={}", host, *failures);
        }
    } else if (*failures == settings_.breaker_failures && outcome.decision.host_fails) {
        spdlog::error("a receiver of webhooks fails, it gets one at a time host={:?} failures={} error={:?}", host,
                      *failures, std::string_view(outcome.decision.error));
    }
}

void Sender::database_failed(const std::exception& error) {
    ++counters_.turns_failed;
    heartbeat_.fail();
    ++database_.failures;
    const auto delay = database_.backoff.next();
    if (!outbox_.give_up(error) && !std::exchange(database_.failure_is_said, true)) {
        spdlog::warn("the transaction of webhooks failed, trying again error={:?} delay_ms={}",
                     std::string_view(error.what()), delay.count());
    }
    database_.retry_at = steady_clock::now() + delay;
    next_look_ = database_.retry_at;
}

// What is not answered in time is sent again later, by its id.
void Sender::finish() {
    const auto stop_at = steady_clock::now() + tuning_.stop_bound;
    outbox_.hurry(std::max(tuning_.stop_bound / 4, milliseconds{100}));
    for (auto now = steady_clock::now(); in_flight() > 0 && now < stop_at - tuning_.stop_bound / 2;
         now = steady_clock::now()) {
        drive(drive_bound);
    }
    for (auto* client : {&inner_, &guarded_}) {
        if (*client) {
            for (HttpClient::Ended& each : (*client)->abort_all()) {
                take(std::move(each));
            }
        }
    }
    while (!store_outcomes() && steady_clock::now() < stop_at) {
        // The wakeup is stopped: its pause() no longer waits.
        std::this_thread::sleep_for(stop_pause);
    }
    outbox_.disconnect();
}

}  // namespace runledger::webhooks
