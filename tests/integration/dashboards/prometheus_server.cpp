#include "tests/integration/dashboards/prometheus_server.hpp"

#include <fmt/format.h>

#include <cctype>
#include <stdexcept>

#include "tests/integration/dashboards/dashboard.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        encoded += std::isalnum(byte) != 0 ? std::string(1, c) : fmt::format("%{:02X}", byte);
    }
    return encoded;
}

}  // namespace

PrometheusServer::PrometheusServer(const TempFolder& folder, std::string_view configuration) : port_(free_port()) {
    const auto own = folder.make_folder("prometheus");
    log_ = own / "prometheus.log";
    const auto file = folder.write_file("prometheus/prometheus.yml", configuration);
    process_.emplace(Command{.argv = {RUNLEDGER_PROMETHEUS, "--config.file=" + file.string(),
                                      fmt::format("--web.listen-address=127.0.0.1:{}", port_),
                                      "--storage.tsdb.path=" + (own / "data").string(), "--log.level=warn"},
                             .cwd = own,
                             .output = log_});
    eventually(
        "Prometheus is ready",
        [this] {
            if (!process_->running()) {
                throw Hopeless("it has ended");
            }
            return http_get(fmt::format("http://127.0.0.1:{}/-/ready", port_)).status == 200;
        },
        std::chrono::seconds{30}, [this] { return read_text(log_); });
}

rapidjson::Document PrometheusServer::get(std::string_view path, std::string_view query) const {
    const HttpAnswer answer =
        http_call({.url = fmt::format("http://127.0.0.1:{}/api/v1/{}", port_, path),
                   .method = query.empty() ? "GET" : "POST",
                   .body = query.empty() ? std::nullopt : std::optional("query=" + percent_encoded(query)),
                   .headers = {"Content-Type: application/x-www-form-urlencoded"}});
    rapidjson::Document json;
    if (json.Parse(answer.body.c_str()).HasParseError() || !json.IsObject()) {
        throw std::runtime_error(fmt::format("Prometheus answers {} with no JSON: {}", path, answer.body));
    }
    return json;
}

PrometheusServer::Answer PrometheusServer::ask(std::string_view query) const {
    const rapidjson::Document json = get("query", query);
    if (text_of(json, "status") != "success") {
        return {.error = text_of(json, "error")};
    }
    Answer answer;
    const auto& data = json["data"];
    if (text_of(data, "resultType") == "vector") {
        for (const auto& sample : data["result"].GetArray()) {
            answer.values.push_back(std::stod(sample["value"][1].GetString()));
        }
    } else {
        answer.values.push_back(std::stod(data["result"][1].GetString()));
    }
    return answer;
}

std::optional<double> PrometheusServer::value(std::string_view query) const {
    const Answer answer = ask(query);
    return answer.values.empty() ? std::nullopt : std::optional(answer.values.front());
}

std::vector<PrometheusServer::Alert> PrometheusServer::alerts() const {
    const rapidjson::Document json = get("rules?type=alert");
    std::vector<Alert> all;
    for (const auto& group : json["data"]["groups"].GetArray()) {
        for (const auto& rule : group["rules"].GetArray()) {
            all.push_back(
                {text_of(rule, "name"), text_of(rule, "query"), text_of(rule, "health"), text_of(rule, "lastError")});
        }
    }
    return all;
}

}  // namespace runledger::test
