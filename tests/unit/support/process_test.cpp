#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class Process : public testing::Test {
protected:
    TempFolder folder_;

    Finished shell(std::string script, std::map<std::string, std::string> env = {}) {
        return run_to_end({.argv = {"sh", "-c", std::move(script)}, .env = std::move(env)}, folder_);
    }
};

TEST_F(Process, HandsOverOutputAndExitCode) {
    const Finished finished = shell("echo out; echo err >&2; exit 3");

    EXPECT_EQ(finished.status, (ExitStatus{.code = 3, .signal_number = 0}));
    EXPECT_EQ(finished.output, "out\nerr\n");
}

TEST_F(Process, RunsAsTheUnprivilegedUserUnlessToldOtherwise) {
    EXPECT_EQ(shell("id -u").output, std::to_string(unprivileged_user().uid) + "\n");

    const Finished kept = run_to_end({.argv = {"id", "-u"}, .drop_privileges = false}, folder_);

    EXPECT_EQ(kept.output, std::to_string(::geteuid()) + "\n");
}

TEST_F(Process, PassesItsEnvironmentButNoVariableOfPostgres) {
    ::setenv("PGHOST", "elsewhere", 1);
    const Finished finished = shell("echo \"$COLOUR-$PGHOST\"", {{"COLOUR", "red"}});
    ::unsetenv("PGHOST");

    EXPECT_EQ(finished.output, "red-\n");
}

TEST_F(Process, ThrowsWhenTheProgramIsNotThere) {
    EXPECT_THROW(ChildProcess({.argv = {"/nowhere/at-all"}}), std::system_error);
}

TEST_F(Process, WaitsNoLongerThanItsPatience) {
    ChildProcess child({.argv = {"sleep", "600"}});

    EXPECT_FALSE(child.wait(milliseconds{10}).has_value());
    EXPECT_TRUE(child.running());

    child.signal(SIGTERM);

    EXPECT_EQ(child.wait(), (ExitStatus{.code = -1, .signal_number = SIGTERM}));
    EXPECT_FALSE(child.running());
}

TEST_F(Process, TerminateKillsWhatIgnoresTheSignal) {
    ChildProcess child(
        {.argv = {"sh", "-c", "trap '' TERM; touch ready; while :; do sleep 600; done"}, .cwd = folder_.path()});
    eventually("the shell ignores SIGTERM", [&] { return std::filesystem::exists(folder_ / "ready"); });

    EXPECT_EQ(child.terminate(milliseconds{50}).signal_number, SIGKILL);
}

TEST_F(Process, TakesItsChildrenWithIt) {
    std::vector<ProcessId> grandchildren;
    {
        const ChildProcess child({.argv = {"sh", "-c", "sleep 600 & sleep 600 & wait"}});
        eventually("both sleep", [&] { return (grandchildren = children_of(child.pid())).size() == 2; });
    }

    eventually("both are gone", [&] { return !is_alive(grandchildren[0]) && !is_alive(grandchildren[1]); });
}

TEST_F(Process, TakesTheChildrenOfALeaderThatHasEnded) {
    ChildProcess child({.argv = {"sh", "-c", "sleep 600 & echo $! > pid"}, .cwd = folder_.path()});
    ASSERT_TRUE(child.wait().has_value());
    const auto orphan = static_cast<pid_t>(std::stoi(read_text(folder_ / "pid")));
    ASSERT_EQ(::kill(orphan, 0), 0);

    child.kill();

    eventually("the orphan is gone", [&] {
        return ::kill(orphan, 0) != 0 ||
               read_text("/proc/" + std::to_string(orphan) + "/stat").find(") Z") != std::string::npos;
    });
}

TEST_F(Process, DiesWithTheThreadThatStartedIt) {
    std::optional<ChildProcess> child;
    std::thread([&] { child.emplace(Command{.argv = {"sleep", "600"}}); }).join();

    EXPECT_EQ(child->wait(), (ExitStatus{.code = -1, .signal_number = SIGKILL}));
}

TEST_F(Process, SaysWhatAProgramSaidThatDidNotEnd) {
    const Command endless{.argv = {"sh", "-c", "echo stuck here; sleep 600"}};

    try {
        [[maybe_unused]] const Finished never = run_to_end(endless, folder_, milliseconds{300});
        FAIL() << "it ended";
    } catch (const NeverHappened& e) {
        EXPECT_THAT(e.what(), HasSubstr("stuck here"));
    }
}

TEST_F(Process, NoPortIsGivenOutTwice) {
    std::set<std::uint16_t> ports;

    for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(ports.insert(free_port()).second);
    }
}

// A child has copies of its parent's descriptors until it executes its program, also of the socket that tried the port.
TEST(FreePort, CanBeListenedOnWhileOtherThreadsStartProcesses) {
    std::atomic<bool> ends{false};
    std::thread starter([&] {
        while (!ends) {
            if (::fork() == 0) {
                ::usleep(5'000);
                ::_exit(0);
            }
            while (::waitpid(-1, nullptr, WNOHANG) > 0) {
            }
        }
        while (::waitpid(-1, nullptr, 0) > 0) {
        }
    });
    for (int i = 0; i < 300; ++i) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(free_port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int yes = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // As all servers that tests start.
        EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(fd, 1), 0);
        ::close(fd);
    }
    ends = true;
    starter.join();
}

}  // namespace
}  // namespace runledger::test
