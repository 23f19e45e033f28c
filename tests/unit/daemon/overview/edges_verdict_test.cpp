// Which figures of an edge the verdict reads: a table in which every metric of the edge stands, so that none that says
// "events are refused, or not stored" is overlooked; and what the alerts say of the same figures.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <regex>

#include "daemon/overview/overview.hpp"
#include "tests/support/prometheus_text.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger {
namespace {

using test::read_text;

using Figures = std::map<std::string, std::int64_t>;  // By their names in the status JSON.

const std::string rules_file = std::string{RUNLEDGER_SOURCE_DIR} + "/config/prometheus/runledger.rules.yml";
const std::string operations_file = std::string{RUNLEDGER_SOURCE_DIR} + "/docs/operations.md";

Figures sound() {
    return {{"spool_bytes", 60},     {"spool_bytes_max", 100}, {"workers", 5},
            {"workers_draining", 1}, {"links_up", 4},          {"oldest_unacked_seconds", 2}};
}

Health verdict_of(const Figures& figures) {
    std::string json;
    for (const auto& [name, value] : figures) {
        json += fmt::format("{}\"{}\": {}", json.empty() ? "{" : ", ", name, value);
    }
    Overview::Numbers numbers;
    numbers.edges.value = std::make_shared<const std::vector<EdgeNumbers>>(std::vector{edge_of("edge-1", json + "}")});
    return with_numbers({.verdict = Verdict::flowing, .sentence = "Work is flowing", .components = {}}, numbers);
}

struct Trouble {
    std::string alert;  // Of runledger.rules.yml, on the same figures.
    Figures just_well;  // What differs from sound(), and is no trouble yet.
    Figures trouble;
    Condition condition;
    std::string says;
};

const std::vector<Trouble>& troubles() {
    static const std::vector<Trouble> all{
        {"RunledgerIncompatibleNginx",
         {{"incompatible_nginx", 0}},
         {{"incompatible_nginx", 1}},
         Condition::failed,
         "nginx's structures"},
        {"RunledgerWorkersWithoutCourier",
         {{"workers_without_courier", 0}},
         {{"workers_without_courier", 1}},
         Condition::failed,
         "thread"},
        {"RunledgerDiskFailing",
         {{"workers_with_failing_disk", 0}},
         {{"workers_with_failing_disk", 1}},
         Condition::failed,
         "can't write"},
        {"RunledgerSpoolWithoutRoom",
         {{"workers_without_room", 0}},
         {{"workers_without_room", 1}},
         Condition::failed,
         "no room"},
        {"RunledgerSpoolFilling",
         {{"spool_bytes", 95}, {"spool_kept_bytes", 25}},
         {{"spool_bytes", 71}},
         Condition::degraded,
         "spool is filling"},
        {"RunledgerLinkDown",
         {{"links_up", 3}, {"oldest_unacked_seconds", 120}},
         {{"links_up", 3}, {"oldest_unacked_seconds", 121}},
         Condition::degraded,
         "no connection to a daemon"},
        {"RunledgerLinkDown",
         {{"workers_draining", 2}, {"links_up", 3}, {"oldest_unacked_seconds", 121}},
         {{"workers", 6}, {"oldest_unacked_seconds", 121}},
         Condition::degraded,
         "no connection to a daemon"},
        {"RunledgerBacklogOld",
         {{"oldest_unacked_seconds", 300}},
         {{"oldest_unacked_seconds", 301}},
         Condition::degraded,
         "not in the ledger"},
        {"RunledgerBatchesRefused",
         {{"batches_apart", 0}},
         {{"batches_apart", 1}},
         Condition::degraded,
         "wait by themselves"},
        {"RunledgerSegmentsDamaged",
         {{"spool_segments_damaged", 0}},
         {{"spool_segments_damaged", 1}},
         Condition::degraded,
         "damaged"},
    };
    return all;
}

// Figures of a trouble that are its measure.
const std::set<std::string> bounds{"spool_bytes_max", "spool_kept_bytes", "workers", "workers_draining", "links_up"};

constexpr auto counter = "counts since nginx's start: one look can't tell whether it grows; the alerts can";
constexpr auto progress = "counts what is as it should be";
constexpr auto load = "is the load, and says nothing about trouble by itself";

// Why the verdict does not read them.
const std::map<std::string, std::string>& unread() {
    static const std::map<std::string, std::string> all{
        {"requests_total", counter},
        {"refused_total", counter},
        {"commit_failures_total", counter},
        {"refused_answers_total", counter},
        {"refused_retirements_total", counter},
        {"daemons_lost_total", counter},
        {"handshakes_failed_total", counter},
        {"names_unresolved_total", counter},
        {"batches_suspected_total", counter},
        {"batches_convicted_total", counter},
        {"busy_answers_total", counter},
        {"unknown_answers_total", counter},
        {"batches_resent_total", counter},
        {"segments_damaged_total", "spool_segments_damaged has those that are left to deal with"},
        {"commit_seconds", "a histogram since nginx's start; the alert RunledgerCommitsSlow has its last minutes"},
        {"commit_failing_seconds", "not 0 only while workers_without_room or workers_with_failing_disk is"},
        {"refused_kept_total", counter},
        {"refused_over_rate_total", counter},
        {"refused_no_room_total", counter},
        {"refused_unfit_total", counter},
        {"refused_failed_total", counter},
        {"refused_bodies", "foreign requests are among them, and a scanner would hold the verdict for days"},
        {"refused_bytes", "as refused_bodies"},
        {"token_accepted_total", progress},
        {"token_last_use_seconds", progress},
        {"events_committed_total", progress},
        {"batches_committed_total", progress},
        {"batches_sent_total", progress},
        {"batches_acked_total", progress},
        {"segments_adopted_total", progress},
        {"segments_unlinked_total", progress},
        {"held_events", load},
        {"held_bytes", load},
        {"spool_batches", load},
        {"spool_segments", load},
        {"window_bytes", load},
        {"spool_segments_kept", "spool_kept_bytes has their bytes"},
        {"daemon_endpoints", "one daemon of several may be away: links_up counts workers that have one"},
        {"daemon_endpoints_up", "as daemon_endpoints"},
        {"start_time_seconds", "a time"},
        {"build_info", "a version"},
    };
    return all;
}

std::set<std::string> figures_read() {
    std::set<std::string> names = bounds;
    for (const Trouble& one : troubles()) {
        for (const auto& [name, value] : one.trouble) {
            names.insert(name);
        }
    }
    return names;
}

struct Alert {
    std::string name;
    std::string text;     // Its lines in the file.
    std::string section;  // Of its runbook: "spool".
};

std::vector<Alert> alerts_of_the_edge() {
    std::string rules = read_text(rules_file);
    rules.resize(rules.find("  - name: runledgerd\n"));
    std::vector<Alert> alerts;
    for (std::size_t at = rules.find("- alert: "), next = 0; at != std::string::npos; at = next) {
        next = rules.find("- alert: ", at + 1);
        const std::string text = rules.substr(at, next - at);
        std::smatch found;
        EXPECT_TRUE(std::regex_search(text, found, std::regex(R"re(alert: (\w+)[^]*runbook: [^#]*#([a-z-]+))re")));
        alerts.push_back({found[1], text, found[2]});
    }
    return alerts;
}

// The section's anchor: "incompatible-nginx" of `Incompatible nginx`.
std::string anchor_of(std::string title) {
    std::ranges::transform(title, title.begin(),
                           [](unsigned char c) { return c == ' ' ? '-' : static_cast<char>(std::tolower(c)); });
    return title;
}

TEST(VerdictOnEdges, ReadsEachFigureOrHasAReasonNotTo) {
    constexpr std::string_view prefix = "runledger_edge_";
    std::set<std::string> figures;
    for (const std::string& metric : test::documented_metrics()) {
        if (metric.starts_with(prefix)) {
            figures.insert(metric.substr(prefix.size()));
        }
    }
    ASSERT_GT(figures.size(), 40U);

    for (const std::string& figure : figures) {
        EXPECT_EQ(figures_read().count(figure) + unread().count(figure), 1U)
            << figure << " is in the table of troubles or has a reason why not";
    }
    for (const auto& [figure, reason] : unread()) {
        EXPECT_EQ(figures.count(figure), 1U) << figure << " is no metric of the edge";
    }
    for (const std::string& figure : figures_read()) {
        EXPECT_EQ(figures.count(figure), 1U) << figure << " is no metric of the edge";
    }
}

TEST(VerdictOnEdges, IsFlowingIfAllIsWell) {
    const Health health = verdict_of(sound());

    EXPECT_EQ(health.verdict, Verdict::flowing);
    EXPECT_EQ(health.components.back().condition, Condition::ok);
}

TEST(VerdictOnEdges, IsAsBadAsEachTroubleAndSaysWhatToDo) {
    const auto alerts = alerts_of_the_edge();
    for (const Trouble& one : troubles()) {
        Figures figures = one.trouble;
        figures.merge(sound());

        const Health health = verdict_of(figures);

        const std::string name = one.alert + ": " + one.says;
        EXPECT_EQ(health.verdict, Verdict::degraded) << name;
        ASSERT_FALSE(health.components.empty());
        const Component& edges = health.components.back();
        EXPECT_EQ(edges.name, "edges");
        EXPECT_EQ(edges.condition, one.condition) << name;
        EXPECT_THAT(edges.says, testing::AllOf(testing::StartsWith("edge-1: "), testing::HasSubstr(one.says)));
        EXPECT_EQ(health.sentence.find("Receipts go on") != std::string::npos, one.condition == Condition::degraded)
            << health.sentence;
        // The runbook is the alert's.
        std::smatch section;
        ASSERT_TRUE(std::regex_search(edges.cure, section, std::regex(R"re(docs/operations\.md, "([^"]+)"$)re")))
            << name << ": " << edges.cure;
        EXPECT_NE(read_text(operations_file).find(fmt::format("\n### {}\n", section[1].str())), std::string::npos);
        const auto alert = std::ranges::find(alerts, one.alert, &Alert::name);
        ASSERT_NE(alert, alerts.end()) << one.alert;
        EXPECT_EQ(anchor_of(section[1]), alert->section) << name;
    }
}

TEST(VerdictOnEdges, IsFlowingShortOfEachTrouble) {
    for (const Trouble& one : troubles()) {
        Figures figures = one.just_well;
        figures.merge(sound());

        EXPECT_EQ(verdict_of(figures).verdict, Verdict::flowing) << one.alert << ": " << one.says;
    }
}

TEST(VerdictOnEdges, IsNotChangedByTheOtherFigures) {
    Figures figures = sound();
    for (const auto& [name, reason] : unread()) {
        figures[name] = 1'000'000'000;
    }

    EXPECT_EQ(verdict_of(figures).verdict, Verdict::flowing);
}

TEST(VerdictOnEdges, NamesEachTroubleOnceWithAllItsEdges) {
    EdgeNumbers slow{.name = "edge-1", .error = "", .oldest_unacked_seconds = 1000};
    EdgeNumbers both = slow;
    both.name = "edge-2";
    both.workers_with_failing_disk = 1;
    Overview::Numbers numbers;
    numbers.edges.value = std::make_shared<const std::vector<EdgeNumbers>>(
        std::vector{slow, both, EdgeNumbers{.name = "edge-3", .error = "refused"}});

    const Health health = with_numbers({.verdict = Verdict::flowing, .sentence = "", .components = {}}, numbers);

    std::vector<std::string> said;
    for (const Component& component : health.components) {
        said.push_back(component.says);
    }
    EXPECT_THAT(said, testing::ElementsAre(testing::StartsWith("edge-2: "), testing::StartsWith("edge-3: refused"),
                                           testing::StartsWith("edge-1, edge-2: ")));
}

// An alert on a gauge is an alert on what a look can see.
TEST(VerdictOnEdges, KnowsWhatEachAlertOnAGaugeKnows) {
    const std::map<std::string, std::string> not_known{
        {"RunledgerRefusedBodiesKept", unread().at("refused_bodies")},
        {"RunledgerSpoolAlmostFull", "RunledgerSpoolFilling is on the same figures"},
        {"RunledgerEdgeNotScraped", "an edge that does not answer has a sentence of its own"},
    };
    for (const Alert& alert : alerts_of_the_edge()) {
        const bool is_on_a_counter =
            std::regex_search(alert.text, std::regex(R"((?:increase|rate)\(runledger_edge_\w+)"));
        const bool is_known = std::ranges::find(troubles(), alert.name, &Trouble::alert) != troubles().end();
        EXPECT_TRUE(is_known || is_on_a_counter || not_known.contains(alert.name)) << alert.name;
    }
}

TEST(VerdictOnEdges, HasTheThresholdsOfTheAlerts) {
    const std::map<std::string, std::string> thresholds{
        {"RunledgerSpoolFilling", fmt::format("> {}\n", spool_share_max)},
        {"RunledgerBacklogOld", fmt::format("> {}\n", backlog_wait_max.count())},
        {"RunledgerLinkDown", fmt::format("for: {}m\n", link_wait_max.count() / 60)},
    };
    for (const Alert& alert : alerts_of_the_edge()) {
        if (const auto threshold = thresholds.find(alert.name); threshold != thresholds.end()) {
            EXPECT_THAT(alert.text, testing::HasSubstr(threshold->second));
        }
    }
}

}  // namespace
}  // namespace runledger
