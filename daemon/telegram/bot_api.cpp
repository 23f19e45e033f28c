#include "daemon/telegram/bot_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

namespace runledger::telegram {
namespace {

constexpr std::chrono::milliseconds connect_timeout_max{10'000};
// Under what servers keep: a dying connection makes a message uncertain.
constexpr long connection_idle_seconds_max = 45;

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

// A bot's token is digits, a colon, letters, digits, hyphens and underscores; anything else must not change the URL.
std::string percent_encoded(std::string_view token) {
    std::string encoded;
    for (const char c : token) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ':' ||
                           c == '-' || c == '_';
        if (plain) {
            encoded += c;
        } else {
            fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

}  // namespace

struct BotApi::Call {
    struct EasyDeleter {
        void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    };
    struct MimeDeleter {
        void operator()(curl_mime* mime) const noexcept { curl_mime_free(mime); }
    };

    Ticket ticket{};
    std::string body;
    std::size_t body_given{0};
    std::string answer;
    std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};
    Form form{};                                     // Its files' bytes are read from here.
    std::unique_ptr<curl_mime, MimeDeleter> mime{};  // Of the form; freed before the handle that it belongs to.

    // Whether the server may have had the whole request: with less it can't have acted.
    [[nodiscard]] bool may_have_left() const noexcept {
        if (!mime) {
            return body_given > 0;  // Given at once, and then it may be on its way.
        }
        curl_off_t sent = 0;
        curl_off_t whole = 0;
        curl_easy_getinfo(easy.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
        curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_LENGTH_UPLOAD_T, &whole);
        return sent > 0 && (whole <= 0 || sent >= whole);
    }

    static std::size_t give_body(char* buffer, std::size_t size, std::size_t count, void* self) noexcept {
        auto& call = *static_cast<Call*>(self);
        const std::size_t bytes = std::min(size * count, call.body.size() - call.body_given);
        std::memcpy(buffer, call.body.data() + call.body_given, bytes);
        call.body_given += bytes;
        return bytes;
    }

    static std::size_t take_answer(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
        auto& call = *static_cast<Call*>(self);
        if (call.answer.size() + size * count > answer_bytes_max) {
            return 0;  // Ends the call with CURLE_WRITE_ERROR.
        }
        try {
            call.answer.append(bytes, size * count);
        } catch (const std::bad_alloc&) {
            return 0;  // No exception may cross libcurl.
        }
        return size * count;
    }
};

BotApi::BotApi(Options options) : options_(std::move(options)) {
    set_up_libcurl();
    std::string_view base = options_.api_url;
    while (base.ends_with('/')) {
        base.remove_suffix(1);
    }
    const std::string_view token = options_.token.reveal();
    url_prefix_ = fmt::format("{}/bot{}/", base, percent_encoded(token));
    // What follows the bot's number is the secret, and is found however the colon is written.
    const std::size_t colon = token.find(':');
    token_secret_ = token.substr(colon == std::string_view::npos ? 0 : colon + 1);

    multi_.reset(curl_multi_init());
    // An empty Expect keeps curl from waiting for "100 Continue".
    json_headers_.reset(curl_slist_append(nullptr, "Expect:"));
    form_headers_.reset(curl_slist_append(nullptr, "Expect:"));
    curl_slist* longer = curl_slist_append(json_headers_.get(), "Content-Type: application/json");
    if (longer == nullptr || !form_headers_) {
        throw std::runtime_error("libcurl: out of memory");
    }
    (void)json_headers_.release();  // The longer list holds it.
    json_headers_.reset(longer);
    if (!multi_) {
        throw std::runtime_error("libcurl: no multi handle");
    }
}

BotApi::~BotApi() { (void)abort_all(); }

void BotApi::call(Ticket ticket, std::string_view method, std::string body) {
    auto call = std::make_unique<Call>();
    call->ticket = ticket;
    call->body = std::move(body);
    begin(std::move(call), method);
}

void BotApi::call(Ticket ticket, std::string_view method, Form form) {
    auto call = std::make_unique<Call>();
    call->ticket = ticket;
    call->form = std::move(form);
    begin(std::move(call), method);
}

void BotApi::begin(std::unique_ptr<Call> call, std::string_view method) {
    const Ticket ticket = call->ticket;
    try {
        set_up(*call, method);
        if (call->form.fields.empty()) {
            set_up_json(*call);
        } else {
            set_up_form(*call);
        }
        if (const CURLMcode code = curl_multi_add_handle(multi_.get(), call->easy.get()); code != CURLM_OK) {
            throw std::runtime_error(curl_multi_strerror(code));
        }
    } catch (const std::runtime_error& error) {
        // Only out of memory, or an api_url that is none: an answer like any other, which the caller is waiting for.
        not_begun_.push_back({ticket, Broken{.may_have_arrived = false, .why = without_token(error.what())}});
        return;
    }
    calls_.insert_or_assign(ticket, std::move(call));
}

void BotApi::set_up(Call& call, std::string_view method) {
    CURL* easy = call.easy.get();
    if (easy == nullptr) {
        throw std::runtime_error("libcurl: no handle");
    }
    const auto timeout = static_cast<long>(options_.timeout.count());
    set(easy, CURLOPT_URL, (url_prefix_ + std::string(method)).c_str());
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    // One connection for each call in flight: a reset then makes one message uncertain, not all of them.
    set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(easy, CURLOPT_MAXAGE_CONN, connection_idle_seconds_max);
    set(easy, CURLOPT_TIMEOUT_MS, timeout);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min(timeout, static_cast<long>(connect_timeout_max.count())));
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_USERAGENT, "runledger/0.1");
    set(easy, CURLOPT_MAXFILESIZE, static_cast<long>(answer_bytes_max));
    set(easy, CURLOPT_WRITEFUNCTION, &Call::take_answer);
    set(easy, CURLOPT_WRITEDATA, &call);
    set(easy, CURLOPT_PRIVATE, &call);
}

void BotApi::set_up_json(Call& call) {
    CURL* easy = call.easy.get();
    set(easy, CURLOPT_HTTPHEADER, json_headers_.get());
    // The body comes from a function that can't be rewound. So curl can't send it a second time by itself when a kept
    // connection dies without an answer (CURLE_SEND_FAIL_REWIND), and we know whether it was handed over at all.
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    set(easy, CURLOPT_READFUNCTION, &Call::give_body);
    set(easy, CURLOPT_READDATA, &call);
}

void BotApi::set_up_form(Call& call) {
    CURL* easy = call.easy.get();
    set(easy, CURLOPT_HTTPHEADER, form_headers_.get());
    // curl can rewind these parts, but it sends nothing a second time on a connection that was not kept.
    set(easy, CURLOPT_FRESH_CONNECT, 1L);
    call.mime.reset(curl_mime_init(easy));
    const auto add = [&](const std::string& name) {
        curl_mimepart* part = call.mime ? curl_mime_addpart(call.mime.get()) : nullptr;
        if (part == nullptr || curl_mime_name(part, name.c_str()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
        return part;
    };
    for (const auto& [name, value] : call.form.fields) {
        if (curl_mime_data(add(name), value.data(), value.size()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
    }
    for (const Form::File& file : call.form.files) {
        curl_mimepart* part = add(file.field);
        if (curl_mime_data(part, file.bytes->data(), file.bytes->size()) != CURLE_OK ||
            curl_mime_filename(part, file.name.c_str()) != CURLE_OK) {
            throw std::runtime_error("libcurl: out of memory");
        }
    }
    set(easy, CURLOPT_MIMEPOST, call.mime.get());
}

std::vector<BotApi::Ended> BotApi::drive(std::chrono::milliseconds bound, int interrupt) {
    std::vector<Ended> ended = std::move(not_begun_);
    not_begun_.clear();
    int running = 0;
    (void)curl_multi_perform(multi_.get(), &running);  // A broken call comes out as a message below.
    collect(ended);
    if (ended.empty() && !calls_.empty() && bound.count() > 0) {
        curl_waitfd extra{.fd = interrupt, .events = CURL_WAIT_POLLIN, .revents = 0};
        (void)curl_multi_poll(multi_.get(), &extra, interrupt < 0 ? 0 : 1, static_cast<int>(bound.count()), nullptr);
        (void)curl_multi_perform(multi_.get(), &running);
        collect(ended);
    }
    return ended;
}

void BotApi::collect(std::vector<Ended>& ended) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = message->data.result;  // The message is gone once its handle is removed.
        CURL* easy = message->easy_handle;
        Call* call = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
        ended.push_back({call->ticket, result_of(*call, code)});
        curl_multi_remove_handle(multi_.get(), easy);
        calls_.erase(call->ticket);
    }
}

std::vector<BotApi::Ended> BotApi::abort_all() {
    std::vector<Ended> ended = std::move(not_begun_);
    not_begun_.clear();
    for (auto& [ticket, call] : calls_) {
        ended.push_back(
            {ticket, Broken{.may_have_arrived = call->may_have_left(), .why = "stopped while it was sent"}});
        // Or a name server that does not answer would hold us until it is given up.
        (void)curl_easy_setopt(call->easy.get(), CURLOPT_QUICK_EXIT, 1L);
        curl_multi_remove_handle(multi_.get(), call->easy.get());
    }
    calls_.clear();
    return ended;
}

CallResult BotApi::result_of(Call& call, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(call.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    // A status of 400 and more is an answer even where its body broke off: the message was not taken.
    if (code == CURLE_OK || status >= 400) {
        HttpAnswer answer{.status = status, .body = without_token(std::move(call.answer))};
        curl_off_t retry_after = 0;
        curl_easy_getinfo(call.easy.get(), CURLINFO_RETRY_AFTER, &retry_after);
        if (retry_after > 0) {
            answer.retry_after = std::chrono::seconds{retry_after};
        }
        return answer;
    }
    // curl's own words for the code name neither address nor token, unlike its error buffer.
    return Broken{.may_have_arrived = call.may_have_left(), .why = curl_easy_strerror(code)};
}

std::string BotApi::without_token(std::string text) const {
    if (!token_secret_.empty()) {
        replace_all(text, token_secret_, "<token>");
    }
    return text;
}

}  // namespace runledger::telegram
