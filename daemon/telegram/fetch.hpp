// What the daemon fetches by itself, so that Telegram need not: the bytes behind a link of a run's outputs.
//
// Anybody who can post an event chooses these links (docs/bot-api.md, "Links from strangers"). So: https only, hosts
// of configured suffixes only, resolved once, no connection to an address that is not on the open Internet, no
// redirect, no proxy, bounded in bytes and time. The address that is checked is the very one that is then connected to,
// so a name server that changes its mind changes nothing. One thread owns it.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/net/http_client.hpp"

namespace runledger::telegram {

enum class FetchVerdict : std::uint8_t {
    fetched,
    gone,         // The host says that there is nothing (any more): 401, 403, 404, 410.
    too_large,    // More than bytes_max, so it answers; Telegram may still take it by its URL.
    forbidden,    // By the rule above: it is not fetched, and nothing was said to anybody.
    unreachable,  // No answer in time, or one that says nothing of the link.
};

struct Fetched {
    FetchVerdict verdict{};
    std::string bytes{};  // With `fetched`.
    std::string why{};    // For people, else; without the link.
};

class Fetcher {
public:
    struct Options {
        std::vector<std::string> host_suffixes{};  // In lower case. None: nothing is ever fetched.
        std::chrono::milliseconds timeout{std::chrono::seconds{10}};
        // For tests, which have only loopback: what may be connected to, more authorities, and names' addresses, each
        // "host:443:address" with several addresses where there are commas, or "host:443:address:port".
        std::function<bool(const sockaddr&, socklen_t)> is_allowed_address{};
        std::string ca_file{};
        std::vector<std::string> resolved{};
        std::uint16_t port{443};
    };
    using Ticket = HttpTicket;
    struct Ended {
        Ticket ticket{};
        Fetched result;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit Fetcher(Options options);

    // Whether the daemon is to fetch from there at all.
    [[nodiscard]] bool may_fetch(std::string_view url) const;

    struct Request {
        Ticket ticket{};  // Must not be in flight.
        std::string url;
        std::size_t bytes_max{};
    };
    // It always ends, in drive(), or without a word in abort_all().
    void fetch(const Request& request);
    // As HttpClient::drive().
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound, int interrupt = -1);
    void abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept { return client_.in_flight() + not_begun_.size(); }

private:
    std::vector<std::string> host_suffixes_;
    HttpClient client_;
    std::vector<Ended> not_begun_;
};

}  // namespace runledger::telegram
