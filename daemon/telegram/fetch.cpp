#include "daemon/telegram/fetch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

#include "daemon/telegram/link.hpp"

namespace runledger::telegram {
namespace {

constexpr std::chrono::milliseconds connect_timeout_max{5000};
constexpr long https_port = 443;

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
        throw std::runtime_error(
            fmt::format("libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
    }
}

}  // namespace

struct Fetcher::Fetch {
    struct EasyDeleter {
        void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    };

    Ticket ticket{};
    const Options* options{};
    std::size_t bytes_max{};
    std::string bytes;
    bool is_too_large{false};
    bool met_forbidden_address{false};
    std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};

    static std::size_t take_bytes(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
        auto& fetch = *static_cast<Fetch*>(self);
        if (fetch.bytes.size() + size * count > fetch.bytes_max) {
            fetch.is_too_large = true;
            return 0;  // Ends it with CURLE_WRITE_ERROR.
        }
        try {
            fetch.bytes.append(bytes, size * count);
        } catch (const std::bad_alloc&) {
            return 0;  // No exception may cross libcurl.
        }
        return size * count;
    }

    // Makes the socket for the address that is connected to next: the one place where it is known for certain.
    static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept {
        auto& fetch = *static_cast<Fetch*>(self);
        bool is_allowed = false;
        try {
            const auto& rule = fetch.options->is_allowed_address;
            is_allowed = purpose == CURLSOCKTYPE_IPCXN && (rule ? rule(address->addr, address->addrlen)
                                                                : is_public_address(address->addr, address->addrlen));
        } catch (...) {
            is_allowed = false;  // A rule that can't be asked allows nothing.
        }
        if (!is_allowed) {
            fetch.met_forbidden_address = true;
            return CURL_SOCKET_BAD;
        }
        return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
};

Fetcher::Fetcher(Options options) : options_(std::move(options)), multi_(curl_multi_init()) {
    if (!multi_) {
        throw std::runtime_error("libcurl: no multi handle");
    }
    for (const std::string& entry : options_.resolved) {
        curl_slist* longer = curl_slist_append(resolved_.get(), entry.c_str());
        if (longer == nullptr) {
            throw std::runtime_error("libcurl: out of memory");
        }
        (void)resolved_.release();  // The longer list holds it.
        resolved_.reset(longer);
    }
}

Fetcher::~Fetcher() { abort_all(); }

bool Fetcher::may_fetch(std::string_view url) const {
    const auto host = find_fetch_host(url);
    return host && is_configured_host(*host, options_.host_suffixes);
}

void Fetcher::fetch(const Request& request) {
    if (!may_fetch(request.url)) {
        not_begun_.push_back(
            {request.ticket, {.verdict = FetchVerdict::forbidden, .why = "is at no configured https host"}});
        return;
    }
    auto fetch = std::make_unique<Fetch>();
    fetch->ticket = request.ticket;
    fetch->options = &options_;
    fetch->bytes_max = request.bytes_max;
    try {
        set_up(*fetch, request.url);
        if (const CURLMcode code = curl_multi_add_handle(multi_.get(), fetch->easy.get()); code != CURLM_OK) {
            throw std::runtime_error(curl_multi_strerror(code));
        }
    } catch (const std::runtime_error& error) {
        not_begun_.push_back({request.ticket, {.verdict = FetchVerdict::unreachable, .why = error.what()}});
        return;
    }
    fetches_.insert_or_assign(request.ticket, std::move(fetch));
}

void Fetcher::set_up(Fetch& fetch, const std::string& url) {
    CURL* easy = fetch.easy.get();
    if (easy == nullptr) {
        throw std::runtime_error("libcurl: no handle");
    }
    const auto timeout = static_cast<long>(options_.timeout.count());
    set(easy, CURLOPT_URL, url.c_str());
    set(easy, CURLOPT_PROTOCOLS_STR, "https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    // A proxy would connect where we can't look.
    set(easy, CURLOPT_PROXY, "");
    set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    // Resolved for this fetch alone, on a connection of its own: no address is used that another one was checked for.
    set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    set(easy, CURLOPT_FRESH_CONNECT, 1L);
    set(easy, CURLOPT_FORBID_REUSE, 1L);
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(easy, CURLOPT_OPENSOCKETFUNCTION, &Fetch::open_socket);
    set(easy, CURLOPT_OPENSOCKETDATA, &fetch);
    set(easy, CURLOPT_TIMEOUT_MS, timeout);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min(timeout, static_cast<long>(connect_timeout_max.count())));
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_USERAGENT, "runledger/0.1");
    // Refuses at once what says that it is larger; what does not say so is counted as it comes.
    set(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(fetch.bytes_max));
    set(easy, CURLOPT_WRITEFUNCTION, &Fetch::take_bytes);
    set(easy, CURLOPT_WRITEDATA, &fetch);
    set(easy, CURLOPT_PRIVATE, &fetch);
    if (resolved_) {
        set(easy, CURLOPT_RESOLVE, resolved_.get());
    }
    if (options_.port != https_port) {
        set(easy, CURLOPT_PORT, static_cast<long>(options_.port));
    }
    if (!options_.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    }
}

std::vector<Fetcher::Ended> Fetcher::drive(std::chrono::milliseconds bound, int interrupt) {
    std::vector<Ended> ended = std::exchange(not_begun_, {});
    if (fetches_.empty()) {
        return ended;
    }
    int running = 0;
    (void)curl_multi_perform(multi_.get(), &running);  // A broken fetch comes out as a message below.
    collect(ended);
    if (ended.empty() && bound.count() > 0) {
        curl_waitfd extra{.fd = interrupt, .events = CURL_WAIT_POLLIN, .revents = 0};
        (void)curl_multi_poll(multi_.get(), &extra, interrupt < 0 ? 0 : 1, static_cast<int>(bound.count()), nullptr);
        (void)curl_multi_perform(multi_.get(), &running);
        collect(ended);
    }
    return ended;
}

void Fetcher::collect(std::vector<Ended>& ended) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = message->data.result;  // The message is gone once its handle is removed.
        CURL* easy = message->easy_handle;
        Fetch* fetch = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
        ended.push_back({fetch->ticket, result_of(*fetch, code)});
        curl_multi_remove_handle(multi_.get(), easy);
        fetches_.erase(fetch->ticket);
    }
}

void Fetcher::abort_all() noexcept {
    for (auto& [ticket, fetch] : fetches_) {
        // Or a name server that does not answer would hold us until it is given up.
        (void)curl_easy_setopt(fetch->easy.get(), CURLOPT_QUICK_EXIT, 1L);
        curl_multi_remove_handle(multi_.get(), fetch->easy.get());
    }
    fetches_.clear();
    not_begun_.clear();
}

Fetched Fetcher::result_of(Fetch& fetch, CURLcode code) const {
    long status = 0;
    curl_easy_getinfo(fetch.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (fetch.is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return {.verdict = FetchVerdict::too_large, .why = fmt::format("has more than {} bytes", fetch.bytes_max)};
    }
    if (fetch.met_forbidden_address && code != CURLE_OK) {
        return {.verdict = FetchVerdict::forbidden, .why = "leads to an address that is not on the open Internet"};
    }
    if (code != CURLE_OK) {
        // curl's own words for the code do not name the address.
        return {.verdict = FetchVerdict::unreachable, .why = curl_easy_strerror(code)};
    }
    if (status == 200) {
        return {.verdict = FetchVerdict::fetched, .bytes = std::move(fetch.bytes)};
    }
    const bool is_gone = status == 401 || status == 403 || status == 404 || status == 410;
    return {.verdict = is_gone ? FetchVerdict::gone : FetchVerdict::unreachable,
            .why = fmt::format("is answered with HTTP {}", status)};
}

}  // namespace runledger::telegram
