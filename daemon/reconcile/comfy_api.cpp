#include "daemon/reconcile/comfy_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace runledger {
namespace {

constexpr long connect_timeout_max_ms = 10'000;

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

}  // namespace

std::string path_segment(std::string_view run_id) {
    std::string encoded;
    for (const char c : run_id) {
        // The dot, too: a segment of dots means another folder.
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_') {
            encoded += c;
        } else {
            fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

struct ComfyApi::Call {
    struct EasyDeleter {
        void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    };

    std::string run_id;
    std::size_t answer_bytes_max{};
    std::string answer;
    bool is_too_large{false};
    std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};

    static std::size_t take_answer(char* bytes, std::size_t size, std::size_t count, void* self) noexcept {
        auto& call = *static_cast<Call*>(self);
        if (call.answer.size() + size * count > call.answer_bytes_max) {
            call.is_too_large = true;
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

ComfyApi::ComfyApi(Options options) : options_(std::move(options)) {
    set_up_libcurl();
    while (options_.api_url.ends_with('/')) {
        options_.api_url.pop_back();
    }
    multi_.reset(curl_multi_init());
    headers_.reset(curl_slist_append(nullptr, fmt::format("Authorization: Bearer {}", options_.key.reveal()).c_str()));
    if (!multi_ || !headers_) {
        throw std::runtime_error("libcurl: out of memory");
    }
    curl_slist* longer = curl_slist_append(headers_.get(), "Accept: application/json");
    if (longer == nullptr) {
        throw std::runtime_error("libcurl: out of memory");
    }
    (void)headers_.release();  // The longer list holds it.
    headers_.reset(longer);
}

ComfyApi::~ComfyApi() { (void)abort_all(); }  // Nobody is left to be told.

void ComfyApi::ask(const std::string& run_id) {
    auto call = std::make_unique<Call>();
    call->run_id = run_id;
    call->answer_bytes_max = options_.answer_bytes_max;
    try {
        set_up(*call);
        if (const CURLMcode code = curl_multi_add_handle(multi_.get(), call->easy.get()); code != CURLM_OK) {
            throw std::runtime_error(curl_multi_strerror(code));
        }
    } catch (const std::runtime_error& error) {
        // Out of memory, or an api_url that is none: a result like any other, which the caller is waiting for.
        not_begun_.push_back({run_id, NoAnswer{.why = error.what()}});
        return;
    }
    calls_.insert_or_assign(run_id, std::move(call));
}

void ComfyApi::set_up(Call& call) const {
    CURL* easy = call.easy.get();
    if (easy == nullptr) {
        throw std::runtime_error("libcurl: no handle");
    }
    const auto timeout = static_cast<long>(options_.timeout.count());
    set(easy, CURLOPT_URL, fmt::format("{}/run/{}", options_.api_url, path_segment(call.run_id)).c_str());
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    set(easy, CURLOPT_TIMEOUT_MS, timeout);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min(timeout, connect_timeout_max_ms));
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_USERAGENT, "runledger/0.1");
    set(easy, CURLOPT_HTTPHEADER, headers_.get());
    set(easy, CURLOPT_WRITEFUNCTION, &Call::take_answer);
    set(easy, CURLOPT_WRITEDATA, &call);
    set(easy, CURLOPT_PRIVATE, &call);
}

std::vector<ComfyApi::Ended> ComfyApi::drive(std::chrono::milliseconds bound) {
    std::vector<Ended> ended = std::exchange(not_begun_, {});
    int running = 0;
    (void)curl_multi_perform(multi_.get(), &running);  // A broken call comes out as a message below.
    collect(ended);
    if (ended.empty() && !calls_.empty() && bound.count() > 0) {
        (void)curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(bound.count()), nullptr);
        (void)curl_multi_perform(multi_.get(), &running);
        collect(ended);
    }
    return ended;
}

void ComfyApi::collect(std::vector<Ended>& ended) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = message->data.result;  // The message is gone once its handle is removed.
        CURL* easy = message->easy_handle;
        Call* call = nullptr;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
        ended.push_back({call->run_id, result_of(*call, code)});
        curl_multi_remove_handle(multi_.get(), easy);
        calls_.erase(ended.back().run_id);
    }
}

std::vector<std::string> ComfyApi::abort_all() {
    std::vector<std::string> runs;
    for (const Ended& ended : std::exchange(not_begun_, {})) {
        runs.push_back(ended.run_id);
    }
    for (auto& [run_id, call] : calls_) {
        runs.push_back(run_id);
        // Or a name server that does not answer would hold us until it is given up.
        (void)curl_easy_setopt(call->easy.get(), CURLOPT_QUICK_EXIT, 1L);
        curl_multi_remove_handle(multi_.get(), call->easy.get());
    }
    calls_.clear();
    return runs;
}

LookupResult ComfyApi::result_of(Call& call, CURLcode code) const {
    long status = 0;
    curl_easy_getinfo(call.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    // A status of 300 and more is an answer even where its body broke off, or is too long: nothing is read from it.
    if (code == CURLE_OK || status >= 300) {
        ApiAnswer answer{.status = status, .body = status == 200 ? std::move(call.answer) : std::string{}};
        curl_off_t retry_after = 0;
        curl_easy_getinfo(call.easy.get(), CURLINFO_RETRY_AFTER, &retry_after);
        if (retry_after > 0) {
            answer.retry_after = std::chrono::seconds{retry_after};
        }
        return answer;
    }
    if (call.is_too_large) {
        return NoAnswer{.why = fmt::format("the answer has more than {} bytes", options_.answer_bytes_max),
                        .is_too_large = true};
    }
    // curl's own words for the code name neither address nor key, unlike its error buffer.
    return NoAnswer{.why = curl_easy_strerror(code)};
}

}  // namespace runledger
