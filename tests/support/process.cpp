#include "tests/support/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36's own header leaves this out.
}

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

extern char** environ;

namespace runledger::test {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

std::vector<std::string> environment_of(const Command& command) {
    std::map<std::string, std::string> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const std::size_t equals = text.find('=');
        // A PGHOST of the person who runs the tests would send a server's client to another database.
        if (equals != std::string_view::npos && !text.starts_with("PG")) {
            variables.insert_or_assign(std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)});
        }
    }
    for (const auto& [name, value] : command.env) {
        variables.insert_or_assign(name, value);
    }
    std::vector<std::string> entries;
    entries.reserve(variables.size());
    for (const auto& [name, value] : variables) {
        entries.push_back(fmt::format("{}={}", name, value));
    }
    return entries;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// All that the child needs, made before the fork: after it, only async-signal-safe calls are allowed, since another
// thread of the test may have held the allocator's lock.
struct Prepared {
    char* const* argv{};
    char* const* env{};
    const char* cwd{};
    int output_fd{-1};
    int error_fd{-1};
    pid_t parent{};
    bool drop{false};
    Unprivileged user;
};

// The steps up to execve, as errno of the first that fails.
int become(const Prepared& prepared) noexcept {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setpgid(0, 0);
    const int null_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || ::dup2(null_fd, STDIN_FILENO) < 0 || ::dup2(prepared.output_fd, STDOUT_FILENO) < 0 ||
        ::dup2(prepared.output_fd, STDERR_FILENO) < 0) {
        return errno;
    }
    if (prepared.drop &&
        (::setgroups(0, nullptr) != 0 || ::setgid(prepared.user.gid) != 0 || ::setuid(prepared.user.uid) != 0)) {
        return errno;
    }
    // After setuid, which clears it. The parent may have died before: nobody would send the signal then.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return errno;
    }
    if (::getppid() != prepared.parent) {
        return ESRCH;
    }
    if (::chdir(prepared.cwd) != 0) {
        return errno;
    }
    ::execvpe(prepared.argv[0], prepared.argv, prepared.env);
    return errno;
}

ExitStatus decode(const siginfo_t& ended) {
    if (ended.si_code == CLD_EXITED) {
        return {.code = ended.si_status, .signal_number = 0};
    }
    return {.code = -1, .signal_number = ended.si_status};
}

}  // namespace

ChildProcess::ChildProcess(const Command& command) {
    std::vector<std::string> arguments = command.argv;
    std::vector<std::string> environment = environment_of(command);
    const std::vector<char*> argv = pointers_to(arguments);
    const std::vector<char*> env = pointers_to(environment);

    const int output_fd = ::open(command.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (output_fd < 0) {
        fail(fmt::format("open {}", command.output.string()));
    }
    std::array<int, 2> error_pipe{};
    if (::pipe2(error_pipe.data(), O_CLOEXEC) != 0) {
        ::close(output_fd);
        fail("pipe");
    }
    const Prepared prepared{.argv = argv.data(),
                            .env = env.data(),
                            .cwd = command.cwd.c_str(),
                            .output_fd = output_fd,
                            .error_fd = error_pipe[1],
                            .parent = ::getpid(),
                            .drop = command.drop_privileges && running_as_root(),
                            .user = unprivileged_user()};

    const pid_t pid = ::fork();
    if (pid == 0) {
        const int error = become(prepared);
        // The parent reads it or is gone; there is nobody else to tell.
        [[maybe_unused]] const ssize_t written = ::write(prepared.error_fd, &error, sizeof error);
        ::_exit(127);
    }
    const int fork_error = errno;
    ::close(output_fd);
    ::close(error_pipe[1]);
    int exec_error = 0;
    const ssize_t got = pid < 0 ? 0 : ::read(error_pipe[0], &exec_error, sizeof exec_error);  // Ends at execve.
    ::close(error_pipe[0]);
    if (pid < 0) {
        errno = fork_error;
        fail("fork");
    }
    pid_ = pid;
    if (got > 0) {
        ::waitpid(pid, nullptr, 0);
        errno = exec_error;
        fail(fmt::format("can't run {}", command.argv.front()));
    }
    pidfd_ = ::pidfd_open(pid, 0);
    if (pidfd_ < 0) {
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        fail("pidfd_open");
    }
}

ChildProcess::~ChildProcess() {
    if (pid_ > 0) {
        kill();
    }
    close_pidfd();
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { take_from(other); }

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    if (this != &other) {
        if (pid_ > 0) {
            kill();
        }
        close_pidfd();
        take_from(other);
    }
    return *this;
}

void ChildProcess::take_from(ChildProcess& other) noexcept {
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::exchange(other.pidfd_, -1);
    reaped_ = std::exchange(other.reaped_, false);
    status_ = std::exchange(other.status_, std::nullopt);
}

void ChildProcess::close_pidfd() noexcept {
    if (pidfd_ >= 0) {
        ::close(pidfd_);
        pidfd_ = -1;
    }
}

bool ChildProcess::running() { return !wait(std::chrono::milliseconds{0}).has_value(); }

void ChildProcess::signal(int number) {
    if (!reaped_) {
        ::kill(pid_, number);
    }
}

void ChildProcess::signal_group(int number) {
    if (!reaped_) {
        ::kill(-pid_, number);
    }
}

std::optional<ExitStatus> ChildProcess::wait(std::chrono::milliseconds patience) {
    if (status_) {
        return status_;
    }
    pollfd waiting{.fd = pidfd_, .events = POLLIN, .revents = 0};
    const auto deadline = std::chrono::steady_clock::now() + patience * patience_factor;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready > 0) {
            break;
        }
        if (ready < 0 && errno != EINTR) {
            fail("poll");
        }
        if (ready == 0) {
            return std::nullopt;
        }
    }
    siginfo_t ended{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_), &ended, WEXITED | WNOWAIT) != 0) {
        if (errno != EINTR) {
            fail("waitid");
        }
    }
    status_ = decode(ended);
    return status_;
}

void ChildProcess::kill() {
    signal_group(SIGKILL);
    signal(SIGKILL);  // Once more by id: the child may have left its group.
    // SIGKILL can't be refused; a minute covers a process stuck in a write to a slow disk.
    if (!reaped_ && wait(std::chrono::minutes{1})) {
        ::waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }
}

ExitStatus ChildProcess::terminate(std::chrono::milliseconds patience) {
    signal(SIGTERM);
    [[maybe_unused]] const auto ended = wait(patience);  // If not, kill() sees to it, and the status tells.
    kill();
    return status_.value_or(ExitStatus{});
}

Finished run_to_end(Command command, const TempFolder& folder, std::chrono::milliseconds patience) {
    std::string pattern = (folder.path() / "output-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    if (fd < 0) {
        fail(pattern);
    }
    ::close(fd);
    command.output = pattern;
    ChildProcess child(command);
    const auto status = child.wait(patience);
    if (!status) {
        child.kill();
        throw NeverHappened(fmt::format("{} did not end within {} ms; it said:\n{}", command.argv.front(),
                                        (patience * patience_factor).count(), read_text(pattern)));
    }
    return {.status = *status, .output = read_text(pattern)};
}

}  // namespace runledger::test
