// Calls of Telegram's Bot API through libcurl's multi interface.
//
// Invariant: the token is in the URL that curl holds and nowhere else: no text that comes out of here has it. A call
// is made at most once; curl's own silent second try, after a kept connection died, is refused. One thread owns it.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/secret.hpp"
#include "daemon/telegram/body.hpp"
#include "daemon/telegram/bot_answer.hpp"

namespace runledger::telegram {

inline constexpr std::size_t answer_bytes_max = 1024UL * 1024;

class BotApi {
public:
    struct Options {
        std::string api_url;  // "https://api.telegram.org"
        Secret token;
        std::chrono::milliseconds timeout{std::chrono::seconds{30}};  // Of one call, connecting included.
    };

    // The caller's name for a call; it must not be in flight.
    using Ticket = std::int64_t;

    struct Ended {
        Ticket ticket{};
        CallResult result;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit BotApi(Options options);
    ~BotApi();
    BotApi(const BotApi&) = delete;
    BotApi& operator=(const BotApi&) = delete;

    // Begins POST {api_url}/bot{token}/{method} with a JSON body, or with files to upload. It always ends, in drive()
    // or abort_all().
    void call(Ticket ticket, std::string_view method, std::string body);
    void call(Ticket ticket, std::string_view method, Form form);

    // Moves all calls on, for up to `bound`, or until some have ended or `interrupt` is readable (-1: none); returns
    // those that have ended.
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound, int interrupt = -1);

    // Ends all calls now. Those whose body had not left yet can't have arrived.
    [[nodiscard]] std::vector<Ended> abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept { return calls_.size() + not_begun_.size(); }

private:
    struct Call;
    struct MultiDeleter {
        void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
    };
    struct ListDeleter {
        void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
    };

    void begin(std::unique_ptr<Call> call, std::string_view method);
    void set_up(Call& call, std::string_view method);
    void set_up_json(Call& call);
    void set_up_form(Call& call);
    [[nodiscard]] CallResult result_of(Call& call, CURLcode code);
    [[nodiscard]] std::string without_token(std::string text) const;
    void collect(std::vector<Ended>& ended);

    Options options_;
    std::string url_prefix_;  // Up to and with "/bot<token>/": never printed.
    std::string token_secret_;
    std::unique_ptr<CURLM, MultiDeleter> multi_;
    std::unique_ptr<curl_slist, ListDeleter> json_headers_;
    std::unique_ptr<curl_slist, ListDeleter> form_headers_;
    std::unordered_map<Ticket, std::unique_ptr<Call>> calls_;
    std::vector<Ended> not_begun_;
};

}  // namespace runledger::telegram
