#include "daemon/telegram/bot_api.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace runledger::telegram {
namespace {

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

// A shorter secret may be a part of a common word, as "any" is of "Many": it is masked only as a whole word.
constexpr std::size_t unmistakable_bytes = 16;

bool is_word_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

bool is_whole_word(std::string_view text, std::size_t begin, std::size_t end) {
    // However the colon before it is written: %3A ends in a letter.
    const std::string_view before = text.substr(0, begin);
    return (before.empty() || !is_word_character(before.back()) || before.ends_with("%3A") ||
            before.ends_with("%3a")) &&
           (end == text.size() || !is_word_character(text[end]));
}

void mask_secret(std::string& text, std::string_view secret) {
    constexpr std::string_view mask = "<token>";
    std::size_t at = text.find(secret);
    while (at != std::string::npos) {
        const bool is_meant = secret.size() >= unmistakable_bytes || is_whole_word(text, at, at + secret.size());
        if (is_meant) {
            text.replace(at, secret.size(), mask);
        }
        at = text.find(secret, at + (is_meant ? mask.size() : 1));
    }
}

}  // namespace

BotApi::BotApi(const Options& options)
    : client_({.timeout = options.timeout, .connections = HttpClient::Connections::exclusive}) {
    std::string_view base = options.api_url;
    while (base.ends_with('/')) {
        base.remove_suffix(1);
    }
    const std::string_view token = options.token.reveal();
    url_prefix_ = fmt::format("{}/bot{}/", base, percent_encoded(token));
    // What follows the bot's number is the secret, and is found however the colon is written.
    const std::size_t colon = token.find(':');
    token_secret_ = token.substr(colon == std::string_view::npos ? 0 : colon + 1);
}

void BotApi::call(Ticket ticket, std::string_view method, std::string body) {
    client_.begin({.ticket = ticket,
                   .url = url_prefix_ + std::string(method),
                   .content = HttpRequest::PostJson{std::move(body)},
                   .response_bytes_max = answer_bytes_max});
}

void BotApi::call(Ticket ticket, std::string_view method, HttpForm form) {
    client_.begin({.ticket = ticket,
                   .url = url_prefix_ + std::string(method),
                   .content = std::move(form),
                   .response_bytes_max = answer_bytes_max});
}

std::vector<BotApi::Ended> BotApi::drive(std::chrono::milliseconds bound, int interrupt) {
    return results_of(client_.drive(bound, interrupt));
}

std::vector<BotApi::Ended> BotApi::abort_all() { return results_of(client_.abort_all()); }

std::vector<BotApi::Ended> BotApi::results_of(std::vector<HttpClient::Ended> ended) const {
    std::vector<Ended> results;
    for (HttpClient::Ended& each : ended) {
        results.push_back({each.ticket, result_of(std::move(each.response))});
    }
    return results;
}

CallResult BotApi::result_of(HttpResponse response) const {
    // A status of 400 and more is an answer even where its body broke off: the message was not taken.
    if (response.end == HttpEnd::complete || response.status >= 400) {
        return HttpAnswer{.status = response.status,
                          .body = without_token(std::move(response.body)),
                          .retry_after = response.retry_after};
    }
    return Broken{.may_have_arrived = response.may_have_arrived, .why = without_token(std::move(response.why))};
}

std::string BotApi::without_token(std::string text) const {
    if (!token_secret_.empty()) {
        mask_secret(text, token_secret_);
    }
    return text;
}

}  // namespace runledger::telegram
