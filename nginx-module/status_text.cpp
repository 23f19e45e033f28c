// Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
#include "nginx-module/status_metrics.hpp"

namespace runledger::edge {

namespace {

constexpr std::string_view prefix = "runledger_edge_";

[[nodiscard]] std::string_view to_word(MetricType type) noexcept {
    switch (type) {
        case MetricType::counter:
            return "counter";
        case MetricType::gauge:
            return "gauge";
    }
    return "untyped";
}

}  // namespace

std::string to_prometheus_text(const MetricFamilies& families) {
    std::string text;
    for (const MetricFamily& family : families) {
        text.append("# HELP ").append(prefix).append(family.name).append(" ").append(family.help).append("\n");
        text.append("# TYPE ").append(prefix).append(family.name).append(" ").append(to_word(family.type)).append("\n");
        for (const MetricSample& sample : family.samples) {
            text.append(prefix).append(family.name);
            if (!family.label.empty()) {
                text.append("{").append(family.label).append("=\"").append(sample.label_value).append("\"}");
            }
            text.append(" ").append(std::to_string(sample.value)).append("\n");
        }
    }
    return text;
}

}  // namespace runledger::edge
