#include "tests/support/daemonised_nginx.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <stdexcept>

#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

// A worker that drains may hold a request for its runledger_timeout, and waits for its disk after that.
constexpr std::chrono::seconds end_patience{40};

}  // namespace

std::string daemonised_conf(const NginxConf& conf) {
    constexpr std::string_view in_front = "daemon off;";
    std::string text = standard_conf(conf);
    text.replace(text.find(in_front), in_front.size(),
                 "daemon on;\nenv LD_PRELOAD;\nenv ASAN_OPTIONS;\nenv UBSAN_OPTIONS;");
    return text;
}

DaemonisedNginx::DaemonisedNginx(const NginxServer& files, int workers)
    : files_(files), workers_(static_cast<std::size_t>(workers)) {}

DaemonisedNginx::~DaemonisedNginx() {
    for (const ProcessId& master : masters_) {
        if (is_alive(master)) {
            ::kill(master.pid, SIGSTOP);  // Or it would start new workers in the place of those that are killed.
            for (const ProcessId& child : children_of(master.pid)) {
                ::kill(child.pid, SIGKILL);
            }
            ::kill(master.pid, SIGKILL);
        }
    }
}

void DaemonisedNginx::start() {
    ChildProcess launcher(files_.command());
    const auto launched = launcher.wait();
    if (!launched || !launched->clean()) {
        throw std::runtime_error("nginx did not start:\n" + files_.error_log());
    }
    // With its workers there, it has left the launcher's process group, which ends with the launcher.
    master_ = wait_for_master(std::nullopt);
    masters_.push_back(*master_);
}

ProcessId DaemonisedNginx::wait_for_master(const std::optional<ProcessId>& other_than) const {
    std::optional<ProcessId> master;
    eventually(
        "a master has written its id and started its workers",
        [&] {
            const std::string text = read_text(files_.folder() / "nginx.pid");
            pid_t pid = 0;
            std::from_chars(text.data(), text.data() + text.size(), pid);
            master = pid == 0 ? std::nullopt : find_process(pid);
            const bool is_new =
                master && master != other_than && std::ranges::find(masters_, *master) == masters_.end();
            return is_new && children_of(pid).size() == workers_;
        },
        2 * default_patience, [this] { return files_.error_log(); });
    return *master;
}

void DaemonisedNginx::upgrade(OldMaster fate) {
    const ProcessId old = *master_;
    signal_master(SIGUSR2);
    master_ = wait_for_master(old);
    masters_.push_back(*master_);
    ::kill(old.pid, SIGQUIT);
    if (fate == OldMaster::ends) {
        wait_until_gone({old});
    }
}

void DaemonisedNginx::reload() {
    const auto before = workers();
    signal_master(SIGHUP);
    eventually(
        "a new worker runs after a reload",
        [&] {
            const auto now = workers();
            return std::ranges::any_of(
                now, [&](const ProcessId& worker) { return std::ranges::find(before, worker) == before.end(); });
        },
        default_patience, [this] { return files_.error_log(); });
}

void DaemonisedNginx::signal_master(int number) {
    if (!master_ || !is_alive(*master_)) {
        throw std::logic_error("DaemonisedNginx: not running\n" + files_.error_log());
    }
    ::kill(master_->pid, number);
}

void DaemonisedNginx::end_worker(const ProcessId& worker, int signal_number) {
    ::kill(worker.pid, signal_number);
    wait_until_gone({worker});
}

void DaemonisedNginx::kill_all() {
    signal_master(SIGSTOP);  // Or it would start new workers in the place of those that are killed.
    auto everybody = workers();
    everybody.push_back(*master_);
    for (const ProcessId& process : everybody) {
        ::kill(process.pid, SIGKILL);
    }
    wait_until_gone(everybody);
    master_.reset();
}

void DaemonisedNginx::quit() {
    auto everybody = workers();
    everybody.push_back(*master_);
    signal_master(SIGQUIT);
    wait_until_gone(everybody);
    master_.reset();
}

std::vector<ProcessId> DaemonisedNginx::workers() const {
    return master_ ? children_of(master_->pid) : std::vector<ProcessId>{};
}

void DaemonisedNginx::wait_until_gone(const std::vector<ProcessId>& processes) {
    eventually(
        "the processes are gone", [&] { return std::ranges::none_of(processes, is_alive); }, end_patience);
}

}  // namespace runledger::test
