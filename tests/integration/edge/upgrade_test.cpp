// A binary upgrade (USR2): the old master's workers and the new master's serve side by side on one port and one spool,
// and either side may be the one that stays.
#include <gtest/gtest.h>

#include <charconv>
#include <csignal>

#include <algorithm>
#include <optional>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class Upgrade : public LifecycleWithAndWithoutDaemon {
protected:
    static constexpr std::size_t some = 100;

    // nginx heeds USR2 and WINCH only as a daemon of its own, so neither the process group nor the kernel ends it for
    // us: whatever master was seen is killed here, should the test have failed before it quit.
    ~Upgrade() override {
        for (const ProcessId& master : masters_) {
            for (const ProcessId& worker : children_of(master.pid)) {
                ::kill(worker.pid, SIGKILL);
            }
            if (is_alive(master)) {
                ::kill(master.pid, SIGKILL);
            }
        }
    }
    Upgrade() = default;
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    void start_daemonised_nginx() {
        // nginx gives a new binary the variables that `env` names and no others: a sanitizer needs its own.
        std::string conf =
            standard_conf({.workers = 2, .main_extra = "env LD_PRELOAD;\nenv ASAN_OPTIONS;\nenv UBSAN_OPTIONS;"});
        conf.replace(conf.find("daemon off;"), std::string_view{"daemon off;"}.size(), "daemon on;");
        prepare_nginx(conf);
        launcher_.emplace(nginx().command());
        const auto launched = launcher_->wait();
        ASSERT_TRUE(launched && launched->clean()) << nginx().error_log();
        old_ = wait_for_master(std::nullopt);
        open_other_connections();
    }

    // Beside another site a master that has quit waits for its workers, and these for their connections.
    void TearDown() override {
        close_other_connections();
        if (!quitting_.empty()) {
            expect_gone("the masters that have quit", quitting_);
        }
        LifecycleWithAndWithoutDaemon::TearDown();
    }

    // USR2; returns when the new master has workers of its own.
    void upgrade() {
        ::kill(old_->pid, SIGUSR2);
        new_ = wait_for_master(old_);
        open_other_connections();
    }

    [[nodiscard]] const ProcessId& old_master() const { return *old_; }
    [[nodiscard]] const ProcessId& new_master() const { return *new_; }

    // Without the new master, which the old one has started and is the parent of.
    [[nodiscard]] std::vector<ProcessId> workers_of(const ProcessId& master) const {
        std::vector<ProcessId> workers = children_of(master.pid);
        std::erase_if(workers, [this](const ProcessId& child) { return child == new_; });
        return without_draining(std::move(workers));
    }

    [[nodiscard]] bool both_have_workers() const {
        return workers_of(old_master()).size() == 2 && workers_of(new_master()).size() == 2;
    }

    void expect_quits(std::string_view who, const ProcessId& master) {
        const auto workers = workers_of(master);
        ::kill(master.pid, SIGQUIT);
        if (!workers.empty()) {
            expect_workers_gone(workers);
        }
        if (is_beside_another_site()) {
            quitting_.push_back(master);
        } else {
            expect_gone(who, {master});
        }
    }

private:
    [[nodiscard]] ProcessId wait_for_master(const std::optional<ProcessId>& other_than) {
        std::optional<ProcessId> master;
        eventually(
            "a master has written its id and started its workers",
            [&] {
                const std::string text = read_text(nginx().folder() / "nginx.pid");
                pid_t pid = 0;
                std::from_chars(text.data(), text.data() + text.size(), pid);
                master = pid == 0 ? std::nullopt : find_process(pid);
                return master && master != other_than && children_of(pid).size() == 2;
            },
            2 * default_patience, [this] { return nginx().error_log(); });
        masters_.push_back(*master);
        return *master;
    }

    // Kept until the end: ended at once, it would take with it a master that has not yet left its process group.
    std::optional<ChildProcess> launcher_;
    std::vector<ProcessId> masters_;
    std::vector<ProcessId> quitting_;
    std::optional<ProcessId> old_;
    std::optional<ProcessId> new_;
};

INSTANTIATE_TEST_SUITE_P(Edge, Upgrade, ::testing::Values(true, false), name_of_daemon_state);

TEST_P(Upgrade, OldAndNewWorkersShareTheSpoolUntilTheOldMasterQuits) {
    start_daemon_if_it_is_there();
    start_daemonised_nginx();
    Load load{nginx().url()};
    load.wait_for_answers(some);

    upgrade();
    load.wait_for_answers(some);
    ASSERT_TRUE(both_have_workers());
    const auto old_workers = workers_of(old_master());
    ::kill(old_master().pid, SIGWINCH);
    expect_workers_gone(old_workers);
    load.wait_for_answers(some);
    expect_quits("the old master", old_master());
    load.wait_for_answers(some);

    const auto answered = end_load_without_failure(load);
    start_daemon_if_it_was_away();
    expect_has_each_once(answered);
    expect_quits("the new master", new_master());
}

TEST_P(Upgrade, CanBeTakenBack) {
    start_daemon_if_it_is_there();
    start_daemonised_nginx();
    Load load{nginx().url()};

    upgrade();
    const auto old_workers = workers_of(old_master());
    ::kill(old_master().pid, SIGWINCH);
    expect_workers_gone(old_workers);
    load.wait_for_answers(some);
    ::kill(old_master().pid, SIGHUP);
    eventually("the old master has workers again", [this] { return both_have_workers(); });
    expect_quits("the new master", new_master());
    load.wait_for_answers(some);

    const auto answered = end_load_without_failure(load);
    EXPECT_EQ(workers_of(old_master()).size(), 2U);
    start_daemon_if_it_was_away();
    expect_has_each_once(answered);
    expect_quits("the old master", old_master());
}

}  // namespace
}  // namespace runledger::test
