#include "tests/integration/edge/lifecycle_fixture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

namespace fs = std::filesystem;

std::string bare_conf(bool loads_module) {
    return std::string{loads_module ? "load_module @MODULE@;\n" : ""} + R"(daemon off;
master_process on;
worker_processes 1;
pid @FOLDER@/nginx.pid;
error_log @FOLDER@/error.log info;
events { }
http {
    access_log off;
    client_body_temp_path @FOLDER@/client_body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    server {
        listen 127.0.0.1:@PORT@;
        location / { return 204; }
    }
}
)";
}

namespace {

// As long as any test may take.
constexpr std::string_view patient_with_headers = "client_header_timeout 600s;";
constexpr int other_connections_at_once = 32;

[[nodiscard]] std::string thread_name(const fs::path& task) {
    std::string name = read_text(task / "comm");
    name.erase(std::min(name.find('\n'), name.size()));
    return name;
}

// Whether the process has neither an open segment, of whatever spool, nor a thread of ZeroMQ's. Also where it is gone.
[[nodiscard]] bool has_let_go(const ProcessId& process) {
    const fs::path proc = fs::path{"/proc"} / std::to_string(process.pid);
    std::error_code gone;  // A descriptor, a thread or the process may end while it is looked at.
    for (const auto& fd : fs::directory_iterator{proc / "fd", gone}) {
        if (fs::read_symlink(fd.path(), gone).extension() == ".seg") {
            return false;
        }
    }
    for (const auto& task : fs::directory_iterator{proc / "task", gone}) {
        if (thread_name(task.path()).starts_with("ZMQ")) {
            return false;
        }
    }
    return true;
}

}  // namespace

bool LifecycleFixture::is_beside_another_site() { return from_environment("RUNLEDGER_OTHER_SITES", 0, 0) != 0; }

void LifecycleFixture::start_nginx(NginxConf conf, NginxOptions options) {
    prepare_nginx(standard_conf(conf), std::move(options));
    nginx().start();
    open_other_connections();
}

void LifecycleFixture::prepare_nginx(std::string conf, NginxOptions options) {
    constexpr std::string_view http = "http {";
    const std::size_t at = conf.find(http);
    if (is_beside_another_site() && at != std::string::npos && conf.find(patient_with_headers) == std::string::npos) {
        conf.insert(at + http.size(), fmt::format("\n    {}", patient_with_headers));
    }
    EdgeFixture::prepare_nginx(conf, std::move(options));
}

void LifecycleFixture::open_other_connections() {
    for (int i = 0; is_beside_another_site() && i < other_connections_at_once; ++i) {
        other_connections_.push_back(std::make_unique<RawConnection>(nginx().port()));
        other_connections_.back()->send("GET /other HTTP/1.1\r\nHost: other\r\n");
    }
}

void LifecycleFixture::quit_nginx() {
    if (is_beside_another_site()) {
        nginx().signal_master(SIGQUIT);
        expect_workers_gone(nginx().workers());
        close_other_connections();
    }
    nginx().quit();
}

void LifecycleFixture::expect_workers_gone(const std::vector<ProcessId>& old) {
    if (!is_beside_another_site()) {
        expect_gone("the old workers", old);
        return;
    }
    eventually(
        "the old workers have neither a segment nor a link", [&] { return std::ranges::all_of(old, has_let_go); },
        old_worker_lifetime_max, [this] { return nginx().error_log(); });
    draining_.insert(draining_.end(), old.begin(), old.end());
}

std::vector<ProcessId> LifecycleFixture::without_draining(std::vector<ProcessId> workers) const {
    std::erase_if(workers,
                  [this](const ProcessId& worker) { return std::ranges::find(draining_, worker) != draining_.end(); });
    return workers;
}

void LifecycleFixture::wait_for_serving_workers(std::uint64_t count) {
    eventually(
        fmt::format("{} workers serve", count),
        [&] { return sample("runledger_edge_workers") - sample("runledger_edge_workers_draining") == count; },
        default_patience, [this] { return http_get(nginx().url("/runledger_status")).body; });
}

void LifecycleFixture::TearDown() {
    close_other_connections();
    EdgeFixture::TearDown();
    expect_nobody_owns_a_segment(nginx().spool());
}

void LifecycleFixture::expect_gone(std::string_view who, const std::vector<ProcessId>& processes,
                                   std::chrono::milliseconds patience) {
    ASSERT_FALSE(processes.empty());
    eventually(
        fmt::format("{} are gone", who), [&] { return std::ranges::none_of(processes, is_alive); }, patience);
}

void LifecycleFixture::wait_for_workers(std::size_t count, const std::vector<ProcessId>& old) {
    eventually(
        fmt::format("{} workers run", count),
        [&] {
            const auto now = without_draining(nginx().workers());
            return now.size() == count &&
                   std::ranges::none_of(now, [&](const auto& id) { return std::ranges::find(old, id) != old.end(); });
        },
        old_worker_lifetime_max, [this] { return nginx().error_log(); });
}

std::vector<std::string> LifecycleFixture::end_load_without_failure(Load& load) {
    load.stop();
    EXPECT_EQ(load.failures(), std::vector<std::string>{});
    return load.answered();
}

void LifecycleFixture::expect_has_each_once(const std::vector<std::string>& answered) {
    ASSERT_FALSE(answered.empty());
    std::unordered_map<std::string, int> times;
    std::size_t missing = answered.size();
    eventually(
        "the daemon has every event that was answered",
        [&] {
            times.clear();
            for (std::string& body : daemon().delivered_bodies()) {
                ++times[std::move(body)];
            }
            missing = static_cast<std::size_t>(
                std::ranges::count_if(answered, [&](const std::string& body) { return !times.contains(body); }));
            return missing == 0;
        },
        2 * default_patience,
        [&] { return fmt::format("{} of {} are missing\n{}", missing, answered.size(), nginx().error_log()); });
    for (const std::string& body : answered) {
        EXPECT_EQ(times[body], 1) << body;
    }
}

std::uint64_t LifecycleFixture::sample(std::string_view name) {
    const std::string text = "\n" + http_get(nginx().url("/runledger_status")).body;
    const std::string line = fmt::format("\n{} ", name);
    const std::size_t at = text.find(line);
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + line.size()));
}

void LifecycleFixture::wait_for_sample(const std::string& name, std::uint64_t value) {
    eventually(
        fmt::format("{} is {}", name, value), [&] { return sample(name) == value; }, default_patience,
        [this] { return http_get(nginx().url("/runledger_status")).body; });
}

void LifecycleFixture::spool_becomes_unwritable() { fs::permissions(nginx().spool(), fs::perms::none); }

void LifecycleFixture::spool_becomes_writable() { fs::permissions(nginx().spool(), fs::perms::owner_all); }

void LifecycleFixture::replace_workers_by_force() {
    allow_alarm(NginxServer::death_notice());
    const auto before = nginx().workers();
    nginx().kill_workers();
    wait_for_workers(before.size(), before);
}

void LifecycleFixture::expect_nobody_owns_a_segment(const fs::path& spool) {
    for (const auto& entry : fs::directory_iterator{spool}) {
        if (entry.path().extension() != ".seg") {
            continue;
        }
        const int fd = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
        ASSERT_GE(fd, 0) << entry.path();
        EXPECT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0) << entry.path() << " is still owned";
        ::close(fd);
    }
}

void LifecycleWithAndWithoutDaemon::start_daemon_if_it_is_there() {
    if (has_daemon()) {
        start_daemon();
    }
}

void LifecycleWithAndWithoutDaemon::start_daemon_if_it_was_away() {
    if (!has_daemon()) {
        start_daemon();
    }
}

std::string name_of_daemon_state(const ::testing::TestParamInfo<bool>& info) {
    return info.param ? "DaemonAlive" : "DaemonDead";
}

}  // namespace runledger::test
