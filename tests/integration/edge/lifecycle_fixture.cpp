#include "tests/integration/edge/lifecycle_fixture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>

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

void LifecycleFixture::TearDown() {
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
            const auto now = nginx().workers();
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
