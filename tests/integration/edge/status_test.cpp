// What an operator sees: the status location's metrics and the variables in the access log.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using Status = StatusFixture;

TEST_F(Status, CountsRequestsByOutcomeOverAllWorkers) {
    start_daemon();
    start_nginx({.workers = 2});
    static_cast<void>(post_until_answered(5));
    EXPECT_EQ(post("not an event").status, 400);
    EXPECT_EQ(http_get(nginx().url()).status, 405);
    EXPECT_EQ(http_call({.url = nginx().url(), .method = "GET", .body = fresh_event()}).status, 200);

    wait_for_sample(requests("accepted"), 5);
    wait_for_sample(requests("refused_json"), 1);
    wait_for_sample(requests("refused_method"), 1);
    wait_for_sample(requests("redelivered"), 1);
    wait_for_sample("runledger_edge_events_committed_total", 6);
    wait_for_sample("runledger_edge_workers", 2);
    wait_for_sample("runledger_edge_links_up", 2);
    wait_for_sample("runledger_edge_spool_batches", 0);
}

TEST_F(Status, ShowsWhatWaitsInTheSpoolWhileTheDaemonIsAway) {
    start_nginx();
    static_cast<void>(post_until_answered(3));

    wait_for_sample("runledger_edge_spool_batches", 3);
    wait_for_sample("runledger_edge_links_up", 0);
    EXPECT_GT(samples()["runledger_edge_spool_bytes"], 0);
    EXPECT_EQ(samples()["runledger_edge_spool_bytes_max"], 1024.0 * 1024 * 1024);

    start_daemon();
    wait_for_sample("runledger_edge_spool_batches", 0);
    wait_for_sample("runledger_edge_links_up", 1);
    wait_for_sample("runledger_edge_window_bytes", 0);
}

TEST_F(Status, KeepsItsCountersAcrossAReload) {
    start_daemon();
    start_nginx();
    static_cast<void>(post_until_answered(3));
    wait_for_sample(requests("accepted"), 3);

    nginx().reload();

    static_cast<void>(post_until_answered(2));
    wait_for_sample(requests("accepted"), 5);
    wait_for_sample("runledger_edge_events_committed_total", 5);
    wait_for_sample("runledger_edge_workers", 1);
}

TEST_F(Status, ForgetsTheGaugesOfAWorkerThatWasKilled) {
    start_nginx();
    allow_alarm(NginxServer::death_notice());
    static_cast<void>(post_until_answered(2));
    wait_for_sample("runledger_edge_spool_batches", 2);

    nginx().kill_workers(SIGKILL);

    // The next worker adopts what the first one stored: what both say at most is two.
    wait_for_sample("runledger_edge_segments_adopted_total", 1);
    eventually(
        "one worker counts, and no batch counts twice",
        [this] {
            auto now = samples();
            return now["runledger_edge_workers"] == 1 && now["runledger_edge_spool_batches"] == 2;
        },
        std::chrono::seconds{5});
}

TEST_F(Status, AnswersOnlyThoseWhoOnlyRead) {
    start_nginx();
    const std::string url = nginx().url("/runledger_status");

    EXPECT_EQ(http_call({.url = url, .method = "HEAD"}).status, 200);
    EXPECT_EQ(http_post(url, "{}").status, 405);
}

TEST_F(Status, StandsBesideTheRunInTheAccessLog) {
    start_daemon();
    start_nginx();
    static_cast<void>(post(R"({"run_id": "a run\" with\nodd characters", "status": "success"})"));

    wait_for_access_log("commit_time=0.");
    wait_for_access_log(R"(run=a run\x22 with_odd characters run_status=success outcome=accepted)");
    static_cast<void>(post("not an event"));
    wait_for_access_log("commit_time=- run=- run_status=- outcome=refused_json");
    static_cast<void>(text());
    wait_for_access_log("commit_time=- run=- run_status=- outcome=-");
}

TEST_F(Status, ShowsARunWithoutControlCharactersAndWithoutAPath) {
    static_cast<void>(folder().make_folder("nginx/runs"));
    start_daemon();
    start_nginx({.server_extra = R"(location = /shown {
            runledger_webhook; runledger_token off; root @FOLDER@;
            add_header X-Run "$runledger_run_id" always; add_header X-Run-Status "$runledger_run_status" always;
            access_log "@FOLDER@/runs/$runledger_run_id.log" runledger;
        })"});
    struct Row {
        std::string_view in_json;
        std::string_view shown;
    };
    constexpr Row rows[] = {
        {R"(line\r\nSet-Cookie: a=b)", "line__Set-Cookie: a=b"},
        {R"(nul\u0000tab\tdel\u007f)", "nul_tab_del_"},
        {R"(c1\u0085\u009b)", "c1____"},
        {R"(/../../etc/x)", "_.._.._etc_x"},
        {R"(..\\x)", ".._x"},
        {R"(..)", "__"},
        {R"(.)", "_"},
        {"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},  // Text of any language stays as it is.
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.in_json);
        const HttpAnswer answer =
            http_post(nginx().url("/shown"), fmt::format(R"({{"run_id": "{0}", "status": "{0}"}})", row.in_json));

        EXPECT_EQ(answer.status, 200) << answer.body;
        EXPECT_NE(answer.headers.find(fmt::format("X-Run: {}\r\n", row.shown)), std::string::npos) << answer.headers;
        EXPECT_NE(answer.headers.find(fmt::format("X-Run-Status: {}\r\n", row.shown)), std::string::npos)
            << answer.headers;
        EXPECT_EQ(answer.headers.find("\r\nSet-Cookie"), std::string::npos) << answer.headers;
        eventually("its log has a name in the folder", [&] {
            return std::filesystem::exists(nginx().folder() / "runs" / fmt::format("{}.log", row.shown));
        });
    }
}

TEST_F(Status, NamesTheRunOfALargeBodyToo) {
    start_daemon();
    start_nginx({.location_extra = "client_body_in_file_only clean;"});

    EXPECT_EQ(post(R"({"status": "queued", "run_id": "from-a-file"})").status, 200);

    wait_for_access_log("run=from-a-file run_status=queued outcome=accepted");
}

}  // namespace
}  // namespace runledger::test
