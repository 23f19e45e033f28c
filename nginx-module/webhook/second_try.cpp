#include "nginx-module/webhook/second_try.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>

#include "common/digest.hpp"
#include "common/limits.hpp"
#include "common/wire.hpp"
#include "nginx-module/nginx/body.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/event_loop.hpp"
#include "nginx-module/nginx/request.hpp"
#include "nginx-module/webhook/authenticate.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] Keeper* find_keeper() noexcept {
    Worker* worker = Worker::current();
    return worker != nullptr ? worker->keeper() : nullptr;
}

// Enough to tell wrong tokens apart, and to find one's own: printf %s TOKEN | sha256sum.
[[nodiscard]] std::string to_short_hex(const TokenDigest& digest) {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::size_t bytes_shown = 8;
    std::string text;
    for (const std::uint8_t byte : std::span(digest).first(bytes_shown)) {
        text.push_back(digits[byte >> 4U]);
        text.push_back(digits[byte & 0x0FU]);
    }
    return text;
}

[[nodiscard]] RefusedRequest describe_request(const ngx_http_request_t& request, const Stamp& stamp,
                                              RefusedFor reason) {
    RefusedRequest described;
    described.sender = static_cast<std::uint32_t>(checksum64(client_network(request)));
    RefusedBody& refused = described.refused;
    refused.stamp = stamp;
    refused.flags = is_get(request) ? wire::redelivered : 0U;
    refused.reason = reason;
    refused.location = location_name(request);
    refused.address = client_address(request);
    refused.content_type = content_type(request).value_or(std::string_view{});
    refused.user_agent = user_agent(request).value_or(std::string_view{});
    return described;
}

}  // namespace

std::optional<RefusedTicket> admit_refused(const ngx_http_request_t& request, bool is_fit) {
    Keeper* keeper = find_keeper();
    if (keeper == nullptr) {
        return std::nullopt;
    }
    // nginx would write a larger body to a temporary file, in the event loop: not for a stranger.
    const std::size_t bytes = content_length(request).value_or(0);
    if (!is_fit || bytes == 0 || bytes > std::min(body_in_memory_bytes_max(request), body_bytes_max)) {
        keeper->count_unfit();
        return std::nullopt;
    }
    // Who sends slowly keeps a connection for as long: the last quarter of them is for others.
    if (is_last_quarter_of_connections()) {
        keeper->count_over_rate();
        return std::nullopt;
    }
    return keeper->admit(bytes, std::chrono::steady_clock::now());
}

void keep_refused_token(const ngx_http_request_t& request, const Stamp& stamp, RefusedTicket ticket) noexcept {
    guarded_run(log_of(request), "keep a refused body", [&] {
        Keeper* keeper = find_keeper();
        const TokenRule* rule = location_conf(request).token_rule();
        if (keeper == nullptr || rule == nullptr) {
            return;
        }
        RefusedRequest described = describe_request(request, stamp, RefusedFor::token);
        HeldEvent event;
        take_body(request, event);
        if (event.body_fd != -1 || event.body.empty()) {  // Read by another location, into a file.
            keeper->count_unfit();
            return;
        }
        described.refused.body = std::move(event.body);
        if (const auto presented = find_presented(request, *rule)) {
            described.refused.token_digest = to_short_hex(*presented);
        }
        keeper->keep(std::move(ticket), std::move(described));
    });
}

void keep_refused_json(const ngx_http_request_t& request, HeldEvent& event, std::string_view token_name,
                       const Refusal& refusal) noexcept {
    guarded_run(log_of(request), "keep a refused body", [&] {
        Keeper* keeper = find_keeper();
        if (keeper == nullptr || event.body.empty()) {
            return;
        }
        auto ticket = keeper->admit(event.body.size(), std::chrono::steady_clock::now());
        if (!ticket) {
            return;
        }
        RefusedRequest described = describe_request(request, event.stamp, RefusedFor::json);
        described.refused.flags = event.flags;
        described.refused.fault = to_word(refusal.fault);
        described.refused.token_name = token_name;
        described.refused.body = std::move(event.body);
        keeper->keep(std::move(*ticket), std::move(described));
    });
}

}  // namespace runledger::edge
