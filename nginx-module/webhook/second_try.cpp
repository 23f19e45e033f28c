#include "nginx-module/webhook/second_try.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <utility>

#include "common/digest.hpp"
#include "common/limits.hpp"
#include "common/wire.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/webhook/authenticate.hpp"
#include "nginx-module/webhook/body.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] Keeper* find_keeper() noexcept {
    Worker* worker = Worker::current();
    return worker != nullptr ? worker->keeper() : nullptr;
}

[[nodiscard]] const ngx_http_core_loc_conf_t& core_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<ngx_http_core_loc_conf_t*>(ngx_http_get_module_loc_conf(&request, ngx_http_core_module));
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

// The network that one client can have for its own: of IPv6, the first 64 bits.
[[nodiscard]] std::uint32_t sender_of(const ngx_http_request_t& request) noexcept {
    const sockaddr* address = request.connection->sockaddr;
    std::span<const std::byte> network;
    if (address->sa_family == AF_INET) {
        // NOLINTNEXTLINE: as the family says.
        network = std::as_bytes(std::span(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 1));
    } else if (address->sa_family == AF_INET6) {
        // NOLINTNEXTLINE: as above.
        network = std::as_bytes(std::span(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 1)).first(8);
    }
    return static_cast<std::uint32_t>(checksum64(network));
}

[[nodiscard]] std::string_view value_of(const ngx_table_elt_t* header) noexcept {
    return header != nullptr ? view(header->value) : std::string_view{};
}

[[nodiscard]] RefusedRequest describe_request(const ngx_http_request_t& request, const Stamp& stamp,
                                              RefusedFor reason) {
    RefusedRequest described;
    described.sender = sender_of(request);
    RefusedBody& refused = described.refused;
    refused.stamp = stamp;
    refused.flags = request.method == NGX_HTTP_GET ? wire::redelivered : 0U;
    refused.reason = reason;
    refused.location = view(core_conf(request).name);
    refused.address = view(request.connection->addr_text);
    refused.content_type = value_of(request.headers_in.content_type);
    refused.user_agent = value_of(request.headers_in.user_agent);
    return described;
}

}  // namespace

std::optional<RefusedTicket> admit_refused(const ngx_http_request_t& request, bool is_fit) {
    Keeper* keeper = find_keeper();
    if (keeper == nullptr) {
        return std::nullopt;
    }
    // nginx would write a larger body to a temporary file, in the event loop: not for a stranger.
    const off_t bytes = request.headers_in.content_length_n;
    const auto bytes_max = static_cast<off_t>(std::min(core_conf(request).client_body_buffer_size, body_bytes_max));
    if (!is_fit || bytes <= 0 || bytes > bytes_max || core_conf(request).client_body_in_file_only != 0) {
        keeper->count_unfit();
        return std::nullopt;
    }
    // Who sends slowly keeps a connection for as long: the last quarter of them is for others.
    if (ngx_cycle->free_connection_n < ngx_cycle->connection_n / 4) {
        keeper->count_over_rate();
        return std::nullopt;
    }
    return keeper->admit(static_cast<std::size_t>(bytes), std::chrono::steady_clock::now());
}

void keep_refused_token(const ngx_http_request_t& request, const Stamp& stamp, RefusedTicket ticket) noexcept {
    guarded_run(request.connection->log, "keep a refused body", [&] {
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
    guarded_run(request.connection->log, "keep a refused body", [&] {
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
