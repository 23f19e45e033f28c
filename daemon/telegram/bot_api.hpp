// Calls of Telegram's Bot API.
//
// Invariant: the token is in the URL of a request and nowhere else: no text that comes out of here has it. A call is
// made at most once. One thread owns it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/secret.hpp"
#include "daemon/net/http_client.hpp"
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
    using Ticket = HttpTicket;

    struct Ended {
        Ticket ticket{};
        CallResult result;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit BotApi(const Options& options);

    // Begins POST {api_url}/bot{token}/{method} with a JSON body, or with files to upload. It always ends, in drive()
    // or abort_all().
    void call(Ticket ticket, std::string_view method, std::string body);
    void call(Ticket ticket, std::string_view method, HttpForm form);

    // As HttpClient::drive().
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound, int interrupt = -1);

    // Ends all calls now. Those whose body had not left yet can't have arrived.
    [[nodiscard]] std::vector<Ended> abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept { return client_.in_flight(); }
    [[nodiscard]] bool is_in_flight(Ticket ticket) const { return client_.is_in_flight(ticket); }

private:
    [[nodiscard]] CallResult result_of(HttpResponse response) const;
    [[nodiscard]] std::vector<Ended> results_of(std::vector<HttpClient::Ended> ended) const;
    [[nodiscard]] std::string without_token(std::string text) const;

    std::string url_prefix_;  // Up to and with "/bot<token>/": never printed.
    std::string token_secret_;
    HttpClient client_;
};

}  // namespace runledger::telegram
