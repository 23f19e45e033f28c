#include "daemon/tool/check/probe.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "daemon/base/json.hpp"

namespace runledger::tool {
namespace {

// docs/sender.md, "Delivery".
constexpr std::chrono::milliseconds senders_timeout{20'000};
constexpr const char* senders_agent = "Python/3.11 aiohttp/3.11.18";

constexpr std::string_view problem_prefix = "urn:runledger:problem:";

// A proxy's header that names it, in the order in which it says most.
constexpr std::array proxy_headers{"via", "cf-ray", "x-amz-cf-id", "x-cache"};

void read_problem(ProbeAnswer& answer) {
    try {
        JsonDocument document;
        document.Parse(answer.response.body.data(), answer.response.body.size());
        const std::string_view type = document["type"].GetString();
        if (type.starts_with(problem_prefix)) {
            answer.problem = type.substr(problem_prefix.size());
            answer.detail = document["detail"].GetString();
        }
    } catch (const std::logic_error&) {
        // RapidJSON's: it is no problem document, so somebody else has answered.
    }
}

}  // namespace

std::string ProbeAnswer::words() const {
    if (response.status == 0) {
        return response.why;
    }
    std::string words = fmt::format("HTTP {}", response.status);
    if (is_ours()) {
        return words + " " + problem;
    }
    if (const auto server = response.headers.find("server"); server != response.headers.end()) {
        words += " from " + server->second;
    }
    for (const char* name : proxy_headers) {
        if (const auto header = response.headers.find(name); header != response.headers.end()) {
            return words + fmt::format(" ({}: {})", name, header->second);
        }
    }
    return words;
}

ProbeAnswer probe(ProbeMethod method, const std::string& url, std::string body, const ProbeWay& way) {
    HttpClient::Options options{.timeout = senders_timeout,
                                .connections = HttpClient::Connections::fresh,
                                .is_path_as_is = true,
                                .headers = {"Accept: */*"},
                                .ca_file = way.ca_file.string(),
                                .kept_headers = {"server", "location"},
                                .is_why_detailed = true,
                                .is_certificate_kept = true,
                                .user_agent = senders_agent};
    options.kept_headers.insert(options.kept_headers.end(), proxy_headers.begin(), proxy_headers.end());
    if (!way.resolved.empty()) {
        options.resolved.push_back(way.resolved);
    }
    HttpClient client(std::move(options));
    const auto began_at = std::chrono::steady_clock::now();
    client.begin(
        {.url = url,
         .content = HttpRequest::PostJson{.body = std::move(body), .is_called_get = method == ProbeMethod::get},
         .response_bytes_max = 64UL * 1024});
    std::vector<HttpClient::Ended> ended;
    while (ended.empty()) {
        ended = client.drive(senders_timeout);  // The call's time-out bounds it.
    }
    ProbeAnswer answer{
        .response = std::move(ended.front().response),
        .took = std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_at)};
    read_problem(answer);
    return answer;
}

}  // namespace runledger::tool
