#include "nginx-module/status/metrics.hpp"

namespace runledger::edge {

namespace {

[[nodiscard]] MetricFamily family_of_one(std::string_view name, std::string_view help, MetricType type,
                                         std::uint64_t value) {
    return {name, help, type, "", {{"", value}}};
}

[[nodiscard]] MetricFamily requests_by_outcome(const StatusFigures& figures) {
    MetricFamily family{
        "requests_total", "Requests to webhook locations, by outcome.", MetricType::counter, "outcome", {}};
    for (std::size_t i = 1; i < outcome_words.size(); ++i) {  // 0 is Outcome::none, which no ended request has.
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
        switch (static_cast<Outcome>(i)) {
            case Outcome::none:
            case Outcome::accepted:
            case Outcome::redelivered:
            case Outcome::refused_by_nginx:
                break;
            case Outcome::refused_json:
            case Outcome::refused_token:
            case Outcome::refused_method:
            case Outcome::refused_size:
            case Outcome::refused_type:
            case Outcome::over_bound:
            case Outcome::timeout:
            case Outcome::body_unreadable:
            case Outcome::failed:
            case Outcome::client_gone:
            case Outcome::spool_full:
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
    for (std::size_t i = 0; i < counter_fields.size(); ++i) {
        families.push_back(
            family_of_one(counter_fields[i].name, counter_fields[i].help, MetricType::counter, figures.counters[i]));
    }
    for (std::size_t i = 0; i < gauge_fields.size(); ++i) {
        families.push_back(
            family_of_one(gauge_fields[i].name, gauge_fields[i].help, MetricType::gauge, figures.gauges[i]));
    }
    families.push_back(family_of_one("spool_bytes_max", "The bound on spool_bytes, from max_size.", MetricType::gauge,
                                     bounds.spool_bytes_max));
    families.push_back(family_of_one("daemon_endpoints", "Endpoints that runledger_daemon names.", MetricType::gauge,
                                     bounds.daemon_endpoints));
    families.push_back(family_of_one("workers", "Workers that have a courier.", MetricType::gauge, figures.workers));
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

}  // namespace runledger::edge
