#include "nginx-module/status/metrics.hpp"

#include <stdexcept>

// RapidJSON's asserts must neither abort a worker nor be compiled out.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace runledger::edge {

namespace {

[[nodiscard]] MetricFamily family_of_one(std::string_view name, std::string_view help, MetricType type,
                                         std::uint64_t value) {
    return {name, help, type, "", {{"", value}}};
}

[[nodiscard]] MetricFamily requests_by_outcome(const StatusFigures& figures) {
    MetricFamily family{
        "requests_total", "Requests to webhook locations, by outcome.", MetricType::counter, "outcome", {}};
    for (std::size_t i = 1; i < outcome_words.size(); ++i) {  // 0 is RequestOutcome::none, which no ended request has.
        family.samples.push_back({std::string{outcome_words[i]}, figures.outcomes[i]});
    }
    return family;
}

// The outcomes that are no 2xx, with nginx's own refusals told apart.
[[nodiscard]] MetricFamily refusals_by_cause(const StatusFigures& figures) {
    MetricFamily family{"refused_total",
                        "Requests to webhook locations that were not answered 2xx, by cause.",
                        MetricType::counter,
                        "cause",
                        {}};
    for (std::size_t i = 0; i < outcome_words.size(); ++i) {
        switch (static_cast<RequestOutcome>(i)) {
            case RequestOutcome::none:
            case RequestOutcome::accepted:
            case RequestOutcome::redelivered:
            case RequestOutcome::refused_by_nginx:
                break;
            case RequestOutcome::refused_json:
            case RequestOutcome::refused_token:
            case RequestOutcome::refused_method:
            case RequestOutcome::refused_size:
            case RequestOutcome::refused_type:
            case RequestOutcome::over_bound:
            case RequestOutcome::timeout:
            case RequestOutcome::body_unreadable:
            case RequestOutcome::failed:
            case RequestOutcome::client_gone:
            case RequestOutcome::spool_full:
            case RequestOutcome::incompatible:
                family.samples.push_back({std::string{outcome_words[i]}, figures.outcomes[i]});
        }
    }
    for (std::size_t i = 0; i < nginx_causes.size(); ++i) {
        family.samples.push_back({std::string{nginx_causes[i].word}, figures.refusals_by_nginx[i]});
    }
    return family;
}

void add_token_uses(MetricFamilies& families, const std::vector<TokenUse>& tokens) {
    MetricFamily accepted{"token_accepted_total",
                          "Events accepted, by the name of the token that let them in.",
                          MetricType::counter,
                          "token",
                          {}};
    MetricFamily last_use{"token_last_use_seconds",
                          "Unix time of the last request that the token let in; 0: none since the counters began.",
                          MetricType::gauge,
                          "token",
                          {}};
    for (const TokenUse& token : tokens) {
        accepted.samples.push_back({token.name, token.accepted});
        last_use.samples.push_back({token.name, token.last_use_seconds});
    }
    families.push_back(std::move(accepted));
    families.push_back(std::move(last_use));
}

[[nodiscard]] MetricFamily commit_times(const StatusFigures& figures) {
    MetricFamily family{"commit_seconds",
                        "Seconds from an accepted event's body to its being on stable storage.",
                        MetricType::histogram,
                        "le",
                        {},
                        figures.commit_time_sum};
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < commit_buckets.size(); ++i) {
        count += figures.commits[i];
        family.samples.push_back({std::string{commit_buckets[i].label}, count});
    }
    family.samples.push_back({"+Inf", count + figures.commits.back()});
    return family;
}

}  // namespace

MetricFamilies metric_families(const StatusFigures& figures, const StatusBounds& bounds) {
    MetricFamilies families;
    families.push_back(requests_by_outcome(figures));
    families.push_back(refusals_by_cause(figures));
    add_token_uses(families, figures.tokens);
    families.push_back(commit_times(figures));
    for (std::size_t i = 0; i < courier_figures.size(); ++i) {
        const CourierFigure& figure = courier_figures[i];
        const MetricType type = figure.kind == FigureKind::counter ? MetricType::counter : MetricType::gauge;
        families.push_back(family_of_one(figure.name, figure.help, type, figures.courier[i]));
    }
    families.push_back(family_of_one("spool_bytes_max", "The bound on spool_bytes, from max_size.", MetricType::gauge,
                                     bounds.spool_bytes_max));
    families.push_back(family_of_one("daemon_endpoints", "Endpoints that runledger_daemon names.", MetricType::gauge,
                                     bounds.daemon_endpoints));
    families.push_back(family_of_one("workers", "Workers that have a courier.", MetricType::gauge, figures.workers));
    families.push_back(family_of_one("incompatible_nginx",
                                     "1 if nginx's structures are not those that the module was built with.",
                                     MetricType::gauge, figures.is_nginx_incompatible ? 1 : 0));
    families.push_back(family_of_one("start_time_seconds",
                                     "Unix time at which the counters began: nginx's start, or a binary upgrade.",
                                     MetricType::gauge, figures.started_at_seconds));
    families.push_back({"build_info",
                        "1, with the module's version as a label.",
                        MetricType::gauge,
                        "version",
                        {{RUNLEDGER_VERSION, 1}}});
    return families;
}

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

// https://prometheus.io/docs/instrumenting/exposition_formats/
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

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_key(Writer& writer, std::string_view name) {
    writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}

void write_samples(Writer& writer, const MetricFamily& family) {
    writer.StartObject();
    for (const MetricSample& sample : family.samples) {
        write_key(writer, sample.label_value);
        writer.Uint64(sample.value);
    }
    writer.EndObject();
}

void write_histogram(Writer& writer, const MetricFamily& family) {
    const std::string sum = to_seconds_text(family.sum);
    writer.StartObject();
    write_key(writer, "count");
    writer.Uint64(family.samples.back().value);
    write_key(writer, "sum");
    writer.RawValue(sum.data(), sum.size(), rapidjson::kNumberType);  // As it is: a double would lose microseconds.
    write_key(writer, "buckets");
    write_samples(writer, family);
    writer.EndObject();
}

}  // namespace

std::string to_json(const MetricFamilies& families) {
    rapidjson::StringBuffer buffer;
    Writer writer{buffer};
    writer.StartObject();
    for (const MetricFamily& family : families) {
        write_key(writer, family.name);
        if (family.type == MetricType::histogram) {
            write_histogram(writer, family);
        } else if (family.label.empty()) {
            writer.Uint64(family.samples.front().value);
        } else {
            write_samples(writer, family);
        }
    }
    writer.EndObject();
    std::string text{buffer.GetString(), buffer.GetSize()};
    text += '\n';
    return text;
}

}  // namespace runledger::edge
