// runledgerd of this build tree, with a configuration of its own, that a test may stop, kill and start again.
//
// Invariant: it is gone when the object is. The schema is migrated before the first start, unless told not to. Not for
// sharing between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

struct DaemonConf {
    std::string postgres_uri{};
    std::string direct_uri{};         // Past a pooler; empty: none is in the way.
    std::string owner_uri{};          // For the tool, which has a configuration of its own; empty: as the daemon.
    std::vector<std::string> bind{};  // Empty: "ipc://<test's folder>/d.sock", where NginxServer's conf sends.
    std::string telegram_api_url{};   // Empty: mode "log".
    std::string telegram_token{"100:test-token"};
    std::string telegram_mode{"send"};
    std::string log_level{"debug"};
    std::string intake_extra{};    // Further keys of [intake].
    std::string postgres_extra{};  // Further keys of [postgres]: "appliers = 2\n"
    std::string telegram_extra{};  // Further keys of [telegram].
    std::string extra{};           // Further tables, TOML.
    std::map<std::string, std::string> env{};
    std::string name{"daemon"};  // Its folder below the test's; two daemons need two names and endpoints.
    bool migrates{true};         // Before its first start; false: somebody else has.
};

class DaemonProcess {
public:
    // Writes the files; starts nothing. `folder` must outlive the daemon.
    DaemonProcess(const TempFolder& folder, DaemonConf conf);
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;

    // `runledger --config FILE migrate`; throws with its words where it fails.
    void migrate();
    // Migrates the first time; returns when the metrics' port takes connections.
    void start();
    void stop(std::chrono::milliseconds patience = std::chrono::seconds{30});  // SIGTERM; throws unless it returns 0.
    void kill();                                                               // SIGKILL.
    void restart();                                                            // kill() and start().
    void signal(int number);
    [[nodiscard]] bool running();
    [[nodiscard]] std::optional<ExitStatus> ended_with();  // Nothing: it runs, or was stopped.
    [[nodiscard]] pid_t pid() const;

    // The operator's tool: {"audit"}.
    [[nodiscard]] Finished tool(std::vector<std::string> arguments) const;
    // What that runs.
    [[nodiscard]] std::vector<std::string> tool_command(std::vector<std::string> arguments) const;

    // All that the daemon has said since the first start.
    [[nodiscard]] std::string log_text() const;
    [[nodiscard]] std::uint16_t metrics_port() const noexcept { return metrics_port_; }
    [[nodiscard]] std::string metrics_url() const;
    [[nodiscard]] const std::filesystem::path& configuration() const noexcept { return configuration_; }
    [[nodiscard]] const std::string& endpoint() const noexcept { return conf_.bind.front(); }

    // Fails the running test where the log tells of a sanitizer's finding.
    void check_log() const;

private:
    const TempFolder& test_folder_;
    DaemonConf conf_;
    std::filesystem::path folder_;
    std::filesystem::path configuration_;
    std::filesystem::path tools_configuration_;
    std::filesystem::path log_;
    std::uint16_t metrics_port_;
    bool migrated_{false};
    std::optional<ChildProcess> process_;
};

}  // namespace runledger::test
