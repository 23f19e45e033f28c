// The edge's metrics as others read them: promtool, a reader of JSON, and a reader of docs/metrics.md.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <filesystem>

#include "tests/integration/edge/raw_connection.hpp"
#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class Metrics : public StatusFixture {
protected:
    [[nodiscard]] HttpAnswer ask(std::string_view query, std::string method = "GET") {
        return http_call({.url = nginx().url("/runledger_status" + std::string{query}), .method = std::move(method)});
    }

    [[nodiscard]] static std::string label_of(std::string_view family) {
        static const std::map<std::string_view, std::string> labels{
            {"build_info", "version"},     {"commit_seconds", "le"},          {"refused_total", "cause"},
            {"requests_total", "outcome"}, {"token_accepted_total", "token"}, {"token_last_use_seconds", "token"}};
        return labels.at(family);
    }

    // One of each kind of request that a client alone can bring about.
    void busy_hour() {
        static_cast<void>(post_until_answered(5));
        EXPECT_EQ(post("not an event").status, 400);
        EXPECT_EQ(http_get(nginx().url()).status, 405);
        EXPECT_EQ(http_call({.url = nginx().url(), .method = "GET", .body = fresh_event()}).status, 200);
        wait_for_sample("runledger_edge_events_committed_total", 6);
        wait_for_sample("runledger_edge_spool_batches", 0);
    }
};

TEST_F(Metrics, PleasePromtoolBeforeAnythingHasHappened) {
    start_nginx();

    EXPECT_EQ(promtool_complaints(text(), folder()), "");
}

TEST_F(Metrics, PleasePromtoolWhenMuchHasHappened) {
    start_daemon();
    start_nginx({.workers = 2});

    busy_hour();

    EXPECT_EQ(promtool_complaints(text(), folder()), "");
}

TEST_F(Metrics, AreAllInTheDocumentationWhichKnowsNoOther) {
    start_nginx();

    std::set<std::string> documented;
    for (const std::string& name : documented_metrics()) {
        if (name.starts_with("runledger_edge_")) {
            documented.insert(name);
        }
    }
    EXPECT_EQ(family_names(text()), documented);
}

TEST_F(Metrics, AreTheSameNumbersInJson) {
    start_daemon();
    start_nginx();
    busy_hour();

    const HttpAnswer answer = ask("?format=json");
    const auto numbers = samples();

    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.headers, HasSubstr("Content-Type: application/json\r\n"));
    rapidjson::Document document;
    document.Parse(answer.body.data(), answer.body.size());
    ASSERT_TRUE(document.IsObject()) << answer.body;
    std::map<std::string, double> in_json;
    for (const auto& member : document.GetObject()) {
        const std::string name = "runledger_edge_" + std::string{member.name.GetString()};
        if (!member.value.IsObject()) {
            in_json[name] = member.value.GetDouble();
            continue;
        }
        const bool is_histogram = member.value.HasMember("buckets");
        if (is_histogram) {
            in_json[name + "_count"] = member.value["count"].GetDouble();
            in_json[name + "_sum"] = member.value["sum"].GetDouble();
        }
        const std::string label = label_of(member.name.GetString());
        const auto& labelled_values = is_histogram ? member.value["buckets"] : member.value;
        for (const auto& labelled : labelled_values.GetObject()) {
            in_json[fmt::format(R"({}{}{{{}="{}"}})", name, is_histogram ? "_bucket" : "", label,
                                labelled.name.GetString())] = labelled.value.GetDouble();
        }
    }
    EXPECT_EQ(in_json, numbers);
}

TEST_F(Metrics, CountEachAcceptedEventsCommitTimeOnce) {
    start_daemon();
    start_nginx();
    busy_hour();

    const auto all = samples();

    double in_smaller = 0;
    int buckets = 0;
    double widest_bound = 0;
    for (const auto& [name, value] : all) {
        if (name.starts_with("runledger_edge_commit_seconds_bucket")) {
            ++buckets;
            EXPECT_LE(value, 6) << name;
        }
    }
    for (const char* bound : {"0.0001", "0.001", "0.01", "0.1", "1", "10", "15", "+Inf"}) {
        const std::string name = fmt::format(R"(runledger_edge_commit_seconds_bucket{{le="{}"}})", bound);
        EXPECT_GE(all.at(name), in_smaller) << name;
        in_smaller = all.at(name);
        widest_bound = in_smaller;
    }
    EXPECT_EQ(buckets, 18);
    EXPECT_EQ(widest_bound, 6) << "accepted and redelivered, and nothing that was refused";
    EXPECT_EQ(all.at("runledger_edge_commit_seconds_count"), 6);
    EXPECT_GT(all.at("runledger_edge_commit_seconds_sum"), 0);
    EXPECT_LT(all.at("runledger_edge_commit_seconds_sum"), 6 * 15);
    EXPECT_THAT(text(), ContainsRegex("runledger_edge_commit_seconds_sum [0-9]+\\.[0-9][0-9][0-9][0-9][0-9][0-9]\n"));
}

TEST_F(Metrics, CountTheTimeForWhichAnEventWaitedForTheDisk) {
    namespace fs = std::filesystem;
    start_daemon();
    start_nginx({.location_extra = "runledger_timeout 60s;"});
    allow_alarm(NginxServer::death_notice());
    fs::permissions(nginx().spool(), fs::perms::none);
    const auto before = nginx().worker_pids();
    nginx().kill_workers(SIGKILL);  // The next one has no segment open.
    eventually("a new worker runs", [&] { return !nginx().worker_pids().empty() && nginx().worker_pids() != before; });
    RawConnection held{nginx().port()};
    held.send(raw_post(fresh_event(), "Connection: close\r\n"));
    eventually("commits have failed for more than two seconds",
               [&] { return sample("runledger_edge_commit_failing_seconds") > 2; });
    EXPECT_EQ(sample("runledger_edge_workers_with_failing_disk"), 1);

    fs::permissions(nginx().spool(), fs::perms::owner_all);

    EXPECT_EQ(held.read_to_end().find("HTTP/1.1 200"), 0U);
    wait_for_sample("runledger_edge_commit_seconds_count", 1);
    EXPECT_EQ(sample(R"(runledger_edge_commit_seconds_bucket{le="1"})"), 0);
    EXPECT_GE(sample("runledger_edge_commit_seconds_sum"), 1);
    EXPECT_THAT(nginx().access_log(), ContainsRegex("commit_time=[1-9][0-9]*\\.[0-9]+ .*outcome=accepted\n"));
    wait_for_sample("runledger_edge_commit_failing_seconds", 0);
}

struct FormatCase {
    const char* name;
    const char* query;
    long status;
    const char* content_type;
};

class StatusFormat : public Metrics, public ::testing::WithParamInterface<FormatCase> {};

TEST_P(StatusFormat, IsWhatWasAskedFor) {
    start_nginx();

    const HttpAnswer got = ask(GetParam().query);
    const HttpAnswer head = ask(GetParam().query, "HEAD");

    EXPECT_EQ(got.status, GetParam().status);
    EXPECT_THAT(got.headers, HasSubstr(std::string{"Content-Type: "} + GetParam().content_type));
    EXPECT_EQ(head.status, GetParam().status);
    EXPECT_EQ(head.body, "");
    if (GetParam().status == 200) {
        EXPECT_THAT(got.headers, HasSubstr("Cache-Control: no-store\r\n"));
        EXPECT_THAT(head.headers, HasSubstr(fmt::format("Content-Length: {}\r\n", got.body.size())));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Status, StatusFormat,
    ::testing::Values(FormatCase{"Default", "", 200, "text/plain; version=0.0.4; charset=utf-8\r\n"},
                      FormatCase{"Prometheus", "?format=prometheus", 200, "text/plain; version=0.0.4; charset=utf-8"},
                      FormatCase{"Json", "?format=json", 200, "application/json\r\n"},
                      FormatCase{"JsonAmongOthers", "?a=1&format=json&b=2", 200, "application/json\r\n"},
                      FormatCase{"Unknown", "?format=xml", 400, "text/html"},
                      FormatCase{"Empty", "?format=", 400, "text/html"},
                      FormatCase{"Beginning", "?format=jso", 400, "text/html"}),
    [](const auto& parameter) { return std::string{parameter.param.name}; });

TEST_F(Metrics, AreOnlyRead) {
    start_nginx();

    const HttpAnswer answer = ask("", "POST");

    EXPECT_EQ(answer.status, 405);
    EXPECT_THAT(answer.headers, HasSubstr("Allow: GET, HEAD\r\n"));
    EXPECT_THAT(answer.body, Not(HasSubstr("runledger_edge_")));
}

}  // namespace
}  // namespace runledger::test
