// A reload that changes what the directives say, or says it wrongly; reopened logs; and a module that is not used.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/integration/edge/process_facts.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

std::size_t lines_of(const fs::path& path) {
    const std::string text = read_text(path);
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

std::string replaced_once(std::string text, std::string_view what, std::string_view by) {
    return text.replace(text.find(what), what.size(), by);
}

class Reconfigure : public LifecycleFixture {
protected:
    void reload_with(const std::string& conf) {
        const auto old = nginx().workers();
        nginx().set_conf(conf);
        nginx().reload();
        expect_workers_gone(old);
    }

    // SIGHUP with a configuration that nginx refuses, with these words.
    void fail_to_reload_with(const NginxConf& conf, const std::string& words) {
        allow_alarm(words);
        nginx().set_conf(standard_conf(conf));
        nginx().signal_master(SIGHUP);
        wait_for_error_log(words);
    }
};

TEST_F(Reconfigure, AnotherSpoolIsUsedAndTheOldOneWaitsUntilItIsNamedAgain) {
    const std::string conf = standard_conf();
    const fs::path other = folder().make_folder("other-spool");
    start_nginx();
    auto events = post_until_answered(3);

    reload_with(replaced_once(conf, "@SPOOL@", other.string()));
    const auto in_other = post_until_answered(3);
    start_daemon();
    expect_delivered(in_other);
    reload_with(conf);

    events.insert(events.end(), in_other.begin(), in_other.end());
    expect_delivered(events);
    expect_nobody_owns_a_segment(other);
}

TEST_F(Reconfigure, AnotherBoundHoldsFromThenOn) {
    start_nginx({.spool_options = "max_size=128m"});
    wait_for_sample("runledger_edge_spool_bytes_max", 128UL * 1024 * 1024);

    reload_with(standard_conf({.spool_options = "max_size=64m"}));

    wait_for_sample("runledger_edge_spool_bytes_max", 64UL * 1024 * 1024);
}

TEST_F(Reconfigure, EventsGoToTheDaemonThatIsNamedNow) {
    RecordingDaemon other{folder() / "other.sock"};
    other.start();
    start_nginx();
    auto events = post_until_answered(3);

    reload_with(standard_conf({.daemon_endpoints = "ipc://@TEST_FOLDER@/other.sock"}));
    for (std::string& event : post_until_answered(3)) {
        events.push_back(std::move(event));
    }

    std::ranges::sort(events);
    eventually("the other daemon has all events", [&] {
        auto delivered = other.delivered_bodies();
        std::ranges::sort(delivered);
        return delivered == events;
    });
    EXPECT_TRUE(daemon().delivered_bodies().empty());
    other.stop();
}

TEST_F(Reconfigure, AConfigurationThatIsRefusedChangesNothing) {
    start_daemon();
    start_nginx();
    const auto workers = nginx().workers();
    Load load{nginx().url()};
    load.wait_for_answers(50);

    fail_to_reload_with({.location_extra = "runledger_timeout never;"}, R"(runledger_timeout: "never" is not a time)");
    load.wait_for_answers(50);
    // Refused later, when nginx prepares the zones, which it also has to take back.
    const std::string no_folder = (folder() / "no-such-folder").string();
    allow_alarm(no_folder);
    nginx().set_conf(replaced_once(standard_conf(), "@SPOOL@", no_folder));
    nginx().signal_master(SIGHUP);
    wait_for_error_log(no_folder);
    load.wait_for_answers(50);

    EXPECT_EQ(nginx().workers(), workers);
    expect_has_each_once(end_load_without_failure(load));
    reload_with(standard_conf());
    expect_has_each_once(post_until_answered(1));
}

TEST_F(Reconfigure, LogsAreReopenedWhileTheCourierWritesItsLines) {
    start_daemon();
    start_nginx({.workers = 2});
    Load load{nginx().url()};
    load.wait_for_answers(100);
    const fs::path old_error_log = nginx().folder() / "error.log.1";
    const fs::path old_access_log = nginx().folder() / "access.log.1";

    fs::rename(nginx().folder() / "error.log", old_error_log);
    fs::rename(nginx().folder() / "access.log", old_access_log);
    nginx().signal_master(SIGUSR1);
    eventually("the logs are made anew", [this] {
        return fs::exists(nginx().folder() / "error.log") && fs::exists(nginx().folder() / "access.log");
    });
    // A worker reopens its own a little later than the master; from then on the old file does not grow.
    load.wait_for_answers(50);
    daemon().stop();  // Each courier says that its link is down.
    eventually("the courier's line is in the new log",
               [this] { return read_text(nginx().folder() / "error.log").find("link down") != std::string::npos; });
    load.wait_for_answers(50);

    const auto answered = end_load_without_failure(load);
    start_daemon();
    expect_has_each_once(answered);
    eventually("every request is in one of the logs",
               [&] { return lines_of(old_access_log) + lines_of(nginx().folder() / "access.log") == answered.size(); });
    EXPECT_GT(lines_of(nginx().folder() / "access.log"), 0U);
    const std::string old_lines = read_text(old_error_log);
    for (const std::string_view alarm : {"[alert]", "[emerg]", "Sanitizer"}) {
        EXPECT_EQ(old_lines.find(alarm), std::string::npos) << old_lines;
    }
}

TEST_F(Reconfigure, CostsNothingWhereItIsLoadedAndNotUsed) {
    prepare_nginx(bare_conf(true));
    nginx().start();
    NginxServer stock{folder(), bare_conf(false), {.name = "stock"}};
    stock.start();

    for (const auto& [ours, theirs] : {std::pair{nginx().master_pid(), stock.master_pid()},
                                       std::pair{nginx().worker_pids().front(), stock.worker_pids().front()}}) {
        EXPECT_EQ(facts_of(ours).modules.size(), 1U);
        // A process that has just started may still be opening something, or another site's connection.
        ProcessFacts with;
        ProcessFacts without;
        EXPECT_TRUE(comes_true(
            [&, ours = ours, theirs = theirs] {
                with = facts_of(ours);
                without = facts_of(theirs);
                return with.threads == without.threads && with.descriptors == without.descriptors &&
                       with.shared_zones == without.shared_zones;
            },
            default_patience))
            << fmt::format("threads, descriptors, shared zones: {} {} {}, without the module {} {} {}", with.threads,
                           with.descriptors, with.shared_zones, without.threads, without.descriptors,
                           without.shared_zones);
    }
    stock.quit();
    stock.check_logs();
}

TEST_F(Reconfigure, WarnsOfMoreWorkersThanTheSpoolHasRoomFor) {
    struct Row {
        const char* name;
        int workers;
        const char* spool_options;
        bool warns;
    };
    static constexpr Row rows[] = {
        {"as many as two segments of 16 MiB each fit into", 32, "max_size=1g", false},
        {"one more", 33, "max_size=1g", true},
        {"a small spool has small segments", 8, "max_size=64m", false},
        {"but not ever smaller ones", 9, "max_size=64m", true},
    };
    prepare_nginx(standard_conf());
    for (const Row& row : rows) {
        nginx().set_conf(standard_conf({.workers = row.workers, .spool_options = row.spool_options}));

        const Finished checked = nginx().check_conf();

        EXPECT_TRUE(checked.status.clean()) << row.name << "\n" << checked.output;
        EXPECT_EQ(checked.output.find("[warn]") != std::string::npos &&
                      checked.output.find("reserve up to") != std::string::npos,
                  row.warns)
            << row.name << "\n"
            << checked.output;
    }
}

}  // namespace
}  // namespace runledger::test
