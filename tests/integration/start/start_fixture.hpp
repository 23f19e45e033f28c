// A daemon between systemd and PostgreSQL, while it starts and stops: what it says to each.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

// systemd's end of NOTIFY_SOCKET.
class ServiceManager {
public:
    explicit ServiceManager(const TempFolder& folder);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;
    ~ServiceManager();

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    // All messages so far, a line for each assignment.
    [[nodiscard]] const std::string& heard();

private:
    std::string path_;
    std::string heard_;
    int socket_{-1};
};

class Start : public testing::Test {
protected:
    // Its pg_hba.conf asks the role `keyed` for a password, refuses `unlisted`, and trusts all others.
    [[nodiscard]] static PostgresServer& server();

    Start();
    void run(const std::string& statements) const;
    // A login that may do the daemon's work.
    void make_daemons_login(std::string_view role) const;
    [[nodiscard]] DaemonConf conf(std::string uri) const;
    // The daemon, from its start to its end. Throws if it has not ended within the patience.
    [[nodiscard]] Finished run_daemon(const std::filesystem::path& configuration) const;
    [[nodiscard]] std::filesystem::path write_configuration(std::string_view text) const;

    [[nodiscard]] const TempFolder& folder() const { return folder_; }
    [[nodiscard]] const std::string& database() const { return database_; }

private:
    TempFolder folder_;
    std::string database_;
};

// The lines of a log that hold the words.
[[nodiscard]] std::vector<std::string> lines_with(std::string_view log, std::string_view words);

}  // namespace runledger::test
