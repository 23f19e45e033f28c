#include "daemon/tool/check/services.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netdb.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "daemon/base/json.hpp"
#include "daemon/net/http_client.hpp"
#include "daemon/net/public_host.hpp"
#include "daemon/net/url.hpp"
#include "daemon/telegram/bot_answer.hpp"
#include "daemon/telegram/bot_api.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view telegram_subject = "telegram";
constexpr std::string_view comfydeploy = "comfydeploy";
constexpr std::string_view webhooks = "webhooks";
constexpr std::chrono::milliseconds call_timeout{10'000};

// The text at result.username of the Bot API's answer; empty if there is none.
std::string bot_name(const telegram::CallResult& result) {
    const auto* answer = std::get_if<telegram::HttpAnswer>(&result);
    if (answer == nullptr) {
        return "";
    }
    try {
        JsonDocument document;
        document.Parse(answer->body.data(), answer->body.size());
        return document["result"]["username"].GetString();
    } catch (const std::logic_error&) {  // RapidJSON's: it is another shape.
        return "";
    }
}

telegram::CallResult call_get_me(const TelegramSettings& settings) {
    telegram::BotApi bot(
        {.api_url = settings.api_url, .token = settings.token, .timeout = std::min(settings.timeout, call_timeout)});
    bot.call(1, "getMe", std::string("{}"));
    std::vector<telegram::BotApi::Ended> ended;
    while (ended.empty()) {
        ended = bot.drive(call_timeout);  // The call's time-out bounds it.
    }
    return std::move(ended.front().result);
}

// FastAPI's answers are {"detail": …}; an error page of a server in between is none.
std::string detail_of(const std::string& body) {
    try {
        JsonDocument document;
        document.Parse(body.data(), body.size());
        const auto& detail = document["detail"];
        return detail.IsString() ? detail.GetString() : "…";
    } catch (const std::logic_error&) {  // RapidJSON's: it is another shape.
        return "";
    }
}

HttpResponse look_up_nothing(const ReconcileSettings& settings) {
    std::string base = settings.api_url;
    while (base.ends_with('/')) {
        base.pop_back();
    }
    HttpClient client(
        {.timeout = std::min(settings.timeout, call_timeout),
         .headers = {fmt::format("Authorization: Bearer {}", settings.api_key.reveal()), "Accept: application/json"}});
    client.begin({.url = base + "/run/00000000-0000-0000-0000-000000000000", .response_bytes_max = 64UL * 1024});
    std::vector<HttpClient::Ended> ended;
    while (ended.empty()) {
        ended = client.drive(call_timeout);  // The call's time-out bounds it.
    }
    return std::move(ended.front().response);
}

}  // namespace

void check_telegram(const TelegramSettings& settings, Findings& findings) {
    if (settings.token.is_empty()) {
        findings.passed(telegram_subject, "no token_file: messages are only logged");
        return;
    }
    const telegram::CallResult result = call_get_me(settings);
    const telegram::Answer answer = telegram::classify(result, false);
    if (answer.verdict == telegram::Verdict::sent) {
        if (settings.mode == TelegramMode::log) {
            findings.warn(telegram_subject,
                          fmt::format("the token is @{}'s, but mode is \"log\": nothing is sent", bot_name(result)),
                          "remove mode from [telegram], or set it to \"send\"");
        } else {
            findings.passed(telegram_subject, fmt::format("getMe: the token is @{}'s", bot_name(result)));
        }
    } else if (answer.verdict == telegram::Verdict::unauthorized) {
        findings.fail(telegram_subject, fmt::format("Telegram refuses the token: {}", answer.description),
                      fmt::format("put the token that @BotFather shows into {}", settings.token_file));
    } else {
        findings.fail(telegram_subject,
                      fmt::format("{} does not answer as Telegram: {}", settings.api_url, answer.description),
                      "correct [telegram] api_url, or let this machine reach it: the daemon tries again by itself");
    }
}

void check_comfydeploy(const ReconcileSettings& settings, Findings& findings) {
    if (settings.api_key.is_empty()) {
        findings.passed(comfydeploy, "no api_key_file: silent runs are not looked up");
        return;
    }
    const HttpResponse response = look_up_nothing(settings);
    const std::string detail = detail_of(response.body);
    if (response.status == 401 || response.status == 403) {
        findings.fail(comfydeploy, fmt::format("ComfyDeploy refuses the key: HTTP {} {}", response.status, detail),
                      fmt::format("put a key of this workspace into {}", settings.api_key_file));
    } else if (response.status == 0) {
        findings.fail(comfydeploy, fmt::format("{}: {}", settings.api_url, response.why),
                      "correct [comfydeploy] api_url, or let this machine reach it");
    } else if (response.status == 429 || response.status >= 500) {
        findings.warn(comfydeploy,
                      fmt::format("{} answers HTTP {}: the key could not be tried", settings.api_url, response.status),
                      "check again later");
    } else if (detail.empty() && response.status != 200) {
        findings.fail(
            comfydeploy,
            fmt::format("{} answers HTTP {}, and not as ComfyDeploy's API", settings.api_url, response.status),
            "correct [comfydeploy] api_url; the service's own is https://api.comfydeploy.com/api");
    } else if (detail == "Not Found") {
        findings.fail(
            comfydeploy, fmt::format("{} has no /run/{{run_id}}", settings.api_url),
            "correct the path in [comfydeploy] api_url; the service's own is https://api.comfydeploy.com/api");
    } else {
        findings.passed(comfydeploy, fmt::format("{} accepts the key", settings.api_url));
    }
}

void check_webhooks(const WebhookSettings& settings, Findings& findings) {
    if (!settings.is_on()) {
        findings.passed(webhooks, "neither url nor host_suffixes is set: none are sent");
        return;
    }
    const std::string to_records =
        settings.host_suffixes.empty()
            ? ""
            : fmt::format("to metadata.webhookUrl at hosts of {}", fmt::join(settings.host_suffixes, ", "));
    if (settings.url.empty()) {
        findings.passed(webhooks, "only " + to_records);
        return;
    }
    const auto parts = parse_url(settings.url);  // load_config() has refused what is no URL.
    std::string host = parts ? parts->host : "";
    if (host.starts_with('[')) {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
        findings.fail(webhooks, fmt::format("[webhooks] url: {}: {}", host, gai_strerror(error)),
                      "correct the host in [webhooks] url, or mend this machine's DNS");
        return;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
    bool is_reachable = settings.url_is_inner;
    for (const addrinfo* each = found; each != nullptr && !is_reachable; each = each->ai_next) {
        is_reachable = is_public_address(*each->ai_addr, each->ai_addrlen);
    }
    if (!is_reachable) {
        findings.fail(webhooks,
                      fmt::format("[webhooks] url: {} leads to inner addresses alone, to which nothing is sent", host),
                      "set url_is_inner = true if it is a receiver of yours");
        return;
    }
    findings.passed(
        webhooks, fmt::format("to {}{}{}; {} {} each; not called", host, to_records.empty() ? "" : ", and ", to_records,
                              settings.secrets.size(), settings.secrets.size() == 1 ? "secret signs" : "secrets sign"));
}

}  // namespace runledger::tool
