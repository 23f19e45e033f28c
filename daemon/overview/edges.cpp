#include "daemon/overview/edges.hpp"

#include <fmt/format.h>

#include <utility>

#include "daemon/base/json.hpp"
#include "daemon/net/http_client.hpp"

namespace runledger {
namespace {

constexpr std::size_t answer_bytes_max = 256UL * 1024;

std::int64_t count_in(const JsonDocument& document, const char* name) {
    const auto found = document.FindMember(name);
    return found != document.MemberEnd() && found->value.IsInt64() ? found->value.GetInt64() : 0;
}

}  // namespace

std::string host_of(std::string_view url) {
    if (const std::size_t scheme = url.find("://"); scheme != std::string_view::npos) {
        url.remove_prefix(scheme + 3);
    }
    url = url.substr(0, url.find_first_of("/?#"));
    if (const std::size_t user = url.rfind('@'); user != std::string_view::npos) {
        url.remove_prefix(user + 1);
    }
    return std::string(url);
}

EdgeNumbers edge_of(std::string name, std::string_view json) {
    EdgeNumbers edge{.name = std::move(name), .error = ""};
    try {
        JsonDocument document;
        document.Parse(json.data(), json.size());
        if (document.HasParseError() || !document.IsObject() || !document.HasMember("spool_bytes")) {
            edge.error = "its answer is not that of runledger_status";
            return edge;
        }
        edge.spool_bytes = count_in(document, "spool_bytes");
        edge.spool_bytes_max = count_in(document, "spool_bytes_max");
        edge.spool_batches = count_in(document, "spool_batches");
        edge.held_events = count_in(document, "held_events");
        if (const auto requests = document.FindMember("requests_total");
            requests != document.MemberEnd() && requests->value.IsObject()) {
            for (const auto& outcome : requests->value.GetObject()) {
                const std::string_view word{outcome.name.GetString(), outcome.name.GetStringLength()};
                const std::int64_t count = outcome.value.IsInt64() ? outcome.value.GetInt64() : 0;
                (word == "accepted" || word == "redelivered" ? edge.accepted : edge.refused) += count;
            }
        }
    } catch (const std::logic_error&) {
        edge.error = "its answer is not that of runledger_status";  // RapidJSON's assertion: not as expected.
    }
    return edge;
}

std::vector<EdgeNumbers> read_edges(const std::vector<std::string>& urls, std::chrono::milliseconds timeout) {
    std::vector<EdgeNumbers> edges;
    if (urls.empty()) {
        return edges;
    }
    HttpClient client({.timeout = timeout, .connect_timeout_max = timeout});
    for (const std::string& url : urls) {
        const std::string asked = url.find('?') == std::string::npos ? url + "?format=json" : url + "&format=json";
        client.begin({.ticket = static_cast<HttpTicket>(edges.size()),
                      .url = asked,
                      .content = HttpRequest::Get{},
                      .response_bytes_max = answer_bytes_max});
        edges.push_back({.name = host_of(url), .error = "no answer in time"});
    }
    const auto until = std::chrono::steady_clock::now() + timeout + std::chrono::milliseconds{500};
    while (client.in_flight() > 0 && std::chrono::steady_clock::now() < until) {
        for (const HttpClient::Ended& ended : client.drive(std::chrono::milliseconds{100})) {
            EdgeNumbers& edge = edges.at(static_cast<std::size_t>(ended.ticket));
            const HttpResponse& response = ended.response;
            if (response.end != HttpEnd::complete) {
                edge.error = response.why;
            } else if (response.status != 200) {
                edge.error = fmt::format("it answers {}", response.status);
            } else {
                edge = edge_of(edge.name, response.body);
            }
        }
    }
    (void)client.abort_all();  // Their rows say that there was no answer.
    return edges;
}

}  // namespace runledger
