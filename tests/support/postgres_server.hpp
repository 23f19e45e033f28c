// A private PostgreSQL: its own cluster in a temporary folder, on a unix socket and a free TCP port of 127.0.0.1,
// as the unprivileged user, that a test may stop, kill and start again.
//
// Invariant: what was committed before kill_hard() is there after start(), unless fsync was turned off *and* the
// machine went down. Not for sharing between threads; the URIs may be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/cluster_kind.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

enum class StopMode : std::uint8_t { smart, fast, immediate };

struct PostgresOptions {
    bool fsync{true};
    std::vector<std::string> settings{};  // "max_connections=50": appended to postgresql.conf.
    bool has_logins{true};                // Of the documented roles; false: migrate makes the roles.
};

class PgBouncer;

class PostgresServer {
public:
    explicit PostgresServer(PostgresOptions options = {});
    // A standby of `primary`, copied from it as it is now, that follows it under the name "standby".
    struct StandbyOf {
        const PostgresServer& primary;
    };
    explicit PostgresServer(const StandbyOf& standby);
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    // Returns when connections are taken. Throws with the server's log otherwise.
    void start();
    void stop(StopMode mode = StopMode::fast);
    void restart(StopMode mode = StopMode::fast);
    // SIGKILL to the postmaster and to each of its children, as when the kernel's memory killer or a power cut comes;
    // returns when all are gone.
    void kill_hard();
    void crash_and_recover();
    // SIGSTOP and SIGCONT to the postmaster and its children: the database hangs, connections stay open.
    // A test that is itself killed in between leaves stopped backends behind.
    void freeze();
    void thaw();
    // Of a standby: takes over. Returns when it takes writes.
    void promote();
    [[nodiscard]] bool running();
    [[nodiscard]] pid_t postmaster_pid() const;  // -1 where it does not run.

    // libpq URIs for the superuser `postgres`; trust authentication.
    [[nodiscard]] std::string uri(std::string_view database = "runledger") const;
    [[nodiscard]] std::string tcp_uri(std::string_view database = "runledger") const;
    // As another role, which must exist.
    [[nodiscard]] std::string uri_as(std::string_view role, std::string_view database = "runledger") const;
    // As the documented roles. The daemon and the application come through a pooler if the cluster's kind has one.
    [[nodiscard]] std::string owner_uri(std::string_view database = "runledger") const;
    [[nodiscard]] std::string daemon_uri(std::string_view database = "runledger") const;
    [[nodiscard]] std::string direct_daemon_uri(std::string_view database = "runledger") const;
    [[nodiscard]] std::string application_uri(std::string_view database = "runledger") const;
    // As whoever listens must come.
    [[nodiscard]] std::string direct_application_uri(std::string_view database = "runledger") const;

    // Database `runledger` exists from the start. Returns the new one's URI.
    std::string create_database(std::string_view name, std::string_view template_name = "template1");
    void drop_database(std::string_view name);
    // libpqxx 6.4 re-opens broken connections in silence: this one does not.
    [[nodiscard]] std::unique_ptr<pqxx::connection> connect(std::string_view database = "runledger") const;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const std::filesystem::path& socket_folder() const noexcept { return socket_folder_; }
    [[nodiscard]] std::string log_text() const;
    // psql, pg_dump, pg_prove and their like.
    [[nodiscard]] static std::filesystem::path bin_folder();

private:
    PostgresOptions options_;
    TempFolder folder_;
    std::filesystem::path data_folder_;
    std::filesystem::path socket_folder_;
    std::uint16_t port_;
    std::optional<ChildProcess> postmaster_;
    std::vector<ProcessId> frozen_;
    std::unique_ptr<PgBouncer> pooler_;
    std::size_t shadows_reported_to_{0};  // Of the log.

    void create_cluster();
    void make_neighbours();
    void copy_cluster(const PostgresServer& primary);
    void write_settings();
    void ended();
    [[nodiscard]] std::vector<ProcessId> stop_everybody();
    // Fails the running test if somebody else than the superuser has called what hostile_public.sql made.
    void report_shadows();
    friend class ShadowWatch;
};

[[nodiscard]] std::unique_ptr<pqxx::connection> connect_to(const std::string& uri);

}  // namespace runledger::test
