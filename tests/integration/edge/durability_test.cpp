// A 2xx is a promise: whatever is killed, reloaded, full or away, what was answered is delivered, and what can't be
// stored is held and then refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>

#include "common/limits.hpp"
#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

class Durability : public EdgeFixture {
protected:
    static constexpr std::string_view held_short = "runledger_timeout 1s;";

    // Only the files that are there already can be written: a courier that starts can make no segment.
    void spool_becomes_unwritable() { fs::permissions(nginx().spool(), fs::perms::none); }
    void spool_becomes_writable() { fs::permissions(nginx().spool(), fs::perms::owner_all); }

    // With the daemon away, until an answer says that the spool has no room and nothing is held any more: an event that
    // was refused at its deadline is held until the courier's next try. Returns what was answered 200.
    std::vector<std::string> fill_the_spool(std::string_view location = endpoint) {
        std::vector<std::string> answered;
        for (int i = 0; i < 64; ++i) {
            const std::string event = fresh_event_of_bytes(4'000'000);
            const HttpAnswer answer = http_post(nginx().url(location), event);
            if (answer.status == 503) {
                if (commits_have_failed()) {
                    wait_until_held(0);
                    return answered;
                }
                continue;  // Only slow: a machine that is busy, or a sanitizer.
            }
            EXPECT_EQ(answer.status, 200);
            answered.push_back(event);
        }
        ADD_FAILURE() << "256 MB went into a spool of 64 MiB";
        return answered;
    }

    [[nodiscard]] bool commits_have_failed() {
        const std::string sample = "runledger_edge_commit_failures_total ";
        const std::string status = http_get(nginx().url("/runledger_status")).body;
        const std::size_t at = status.rfind("\n" + sample);
        return at != std::string::npos && std::stoull(status.substr(at + 1 + sample.size())) > 0;
    }

    void wait_for_status(const std::string& line) {
        const auto status = [this] { return http_get(nginx().url("/runledger_status")).body; };
        eventually(
            "the status says " + line, [&] { return status().find(line) != std::string::npos; }, default_patience,
            status);
    }

    void wait_until_held(int requests = 1) { wait_for_status("held_events " + std::to_string(requests) + "\n"); }

    void expect_workers_gone(const std::vector<pid_t>& old) {
        eventually("the old workers are gone", [&] {
            return std::ranges::none_of(nginx().worker_pids(),
                                        [&](pid_t pid) { return std::ranges::find(old, pid) != old.end(); });
        });
    }
};

TEST_F(Durability, AnswersWhileTheDaemonIsAwayAndDeliversWhenItComes) {
    start_nginx();
    const auto events = post_until_answered(5);

    start_daemon();

    expect_delivered(events);
}

TEST_F(Durability, DeliversAgainAfterTheDaemonHasGoneAndComeBack) {
    start_daemon();
    start_nginx();
    auto events = post_until_answered(2);
    expect_delivered(events);

    daemon().stop();
    for (std::string& event : post_until_answered(3)) {
        events.push_back(std::move(event));
    }
    daemon().start();

    expect_delivered(events);
}

TEST_F(Durability, KeepsEveryAnsweredEventAcrossAWorkersDeath) {
    start_nginx();
    auto events = post_until_answered(3);

    kill_workers();
    eventually("the new worker answers", [this] { return post("not an event").status == 400; });
    for (std::string& event : post_until_answered(2)) {
        events.push_back(std::move(event));
    }
    start_daemon();

    expect_delivered(events);
}

TEST_F(Durability, KeepsEveryAnsweredEventAcrossTheDeathOfAllOfNginx) {
    start_nginx();
    const auto events = post_until_answered(3);

    nginx().kill_all();
    start_daemon();
    nginx().start();

    expect_delivered(events);
}

TEST_F(Durability, LetsOldWorkersGoOnReloadWithTheDaemonAlive) {
    start_daemon();
    start_nginx({.workers = 2});
    auto events = post_until_answered(3);
    const auto old = nginx().worker_pids();

    nginx().reload();

    expect_workers_gone(old);
    for (std::string& event : post_until_answered(3)) {
        events.push_back(std::move(event));
    }
    expect_delivered(events);
}

TEST_F(Durability, LetsOldWorkersGoOnReloadWithTheDaemonDead) {
    start_nginx({.workers = 2});
    auto events = post_until_answered(3);
    for (int reloads = 0; reloads < 3; ++reloads) {
        const auto old = nginx().worker_pids();

        nginx().reload();

        expect_workers_gone(old);
        for (std::string& event : post_until_answered(2)) {
            events.push_back(std::move(event));
        }
    }
    start_daemon();
    expect_delivered(events);
}

TEST_F(Durability, AnswersRequestsThatAreHeldWhenAReloadComes) {
    start_nginx(
        {.spool_options = "max_size=64m",
         .server_extra = "location = /hasty { runledger_webhook; runledger_token off; runledger_timeout 1s; }"});
    static_cast<void>(fill_the_spool("/hasty"));
    const std::string event = fresh_event_of_bytes(4'000'000);
    RawConnection held{nginx().port()};
    held.send(raw_post(event, "Connection: close\r\n"));
    wait_until_held();
    const auto old = nginx().worker_pids();

    nginx().reload();
    start_daemon();

    EXPECT_EQ(held.read_to_end(std::chrono::seconds{15}).find("HTTP/1.1 200"), 0U);
    held.close();  // Or nginx would linger.
    expect_workers_gone(old);
    eventually("the event is delivered", [&] { return std::ranges::count(daemon().delivered_bodies(), event) == 1; });
}

TEST_F(Durability, GivesUpHeldRequestsAtWorkerShutdownTimeout) {
    start_nginx({.spool_options = "max_size=64m",
                 .main_extra = "worker_shutdown_timeout 1s;",
                 .server_extra = "location = /hasty { runledger_webhook; runledger_token off; runledger_timeout 1s; }",
                 .location_extra = "runledger_timeout 60s;"});
    static_cast<void>(fill_the_spool("/hasty"));
    RawConnection held{nginx().port()};
    held.send(raw_post(fresh_event_of_bytes(4'000'000)));
    wait_until_held();
    const auto old = nginx().worker_pids();

    nginx().reload();

    EXPECT_EQ(held.read_to_end(), "");
    expect_workers_gone(old);
}

TEST_F(Durability, HoldsARequestUntilTheSpoolCanBeWrittenAgain) {
    start_nginx();
    spool_becomes_unwritable();
    kill_workers();
    const std::string event = fresh_event();
    RawConnection held{nginx().port()};
    held.send(raw_post(event, "Connection: close\r\n"));
    wait_until_held();

    spool_becomes_writable();

    EXPECT_EQ(held.read_to_end().find("HTTP/1.1 200"), 0U);
    start_daemon();
    expect_delivered({event});
}

TEST_F(Durability, RefusesAtTheDeadlineWhatCouldNotBeStored) {
    start_daemon();
    start_nginx({.location_extra = std::string{held_short}});
    spool_becomes_unwritable();
    kill_workers();
    const auto start = std::chrono::steady_clock::now();

    const HttpAnswer answer = post(fresh_event());

    EXPECT_EQ(answer.status, 503) << answer.error;
    EXPECT_NE(answer.body.find("not_stored_in_time"), std::string::npos) << answer.body;
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds{900});
    wait_for_access_log("outcome=timeout");
    wait_for_error_log("[error]");
    wait_for_status("runledger_edge_workers_with_failing_disk 1\n");
    wait_for_status("runledger_edge_workers_without_room 0\n");
    spool_becomes_writable();
}

TEST_F(Durability, RefusesWhenTheSpoolIsFullAndRecoversWhenItHasBeenDelivered) {
    start_nginx({.spool_options = "max_size=64m", .location_extra = std::string{held_short}});
    auto events = fill_the_spool();
    ASSERT_GE(events.size(), 4U);
    wait_for_access_log("outcome=spool_full");
    wait_for_status("runledger_edge_workers_without_room 1\n");

    start_daemon();

    const std::string afterwards = fresh_event();
    eventually(
        "there is room again", [&] { return post(afterwards).status == 200; }, std::chrono::seconds{20});
    events.push_back(afterwards);
    wait_for_status("runledger_edge_workers_without_room 0\n");
    wait_for_status("runledger_edge_commit_failing_seconds 0\n");
    // What was refused may have been stored all the same; what was answered must be there.
    eventually("all that was answered is delivered", [&] {
        const auto delivered = daemon().delivered_bodies();
        return std::ranges::all_of(events,
                                   [&](const std::string& event) { return std::ranges::count(delivered, event) > 0; });
    });
}

TEST_F(Durability, RefusesAtOnceWhatIsOverTheBoundOfHeldBytes) {
    start_nginx({.spool_options = "max_size=64m",
                 .server_extra = "location = /hasty { runledger_webhook; runledger_token off; runledger_timeout 1s; }",
                 .location_extra = "runledger_timeout 60s;"});
    static_cast<void>(fill_the_spool("/hasty"));
    std::vector<std::unique_ptr<RawConnection>> held;
    for (int i = 0; i < 8; ++i) {  // Eight of 8 MiB are the 64 MiB that a courier holds.
        std::string event = fresh_event_of_bytes(body_bytes_max - 1000);
        event.append(body_bytes_max - event.size(), ' ');
        held.push_back(std::make_unique<RawConnection>(nginx().port()));
        held.back()->send(raw_post(event));
    }
    wait_until_held(8);

    const HttpAnswer answer = post(fresh_event());

    EXPECT_EQ(answer.status, 503);
    EXPECT_NE(answer.body.find("over_bound"), std::string::npos) << answer.body;
    wait_for_access_log("outcome=over_bound");
}

TEST_F(Durability, ForgetsAClientThatLeavesWhileItsRequestIsHeld) {
    start_nginx({.location_extra = "runledger_timeout 60s;"});
    spool_becomes_unwritable();
    kill_workers();
    {
        RawConnection held{nginx().port()};
        held.send(raw_post(fresh_event()));
        wait_until_held();
    }

    wait_for_access_log("outcome=client_gone");
    wait_for_access_log(" 499 ");
    spool_becomes_writable();
    eventually("the edge works on", [this] { return post(fresh_event()).status == 200; });
}

TEST_F(Durability, SurvivesReloadsWithoutTheModuleAndWithItAgain) {
    const std::string with = standard_conf();
    std::string without = with.substr(with.find('\n') + 1);  // The first line loads the module.
    for (const std::string_view block : {"log_format", "runledger_spool", "runledger_daemon"}) {
        const std::size_t at = without.find(block);
        without.erase(at, without.find(";\n", at) + 1 - at);
    }
    without.replace(without.find("@FOLDER@/access.log runledger;"),
                    std::string_view{"@FOLDER@/access.log runledger;"}.size(), "off;");
    for (const std::string_view directive : {"runledger_webhook;", "runledger_token off;", "runledger_status;"}) {
        without.replace(without.find(directive), directive.size(), "");
    }
    start_nginx();
    auto events = post_until_answered(2);
    const auto reload_with = [this](const std::string& conf) {
        const auto old = nginx().worker_pids();
        nginx().set_conf(conf);
        nginx().reload();
        expect_workers_gone(old);
    };
    for (int i = 0; i < 2; ++i) {
        reload_with(without);
        EXPECT_GE(post(fresh_event()).status, 404);
        reload_with(with);
        for (std::string& event : post_until_answered(2)) {
            events.push_back(std::move(event));
        }
    }

    start_daemon();

    expect_delivered(events);
}

TEST_F(Durability, EndsAtOnceWhenNginxIsTerminated) {
    start_nginx({.location_extra = "runledger_timeout 60s;"});
    const auto events = post_until_answered(3);
    spool_becomes_unwritable();

    nginx().term();

    spool_becomes_writable();
    start_daemon();
    nginx().start();
    expect_delivered(events);
}

}  // namespace
}  // namespace runledger::test
