// A program that a test starts, and ends by its process id.
//
// Invariant: nothing that was started outlives its ChildProcess: the destructor ends the process group, and the
// kernel kills the child should the test itself be killed. One thread owns an object; the kernel's signal comes when
// the *thread* that started the child ends, so start servers from a thread that outlives them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

struct Command {
    std::vector<std::string> argv{};           // argv[0] is a path, or a name that PATH knows.
    std::map<std::string, std::string> env{};  // On top of the test's own environment; PG* variables are not inherited.
    std::filesystem::path cwd{"/"};
    std::filesystem::path output{"/dev/null"};  // stdout and stderr, appended.
    bool drop_privileges{true};                 // To nobody, when run as root.
};

struct ExitStatus {
    int code{-1};          // -1 where a signal ended it.
    int signal_number{0};  // 0 where it ended by itself.

    [[nodiscard]] bool clean() const noexcept { return code == 0; }
    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

class ChildProcess {
public:
    // Throws where the program can't be executed.
    explicit ChildProcess(const Command& command);
    ~ChildProcess();
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] bool running();

    // Does nothing after kill() or terminate(). The group's signal reaches what an ended leader has left behind.
    void signal(int number);
    void signal_group(int number);

    // Nothing when it still runs after the patience. May be asked again for the same answer. The process stays a
    // zombie until kill(), so that neither its id nor its group's can come to mean another.
    std::optional<ExitStatus> wait(std::chrono::milliseconds patience = default_patience);
    // SIGKILL to the group, waits, reaps.
    void kill();
    // SIGTERM, patience, then kill(). The status tells which it took.
    ExitStatus terminate(std::chrono::milliseconds patience = default_patience);

private:
    pid_t pid_{-1};
    int pidfd_{-1};
    bool reaped_{false};
    std::optional<ExitStatus> status_;

    void take_from(ChildProcess& other) noexcept;
    void close_pidfd() noexcept;
};

struct Finished {
    ExitStatus status{};
    std::string output{};  // stdout and stderr together.
};

// Runs a program to its end; the output goes through a file in `folder`. Kills it and throws after the patience.
[[nodiscard]] Finished run_to_end(Command command, const TempFolder& folder,
                                  std::chrono::milliseconds patience = std::chrono::milliseconds{60'000});

// A port of 127.0.0.1 that nobody listens on, below the range from which the kernel takes ports for outgoing
// connections, and not given to any other running test of this machine until this process ends.
[[nodiscard]] std::uint16_t free_port();

// What /proc says of a process. A process is its id and its start time: ids are used again.
struct ProcessId {
    pid_t pid{};
    std::uint64_t started_ticks{};

    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// Nothing where there is no such process, or only a zombie.
[[nodiscard]] std::optional<ProcessId> find_process(pid_t pid);
[[nodiscard]] std::vector<ProcessId> children_of(pid_t parent);
// False also for a zombie: it holds nothing any more.
[[nodiscard]] bool is_alive(const ProcessId& process);

}  // namespace runledger::test
