#include "daemon/net/http_client.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <mutex>
#include <new>
#include <stdexcept>
#include <unordered_map>

namespace runledger {
namespace {

// Shorter than servers keep a connection: one that dies as it is used makes its call uncertain.
constexpr long connection_idle_seconds_max = 45;

struct CurlDeleter {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    void operator()(curl_mime* mime) const noexcept { curl_mime_free(mime); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
struct MultiDeleter {  // Of its own: CURL and CURLM are both void.
    void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
using List = std::unique_ptr<curl_slist, CurlDeleter>;

void set_up_libcurl() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            throw std::runtime_error("libcurl can't be initialised");
        }
    });
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
        throw std::runtime_error(
            fmt::format("libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
    }
}

HttpFault fault_of(CURLcode code) noexcept {
    switch (static_cast<int>(code)) {  // The enumeration has a hundred; these are told apart.
        case CURLE_OK:
            return HttpFault::none;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return HttpFault::name;
        case CURLE_COULDNT_CONNECT:
            return HttpFault::connection;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_INVALIDCERTSTATUS:
            return HttpFault::tls;
        case CURLE_OPERATION_TIMEDOUT:
            return HttpFault::timeout;
        default:
            return HttpFault::other;
    }
}

// As OpenSSL writes it: "Feb  1 12:00:00 2027 GMT".
std::optional<std::chrono::system_clock::time_point> expiry_of(CURL* easy) {
    curl_certinfo* chain = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == nullptr ||
        chain->num_of_certs == 0) {
        return std::nullopt;
    }
    constexpr std::string_view name = "Expire date:";
    for (const curl_slist* line = chain->certinfo[0]; line != nullptr; line = line->next) {
        const std::string_view text = line->data;
        tm parts{};
        if (text.starts_with(name) && strptime(text.data() + name.size(), "%b %d %H:%M:%S %Y", &parts) != nullptr) {
            return std::chrono::system_clock::from_time_t(timegm(&parts));
        }
    }
    return std::nullopt;
}

void append(List& list, const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) {
        throw std::runtime_error("libcurl: out of memory");
    }
    (void)list.release();  // The longer list holds it.
    list.reset(longer);
}

}  // namespace

struct HttpClient::State {
    std::unique_ptr<CURLM, MultiDeleter> multi{curl_multi_init()};
    List headers{};
    List json_headers{};
    List resolved{};
    std::unordered_map<HttpTicket, std::unique_ptr<Call>> calls{};
    std::vector<Ended> not_begun{};
};

struct HttpClient::Call {
    explicit Call(HttpRequest made_of) : request(std::move(made_of)) {}

    HttpRequest request;  // Its content is read from here while it is sent.
    const Options* options{};
    std::size_t body_given{0};
    std::string response;
    bool is_too_large{false};
    bool has_met_forbidden_address{false};
    bool has_met_allowed_address{false};
    List headers{};  // If they are not those of all calls.
    std::unique_ptr<CURL, CurlDeleter> easy{curl_easy_init()};
    std::unique_ptr<curl_mime, CurlDeleter> mime{};  // Freed before the handle that it belongs to.
    std::array<char, CURL_ERROR_SIZE> detail{};      // Filled only where the options ask for it.

    void set_up_json(HttpRequest::PostJson& content);
    void set_up_form(const HttpForm& form);
    [[nodiscard]] bool may_have_arrived() const noexcept;
    [[nodiscard]] HttpResponse response_of(CURLcode code);

    static std::size_t give_body(char* buffer, std::size_t size, std::size_t count, void* self) noexcept {
        auto& call = *static_cast<Call*>(self);
        const auto* content = std::get_if<HttpRequest::PostJson>(&call.request.content);
        const std::size_t bytes = std::min(size * count, content->body.size() - call.body_given);
        std::memcpy(buffer, content->body.data() + call.body_given, bytes);
        call.body_given += bytes;
        return bytes;
    }

    static std::size_t take_response(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
        auto& call = *static_cast<Call*>(self);
        const std::size_t room = call.request.response_bytes_max - call.response.size();
        call.is_too_large = size * count > room;
        try {
            if (!call.is_too_large || call.request.is_cut) {
                call.response.append(bytes, std::min(size * count, room));
            }
        } catch (const std::bad_alloc&) {
            return 0;  // No exception may cross libcurl.
        }
        return call.is_too_large ? 0 : size * count;  // 0 ends the call with CURLE_WRITE_ERROR.
    }

    // Makes the socket for the address that is connected to next: the one place where it is known for certain.
    static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept {
        auto& call = *static_cast<Call*>(self);
        bool is_allowed = false;
        try {
            is_allowed =
                purpose == CURLSOCKTYPE_IPCXN && call.options->is_allowed_address(address->addr, address->addrlen);
        } catch (...) {
            is_allowed = false;  // A rule that can't be asked allows nothing.
        }
        if (!is_allowed) {
            call.has_met_forbidden_address = true;
            return CURL_SOCKET_BAD;
        }
        call.has_met_allowed_address = true;
        return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
};

void HttpClient::Call::set_up_json(HttpRequest::PostJson& content) {
    // The body comes from a function that can't be rewound. So curl can't send it a second time by itself when a kept
    // connection dies without an answer (CURLE_SEND_FAIL_REWIND), and we know whether it was handed over at all.
    set(easy.get(), CURLOPT_POST, 1L);
    set(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(content.body.size()));
    set(easy.get(), CURLOPT_READFUNCTION, &Call::give_body);
    set(easy.get(), CURLOPT_READDATA, this);
    if (content.is_called_get) {
        set(easy.get(), CURLOPT_CUSTOMREQUEST, "GET");  // Only the word: it stays an upload.
    }
}

void HttpClient::Call::set_up_form(const HttpForm& form) {
    // curl can rewind these parts, but it sends nothing a second time on a connection that was not kept.
    set(easy.get(), CURLOPT_FRESH_CONNECT, 1L);
    mime.reset(curl_mime_init(easy.get()));
    const auto add = [&](const std::string& name) {
        curl_mimepart* part = mime ? curl_mime_addpart(mime.get()) : nullptr;
        if (part == nullptr || curl_mime_name(part, name.c_str()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
        return part;
    };
    for (const auto& [name, value] : form.fields) {
        if (curl_mime_data(add(name), value.data(), value.size()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
    }
    for (const HttpForm::File& file : form.files) {
        curl_mimepart* part = add(file.field);
        if (curl_mime_data(part, file.bytes->data(), file.bytes->size()) != CURLE_OK ||
            curl_mime_filename(part, file.name.c_str()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
    }
    set(easy.get(), CURLOPT_MIMEPOST, mime.get());
}

// With less than the whole request the server can't have acted.
bool HttpClient::Call::may_have_arrived() const noexcept {
    if (std::holds_alternative<HttpRequest::PostJson>(request.content)) {
        return body_given > 0;  // Given at once, and then it may be on its way.
    }
    curl_off_t sent = 0;
    curl_off_t whole = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_LENGTH_UPLOAD_T, &whole);
    return sent > 0 && (whole <= 0 || sent >= whole);
}

HttpResponse HttpClient::Call::response_of(CURLcode code) {
    HttpResponse result{.end = HttpEnd::complete, .body = std::move(response)};
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &result.status);
    curl_off_t retry_after = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RETRY_AFTER, &retry_after);
    if (retry_after > 0) {
        result.retry_after = std::chrono::seconds{retry_after};
    }
    if (is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        result.end = HttpEnd::too_large;
    } else if (code == CURLE_URL_MALFORMAT) {
        result.end = HttpEnd::bad_url;
    } else if (code != CURLE_OK) {
        // Beside an address that may be called, a forbidden one is not why the call failed.
        result.end =
            has_met_forbidden_address && !has_met_allowed_address ? HttpEnd::forbidden_address : HttpEnd::failed;
        result.fault = fault_of(code);
    }
    if (result.end != HttpEnd::complete) {
        result.may_have_arrived = may_have_arrived();
        // curl's own words for the code name neither address nor secret, unlike its error buffer.
        result.why = result.end == HttpEnd::too_large ? fmt::format("more than {} bytes", request.response_bytes_max)
                     : detail.front() != '\0'         ? std::string(detail.data())
                                                      : curl_easy_strerror(code);
    }
    result.certificate_expires_at = options->is_certificate_kept ? expiry_of(easy.get()) : std::nullopt;
    for (const std::string& name : options->kept_headers) {
        curl_header* header = nullptr;
        if (curl_easy_header(easy.get(), name.c_str(), 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
            result.headers.emplace(name, header->value);
        }
    }
    return result;
}

HttpClient::HttpClient(Options options) : options_(std::move(options)) {
    set_up_libcurl();
    state_ = std::make_unique<State>();
    if (!state_->multi) {
        throw std::runtime_error("libcurl: no multi handle");
    }
    for (List* list : {&state_->headers, &state_->json_headers}) {
        append(*list, "Expect:");  // Empty: curl does not wait for "100 Continue".
        for (const std::string& header : options_.headers) {
            append(*list, header);
        }
    }
    append(state_->json_headers, "Content-Type: application/json");
    for (const std::string& entry : options_.resolved) {
        append(state_->resolved, entry);
    }
}

HttpClient::~HttpClient() { (void)abort_all(); }  // Nobody is left to be told.

std::size_t HttpClient::in_flight() const noexcept { return state_->calls.size() + state_->not_begun.size(); }

bool HttpClient::is_in_flight(HttpTicket ticket) const {
    return state_->calls.contains(ticket) || std::any_of(state_->not_begun.begin(), state_->not_begun.end(),
                                                         [&](const Ended& each) { return each.ticket == ticket; });
}

void HttpClient::begin(HttpRequest request) {
    const HttpTicket ticket = request.ticket;
    // It has its place before libcurl knows of it: once it is added, nothing may fail that would destroy it.
    Call& call = *state_->calls.insert_or_assign(ticket, std::make_unique<Call>(std::move(request))).first->second;
    call.options = &options_;
    try {
        set_up(call);
        if (const CURLMcode code = curl_multi_add_handle(state_->multi.get(), call.easy.get()); code != CURLM_OK) {
            throw std::runtime_error(curl_multi_strerror(code));
        }
    } catch (const std::runtime_error& error) {
        // Only out of memory: a response like any other, which the caller is waiting for.
        state_->calls.erase(ticket);
        state_->not_begun.push_back({ticket, {.end = HttpEnd::not_begun, .why = error.what()}});
    } catch (...) {
        state_->calls.erase(ticket);
        throw;
    }
}

void HttpClient::set_up(Call& call) const {
    CURL* easy = call.easy.get();
    if (easy == nullptr) {
        throw std::runtime_error("libcurl: no handle");
    }
    set(easy, CURLOPT_URL, call.request.url.c_str());
    set(easy, CURLOPT_PATH_AS_IS, options_.is_path_as_is ? 1L : 0L);
    set(easy, CURLOPT_PROTOCOLS_STR, options_.is_https_only ? "https" : "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    set(easy, CURLOPT_CERTINFO, options_.is_certificate_kept ? 1L : 0L);
    if (options_.is_why_detailed) {
        set(easy, CURLOPT_ERRORBUFFER, call.detail.data());
    }
    set(easy, CURLOPT_HTTPHEADER, state_->headers.get());
    // Refuses at once what says that it is larger; what does not say so is counted as it comes.
    if (!call.request.is_cut) {
        set(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(call.request.response_bytes_max));
    }
    set(easy, CURLOPT_WRITEFUNCTION, &Call::take_response);
    set(easy, CURLOPT_WRITEDATA, &call);
    set(easy, CURLOPT_PRIVATE, &call);
    set_up_connection(call);
    if (auto* json = std::get_if<HttpRequest::PostJson>(&call.request.content)) {
        if (!call.request.headers.empty()) {
            for (const curl_slist* line = state_->json_headers.get(); line != nullptr; line = line->next) {
                append(call.headers, line->data);
            }
            for (const std::string& header : call.request.headers) {
                append(call.headers, header);
            }
        }
        set(easy, CURLOPT_HTTPHEADER, (call.headers ? call.headers : state_->json_headers).get());
        call.set_up_json(*json);
    } else if (const auto* form = std::get_if<HttpForm>(&call.request.content)) {
        call.set_up_form(*form);
    }
}

void HttpClient::set_up_connection(Call& call) const {
    CURL* easy = call.easy.get();
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    set(easy, CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(std::min(options_.timeout, options_.connect_timeout_max).count()));
    set(easy, CURLOPT_NOSIGNAL, 1L);
    if (options_.connections != Connections::shared) {
        set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        set(easy, CURLOPT_MAXAGE_CONN, connection_idle_seconds_max);
    }
    if (options_.connections == Connections::fresh) {
        set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
        set(easy, CURLOPT_FRESH_CONNECT, 1L);
        set(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    if (options_.is_allowed_address) {
        // A proxy would connect where we can't look.
        set(easy, CURLOPT_PROXY, "");
        set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
        set(easy, CURLOPT_OPENSOCKETFUNCTION, &Call::open_socket);
        set(easy, CURLOPT_OPENSOCKETDATA, &call);
    }
    if (state_->resolved) {
        set(easy, CURLOPT_RESOLVE, state_->resolved.get());
    }
    if (options_.port != 0) {
        set(easy, CURLOPT_PORT, static_cast<long>(options_.port));
    }
    if (!options_.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    }
}

std::vector<HttpClient::Ended> HttpClient::drive(std::chrono::milliseconds bound, int interrupt) {
    std::vector<Ended> ended = std::exchange(state_->not_begun, {});
    int running = 0;
    (void)curl_multi_perform(state_->multi.get(), &running);  // A broken call comes out as a message below.
    collect(ended);
    if (ended.empty() && !state_->calls.empty() && bound.count() > 0) {
        curl_waitfd extra{.fd = interrupt, .events = CURL_WAIT_POLLIN, .revents = 0};
        (void)curl_multi_poll(state_->multi.get(), &extra, interrupt < 0 ? 0 : 1, static_cast<int>(bound.count()),
                              nullptr);
        (void)curl_multi_perform(state_->multi.get(), &running);
        collect(ended);
    }
    return ended;
}

void HttpClient::collect(std::vector<Ended>& ended) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(state_->multi.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = message->data.result;  // The message is gone once its handle is removed.
        CURL* easy = message->easy_handle;
        Call* call = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
        const HttpTicket ticket = call->request.ticket;
        // It is in flight no more, even if there is no memory for its response: libcurl says this only once.
        const auto over = state_->calls.extract(ticket);
        curl_multi_remove_handle(state_->multi.get(), easy);
        ended.push_back({ticket, call->response_of(code)});
    }
}

std::vector<HttpClient::Ended> HttpClient::abort_all() {
    std::vector<Ended> ended = std::exchange(state_->not_begun, {});
    for (auto& [ticket, call] : state_->calls) {
        ended.push_back({ticket,
                         {.end = HttpEnd::aborted,
                          .may_have_arrived = call->may_have_arrived(),
                          .why = "stopped while it was sent"}});
        // Or a name server that does not answer would hold us until it is given up.
        (void)curl_easy_setopt(call->easy.get(), CURLOPT_QUICK_EXIT, 1L);
        curl_multi_remove_handle(state_->multi.get(), call->easy.get());
    }
    state_->calls.clear();
    return ended;
}

}  // namespace runledger
