// Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
#include "nginx-module/nginx/seconds.hpp"
#include "nginx-module/status/metrics.hpp"

namespace runledger::edge {

namespace {

constexpr std::string_view prefix = "runledger_edge_";

[[nodiscard]] std::string_view to_word(MetricType type) noexcept {
    switch (type) {
        case MetricType::counter:
            return "counter";
        case MetricType::gauge:
            return "gauge";
        case MetricType::histogram:
            return "histogram";
    }
    return "untyped";
}

}  // namespace

std::string to_prometheus_text(const MetricFamilies& families) {
    std::string text;
    for (const MetricFamily& family : families) {
        text.append("# HELP ").append(prefix).append(family.name).append(" ").append(family.help).append("\n");
        text.append("# TYPE ").append(prefix).append(family.name).append(" ").append(to_word(family.type)).append("\n");
        const bool is_histogram = family.type == MetricType::histogram;
        for (const MetricSample& sample : family.samples) {
            text.append(prefix).append(family.name).append(is_histogram ? "_bucket" : "");
            if (!family.label.empty()) {
                text.append("{").append(family.label).append("=\"").append(sample.label_value).append("\"}");
            }
            text.append(" ").append(std::to_string(sample.value)).append("\n");
        }
        if (is_histogram) {
            text.append(prefix).append(family.name).append("_sum ").append(to_seconds_text(family.sum)).append("\n");
            text.append(prefix).append(family.name).append("_count ");
            text.append(std::to_string(family.samples.back().value)).append("\n");
        }
    }
    return text;
}

}  // namespace runledger::edge
