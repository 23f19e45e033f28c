// A real nginx with the module under test, in a folder of its own, on a free port, as the unprivileged user.
//
// Invariant: master and workers are gone when the object is; check_logs() has the last word on whether they were well.
// Not for sharing between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

// What standard_conf() writes; every text is nginx's own language and may hold the placeholders below.
struct NginxConf {
    int workers{1};
    int worker_connections{4096};
    std::string daemon_endpoints{"ipc://@TEST_FOLDER@/d.sock"};
    std::string spool_options{};                // "max_size=64m"
    std::string token{"runledger_token off;"};  // The location's token directive.
    std::string main_extra{};
    std::string http_extra{};
    std::string server_extra{};    // Further locations.
    std::string location_extra{};  // Into the webhook's location: "runledger_timeout 2s;"
};

// A whole nginx.conf: one server on @PORT@ with `location = /api/webhook/comfydeploy` and `= /runledger_status`, spool
// in @SPOOL@, access log with our variables, every path inside @FOLDER@. Placeholders, filled in by NginxServer:
// @PORT@, @FOLDER@ (its own), @TEST_FOLDER@ (the whole test's), @SPOOL@, @MODULE@.
[[nodiscard]] std::string standard_conf(const NginxConf& conf = {});

struct NginxOptions {
    std::string name{"nginx"};                 // Its folder below the test's; two servers need two names.
    std::filesystem::path module{};            // Empty: the one of this build tree.
    std::filesystem::path spool{};             // Empty: a new folder "spool" in its own.
    std::map<std::string, std::string> env{};  // TMPDIR, fault injection.
    std::uint16_t port{0};                     // 0: a free one.
    std::vector<std::string> wrapper{};        // What runs nginx: {"valgrind", "--leak-check=full"}. Empty: nothing.
    int patience_factor{1};                    // How many times slower than usual it starts, reloads and ends.
};

class NginxServer {
public:
    // Writes the files; starts nothing. `folder` must outlive the server.
    explicit NginxServer(const TempFolder& folder, std::string_view conf = standard_conf(), NginxOptions options = {});
    ~NginxServer();
    NginxServer(const NginxServer&) = delete;
    NginxServer& operator=(const NginxServer&) = delete;

    // Returns when the port takes connections and every worker has been started; throws with the logs when not.
    void start();
    // What start() runs, for a test that has a way of its own: with a sanitized module, the sanitizer's library first.
    [[nodiscard]] Command command(std::vector<std::string> more_arguments = {}) const;
    // `nginx -t`: its exit status and all that it said.
    [[nodiscard]] Finished check_conf() const;
    // Takes effect at the next start or reload.
    void set_conf(std::string_view conf);
    // SIGHUP; returns when all new workers run. The old ones may still be draining.
    void reload();
    void quit(std::chrono::milliseconds patience = default_patience);  // SIGQUIT, drains; throws if it does not end.
    void term(std::chrono::milliseconds patience = default_patience);  // SIGTERM, at once; throws if it does not end.
    // Returns when those workers are gone; the master starts others.
    void kill_workers(int signal_number = SIGKILL);
    // SIGKILL to the master and to every worker: nothing is left.
    void kill_all();
    void signal_master(int number);

    [[nodiscard]] bool running();
    [[nodiscard]] std::vector<ProcessId> workers() const;  // The master's children, draining ones included.
    [[nodiscard]] std::vector<pid_t> worker_pids() const;
    [[nodiscard]] pid_t master_pid() const;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url(std::string_view path = "/api/webhook/comfydeploy") const;
    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
    [[nodiscard]] const std::filesystem::path& spool() const noexcept { return spool_; }
    [[nodiscard]] std::string error_log() const;  // With what went to stderr.
    [[nodiscard]] std::string access_log() const;

    // The lines with [alert], [emerg], Sanitizer or "runtime error:" that hold none of the allowed texts.
    // Allow death_notice() only where the test itself kills a worker: nginx writes an alert for it.
    [[nodiscard]] std::vector<std::string> alarms(const std::vector<std::string>& allowed = {}) const;
    // Fails the running test on each of them.
    void check_logs(const std::vector<std::string>& allowed = {}) const;
    [[nodiscard]] static std::string death_notice(int signal_number = SIGKILL);  // "exited on signal 9"

private:
    const TempFolder& test_folder_;
    NginxOptions options_;
    std::filesystem::path folder_;
    std::filesystem::path spool_;
    std::filesystem::path module_;
    std::uint16_t port_;
    std::optional<ChildProcess> master_;
    std::vector<ProcessId> seen_workers_;

    [[nodiscard]] std::string fill_in(std::string_view conf) const;
    void remember_workers();
    void wait_for_master(std::string_view sentence, std::chrono::milliseconds patience);
};

// True when 127.0.0.1:port takes a connection.
[[nodiscard]] bool takes_connections(std::uint16_t port);

// Debian's, or the one that RUNLEDGER_TEST_NGINX names (tests/nginx/versions.sh).
[[nodiscard]] std::filesystem::path nginx_program();

// The module of this build tree, of the sanitized one that RUNLEDGER_SANITIZED_TREE names, or of the one that
// RUNLEDGER_TEST_MODULE_TREE names, which was built for the nginx above.
[[nodiscard]] std::filesystem::path built_module();

}  // namespace runledger::test
