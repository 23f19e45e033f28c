#include "daemon/overview/edges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

bool is_link_missing(const EdgeNumbers& edge) {
    return edge.links_up < edge.workers - edge.workers_draining && edge.oldest_unacked_seconds > link_wait_max.count();
}

// What an edge that answers may say of trouble. Each has an alert with the same runbook.
struct EdgeTrouble {
    Condition condition;  // Failed: events are refused, or will be after their timeout.
    std::string_view says;
    std::string_view cure;
    bool (*is_so)(const EdgeNumbers&);
};

// The worst first.
constexpr std::array edge_troubles{
    EdgeTrouble{Condition::failed,
                "every webhook is refused, because nginx's structures are not those that the module was built with",
                "install the module for this nginx, then: systemctl restart nginx; docs/operations.md, "
                "\"Incompatible nginx\"",
                [](const EdgeNumbers& edge) { return edge.incompatible_nginx != 0; }},
    EdgeTrouble{Condition::failed, "workers can't start their thread: webhooks are held and then refused",
                "raise the limit of tasks (TasksMax=); docs/operations.md, \"Threads\"",
                [](const EdgeNumbers& edge) { return edge.workers_without_courier > 0; }},
    EdgeTrouble{Condition::failed, "workers can't write to the spool: webhooks are held and then refused",
                "mend the disk; nginx's error log has the system's words; docs/operations.md, \"Disk\"",
                [](const EdgeNumbers& edge) { return edge.workers_with_failing_disk > 0; }},
    EdgeTrouble{Condition::failed, "workers find no room in the spool: webhooks are held and then refused",
                "mend what keeps the daemon from taking its batches, or raise max_size; docs/operations.md, \"Spool\"",
                [](const EdgeNumbers& edge) { return edge.workers_without_room > 0; }},
    EdgeTrouble{Condition::degraded, "the spool is filling",
                "mend what keeps the daemon from taking its batches, before events are refused; docs/operations.md, "
                "\"Spool\"",
                [](const EdgeNumbers& edge) { return spool_share(edge) > spool_share_max; }},
    EdgeTrouble{Condition::degraded, "workers have no connection to a daemon, and events wait in the spool",
                "systemctl status runledgerd; docs/operations.md, \"Link\"", is_link_missing},
    EdgeTrouble{Condition::degraded, "events of more than 5 min ago are not in the ledger yet",
                "the daemon's log has the reason; docs/operations.md, \"Backlog\"",
                [](const EdgeNumbers& edge) { return edge.oldest_unacked_seconds > backlog_wait_max.count(); }},
    EdgeTrouble{Condition::degraded,
                "batches that a daemon has refused, or that may have ended daemons, wait by themselves",
                "nginx's error log names them; docs/operations.md, \"Quarantine\"",
                [](const EdgeNumbers& edge) { return edge.batches_apart > 0; }},
    EdgeTrouble{Condition::degraded, "segments of the spool are damaged, and events in them may be lost",
                "look at them with: runledger spool show; docs/operations.md, \"Damage\"",
                [](const EdgeNumbers& edge) { return edge.spool_segments_damaged > 0; }},
};
static_assert(backlog_wait_max == std::chrono::minutes{5});  // As a sentence above has it.

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
        for (const EdgeFigure& figure : edge_figures) {
            edge.*figure.member = count_in(document, figure.name);
        }
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

std::int64_t spool_bytes_used(const EdgeNumbers& edge) {
    return std::max<std::int64_t>(edge.spool_bytes - edge.spool_kept_bytes, 0);
}

double spool_share(const EdgeNumbers& edge) {
    return edge.spool_bytes_max > 0
               ? static_cast<double>(spool_bytes_used(edge)) / static_cast<double>(edge.spool_bytes_max)
               : 0;
}

std::vector<Component> edge_components(const std::vector<EdgeNumbers>& edges) {
    std::vector<Component> components;
    for (const EdgeNumbers& edge : edges) {
        if (!edge.error.empty()) {
            components.push_back({"edges", Condition::degraded, fmt::format("{}: {}", edge.name, edge.error),
                                  "look whether its nginx runs, and whether its status may be read from here; "
                                  "docs/operations.md, \"No scrape\""});
        }
    }
    for (const EdgeTrouble& trouble : edge_troubles) {
        std::string names;
        for (const EdgeNumbers& edge : edges) {
            if (edge.error.empty() && trouble.is_so(edge)) {
                names += (names.empty() ? "" : ", ") + edge.name;
            }
        }
        if (!names.empty()) {
            components.push_back(
                {"edges", trouble.condition, fmt::format("{}: {}", names, trouble.says), std::string(trouble.cure)});
        }
    }
    if (components.empty()) {
        components.push_back({"edges", Condition::ok, "they store events and pass them on", ""});
    }
    // Not std::ranges: clang 14 does not compile it with GCC 12's library.
    std::stable_partition(components.begin(), components.end(),
                          [](const Component& component) { return component.condition == Condition::failed; });
    return components;
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
