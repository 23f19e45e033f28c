// Each figure of the edge to its own metric, in both forms: a table in which every metric stands.
#include "nginx-module/status/metrics.hpp"

#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <functional>
#include <map>
#include <vector>

#include "tests/support/prometheus_text.hpp"

namespace runledger::edge {
namespace {

struct Wire {
    std::string name;
    std::function<void(CourierFigures&, std::uint64_t)> set;
    bool is_flag{false};  // Counts workers, so one worker's is 0 or 1.
};

template <class Part>
Wire wire(std::string name, Part CourierFigures::*part, std::uint64_t Part::*field) {
    return {std::move(name),
            [part, field](CourierFigures& figures, std::uint64_t value) { (figures.*part).*field = value; }};
}

// A figure of courier_figures that is in no row fails the tests.
const std::vector<Wire>& wires() {
    using F = CourierFigures;
    static const std::vector<Wire> all{
        wire("events_committed_total", &F::commits, &CommitFigures::events),
        wire("batches_committed_total", &F::commits, &CommitFigures::batches),
        wire("commit_failures_total", &F::commits, &CommitFigures::failures),
        wire("commit_failing_seconds", &F::commits, &CommitFigures::failing_seconds),
        wire("batches_sent_total", &F::delivery, &DeliveryFigures::batches_sent),
        wire("batches_resent_total", &F::delivery, &DeliveryFigures::batches_resent),
        wire("batches_acked_total", &F::delivery, &DeliveryFigures::batches_acked),
        wire("busy_answers_total", &F::delivery, &DeliveryFigures::busy_answers),
        wire("refused_answers_total", &F::delivery, &DeliveryFigures::refused_answers),
        wire("refused_retirements_total", &F::delivery, &DeliveryFigures::refused_retirements),
        wire("batches_suspected_total", &F::delivery, &DeliveryFigures::batches_suspected),
        wire("batches_convicted_total", &F::delivery, &DeliveryFigures::batches_convicted),
        wire("unknown_answers_total", &F::delivery, &DeliveryFigures::unknown_answers),
        wire("window_bytes", &F::delivery, &DeliveryFigures::window_bytes),
        wire("batches_apart", &F::delivery, &DeliveryFigures::poison_batches),
        wire("daemons_lost_total", &F::link, &LinkFigures::peers_lost),
        wire("handshakes_failed_total", &F::link, &LinkFigures::handshakes_failed),
        wire("names_unresolved_total", &F::link, &LinkFigures::names_unresolved),
        wire("daemon_endpoints_up", &F::link, &LinkFigures::endpoints_up),
        wire("segments_adopted_total", &F::spool, &SpoolFigures::segments_adopted),
        wire("segments_unlinked_total", &F::spool, &SpoolFigures::segments_removed),
        wire("segments_damaged_total", &F::spool, &SpoolFigures::segments_damaged),
        wire("spool_batches", &F::spool, &SpoolFigures::batches_unacked),
        wire("oldest_unacked_seconds", &F::spool, &SpoolFigures::oldest_unacked_seconds),
        wire("spool_bytes", &F::spool, &SpoolFigures::folder_bytes),
        wire("spool_segments", &F::spool, &SpoolFigures::folder_segments),
        wire("spool_segments_damaged", &F::spool, &SpoolFigures::folder_damaged_segments),
        wire("spool_segments_kept", &F::spool, &SpoolFigures::folder_kept_segments),
        wire("spool_kept_bytes", &F::spool, &SpoolFigures::folder_kept_bytes),
        wire("refused_kept_total", &F::refused, &RefusedFigures::kept),
        wire("refused_over_rate_total", &F::refused, &RefusedFigures::over_rate),
        wire("refused_no_room_total", &F::refused, &RefusedFigures::no_room),
        wire("refused_unfit_total", &F::refused, &RefusedFigures::unfit),
        wire("refused_failed_total", &F::refused, &RefusedFigures::failed),
        wire("refused_bodies", &F::refused, &RefusedFigures::folder_bodies),
        wire("refused_bytes", &F::refused, &RefusedFigures::folder_bytes),
        {"held_events", [](F& figures, std::uint64_t value) { figures.held_events = value; }},
        {"held_bytes", [](F& figures, std::uint64_t value) { figures.held_bytes = value; }},
        {"links_up", [](F& figures, std::uint64_t value) { figures.link.endpoints_up = value; }, true},
        {"workers_draining", [](F& figures, std::uint64_t value) { figures.is_draining = value != 0; }, true},
        {"workers_without_courier", [](F& figures, std::uint64_t value) { figures.has_started = value == 0; }, true},
        {"workers_without_room",
         [](F& figures, std::uint64_t value) {
             figures.commits.trouble = value == 0 ? CommitTrouble::none : CommitTrouble::no_room;
         },
         true},
        {"workers_with_failing_disk",
         [](F& figures, std::uint64_t value) {
             figures.commits.trouble = value == 0 ? CommitTrouble::none : CommitTrouble::disk_failing;
         },
         true},
    };
    return all;
}

// What the courier publishes, as the table in shared memory has it for one worker.
std::map<std::string, std::uint64_t> published(const CourierFigures& figures) {
    std::map<std::string, std::uint64_t> values;
    for (const CourierFigure& figure : courier_figures) {
        values[std::string(figure.name)] = figure.value(figures);
    }
    return values;
}

TEST(CourierFigure, IsEachOfItsOwnField) {
    EXPECT_EQ(wires().size(), courier_figures.size());
    for (const Wire& one : wires()) {
        CourierFigures figures;
        figures.has_started = true;
        one.set(figures, 77);

        auto values = published(figures);

        EXPECT_EQ(values[one.name], one.is_flag ? 1U : 77U) << one.name;
        // A connection is counted twice: as one, and as its worker's link.
        if (one.name == "links_up" || one.name == "daemon_endpoints_up") {
            values.erase("links_up");
            values.erase("daemon_endpoints_up");
        }
        values.erase(one.name);
        EXPECT_THAT(values, testing::Each(testing::Pair(testing::_, 0U))) << one.name;
    }
}

class StatusMetrics : public testing::Test {
protected:
    // Every figure with a value of its own, and the samples that they are to be.
    StatusMetrics() {
        std::uint64_t value = 1000;
        const auto expect = [&](const std::string& sample) {
            expected_[sample] = static_cast<double>(++value);
            return value;
        };
        for (std::size_t i = 0; i < courier_figures.size(); ++i) {
            figures_.courier[i] = expect(std::string(courier_figures[i].name));
        }
        for (std::size_t i = 1; i < outcome_words.size(); ++i) {
            const std::string word(outcome_words[i]);
            figures_.outcomes[i] = expect("requests_total{outcome=\"" + word + "\"}");
            if (word != "accepted" && word != "redelivered" && word != "refused_by_nginx") {
                expected_["refused_total{cause=\"" + word + "\"}"] = static_cast<double>(value);
            }
        }
        for (std::size_t i = 0; i < nginx_causes.size(); ++i) {
            figures_.refusals_by_nginx[i] =
                expect("refused_total{cause=\"" + std::string(nginx_causes[i].word) + "\"}");
        }
        for (const std::string name : {"studio", "studio-next"}) {
            const std::uint64_t accepted = expect("token_accepted_total{token=\"" + name + "\"}");
            figures_.tokens.push_back({name, accepted, expect("token_last_use_seconds{token=\"" + name + "\"}")});
        }
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < figures_.commits.size(); ++i) {
            figures_.commits[i] = ++value;
            count += value;
            const std::string at_most = i < commit_buckets.size() ? std::string(commit_buckets[i].label) : "+Inf";
            expected_["commit_seconds_bucket{le=\"" + at_most + "\"}"] = static_cast<double>(count);
        }
        expected_["commit_seconds_count"] = static_cast<double>(count);
        figures_.commit_time_sum = std::chrono::microseconds{12'000'345};
        expected_["commit_seconds_sum"] = 12.000345;
        figures_.workers = expect("workers");
        figures_.is_nginx_incompatible = true;
        expected_["incompatible_nginx"] = 1;
        figures_.started_at_seconds = expect("start_time_seconds");
        bounds_.spool_bytes_max = expect("spool_bytes_max");
        bounds_.daemon_endpoints = expect("daemon_endpoints");
    }

    StatusFigures figures_;
    StatusBounds bounds_;
    std::map<std::string, double> expected_;  // Without the prefix, and without the version.
};

TEST_F(StatusMetrics, AreEachInTheTextByTheirOwnName) {
    std::map<std::string, double> served;
    for (const auto& [name, value] : test::samples_of(to_prometheus_text(metric_families(figures_, bounds_)))) {
        ASSERT_TRUE(name.starts_with("runledger_edge_")) << name;
        served[name.substr(std::string("runledger_edge_").size())] = value;
    }
    std::erase_if(served, [](const auto& sample) { return sample.first.starts_with("build_info{version="); });

    EXPECT_EQ(served, expected_);
}

TEST_F(StatusMetrics, AreEachInTheJsonByTheirOwnName) {
    rapidjson::Document document;
    document.Parse(to_json(metric_families(figures_, bounds_)).c_str());
    ASSERT_TRUE(document.IsObject());

    std::map<std::string, double> served;
    const std::map<std::string, std::string> labels{{"requests_total", "outcome"},
                                                    {"refused_total", "cause"},
                                                    {"token_accepted_total", "token"},
                                                    {"token_last_use_seconds", "token"}};
    for (const auto& metric : document.GetObject()) {
        const std::string name = metric.name.GetString();
        if (metric.value.IsNumber()) {
            served[name] = metric.value.GetDouble();
        } else if (name == "commit_seconds") {
            served[name + "_sum"] = metric.value["sum"].GetDouble();
            served[name + "_count"] = metric.value["count"].GetDouble();
            for (const auto& bucket : metric.value["buckets"].GetObject()) {
                served[name + "_bucket{le=\"" + bucket.name.GetString() + "\"}"] = bucket.value.GetDouble();
            }
        } else if (name != "build_info") {
            for (const auto& sample : metric.value.GetObject()) {
                served[name + "{" + labels.at(name) + "=\"" + sample.name.GetString() + "\"}"] =
                    sample.value.GetDouble();
            }
        }
    }

    EXPECT_EQ(served, expected_);
}

}  // namespace
}  // namespace runledger::edge
