#include "daemon/telegram/fetch.hpp"

#include <fmt/format.h>

#include <utility>

#include "daemon/net/public_host.hpp"

namespace runledger::telegram {
namespace {

constexpr std::chrono::milliseconds connect_timeout_max{5000};
constexpr std::uint16_t https_port = 443;

bool is_public(const sockaddr& address, socklen_t length) { return is_public_address(address, length); }

// On a connection of each fetch's own: no address is used that another one was checked for.
HttpClient::Options client_options(Fetcher::Options options) {
    HttpClient::Options made{.timeout = options.timeout,
                             .connect_timeout_max = connect_timeout_max,
                             .connections = HttpClient::Connections::fresh,
                             .is_https_only = true,
                             .ca_file = std::move(options.ca_file),
                             .resolved = std::move(options.resolved),
                             .is_allowed_address = std::move(options.is_allowed_address)};
    if (!made.is_allowed_address) {
        made.is_allowed_address = is_public;
    }
    if (options.port != https_port) {
        made.port = options.port;
    }
    return made;
}

Fetched result_of(HttpResponse response) {
    switch (response.end) {
        case HttpEnd::too_large:
            return {.verdict = FetchVerdict::too_large, .why = "has " + response.why};
        case HttpEnd::forbidden_address:
            return {.verdict = FetchVerdict::forbidden, .why = "leads to an address that is not on the open Internet"};
        case HttpEnd::bad_url:
        case HttpEnd::not_begun:
        case HttpEnd::failed:
        case HttpEnd::aborted:
            return {.verdict = FetchVerdict::unreachable, .why = std::move(response.why)};
        case HttpEnd::complete:
            break;
    }
    if (response.status == 200) {
        return {.verdict = FetchVerdict::fetched, .bytes = std::move(response.body)};
    }
    const bool is_gone =
        response.status == 401 || response.status == 403 || response.status == 404 || response.status == 410;
    return {.verdict = is_gone ? FetchVerdict::gone : FetchVerdict::unreachable,
            .why = fmt::format("is answered with HTTP {}", response.status)};
}

}  // namespace

Fetcher::Fetcher(Options options)
    : host_suffixes_(std::move(options.host_suffixes)), client_(client_options(std::move(options))) {}

bool Fetcher::may_fetch(std::string_view url) const {
    const auto host = find_https_host(url);
    return host && is_configured_host(*host, host_suffixes_);
}

void Fetcher::fetch(const Request& request) {
    if (!may_fetch(request.url)) {
        not_begun_.push_back(
            {request.ticket, {.verdict = FetchVerdict::forbidden, .why = "is at no configured https host"}});
        return;
    }
    client_.begin({.ticket = request.ticket, .url = request.url, .response_bytes_max = request.bytes_max});
}

std::vector<Fetcher::Ended> Fetcher::drive(std::chrono::milliseconds bound, int interrupt) {
    std::vector<Ended> ended = std::exchange(not_begun_, {});
    for (HttpClient::Ended& each : client_.drive(ended.empty() ? bound : std::chrono::milliseconds{0}, interrupt)) {
        ended.push_back({each.ticket, result_of(std::move(each.response))});
    }
    return ended;
}

void Fetcher::abort_all() {
    not_begun_.clear();
    (void)client_.abort_all();  // What was fetched so far is of no use to anybody.
}

}  // namespace runledger::telegram
