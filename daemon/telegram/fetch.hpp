// What the daemon fetches by itself, so that Telegram need not: the bytes behind a link of a run's outputs.
//
// Anybody who can post an event chooses these links (docs/bot-api.md, "Links from strangers"). So: https only, hosts
// of configured suffixes only, resolved once, no connection to an address that is not on the open Internet, no
// redirect, no proxy, bounded in bytes and time. The address that is checked is the very one that is then connected to,
// so a name server that changes its mind changes nothing. One thread owns it.
#pragma once

#include <curl/curl.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
    using Ticket = std::int64_t;
    struct Ended {
        Ticket ticket{};
        Fetched result;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit Fetcher(Options options);
    ~Fetcher();
    Fetcher(const Fetcher&) = delete;
    Fetcher& operator=(const Fetcher&) = delete;

    // Whether the daemon is to fetch from there at all.
    [[nodiscard]] bool may_fetch(std::string_view url) const;

    struct Request {
        Ticket ticket{};  // Must not be in flight.
        std::string url;
        std::size_t bytes_max{};
    };
    // It always ends, in drive(), or without a word in abort_all().
    void fetch(const Request& request);
    // As BotApi::drive().
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound, int interrupt = -1);
    void abort_all() noexcept;

    [[nodiscard]] std::size_t in_flight() const noexcept { return fetches_.size() + not_begun_.size(); }

private:
    struct Fetch;
    struct MultiDeleter {
        void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
    };
    struct ListDeleter {
        void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
    };

    void set_up(Fetch& fetch, const std::string& url);
    void collect(std::vector<Ended>& ended);
    [[nodiscard]] Fetched result_of(Fetch& fetch, CURLcode code) const;

    Options options_;
    std::unique_ptr<CURLM, MultiDeleter> multi_;
    std::unique_ptr<curl_slist, ListDeleter> resolved_;
    std::unordered_map<Ticket, std::unique_ptr<Fetch>> fetches_;
    std::vector<Ended> not_begun_;
};

}  // namespace runledger::telegram
