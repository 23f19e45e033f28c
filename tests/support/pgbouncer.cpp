#include "tests/support/pgbouncer.hpp"

#include <fmt/format.h>

#include "tests/support/eventually.hpp"

namespace runledger::test {

PgBouncer::PgBouncer(const TempFolder& folder, const PostgresServer& server, const PoolOptions& options)
    : port_(free_port()) {
    const auto own = folder.make_folder("pgbouncer");
    log_ = own / "pgbouncer.log";
    std::string logins;
    for (const std::string_view login :
         {std::string_view{"postgres"}, Logins::owner, Logins::daemon, Logins::application, Logins::reader}) {
        logins += fmt::format("\"{}\" \"\"\n", login);
    }
    const auto users = folder.write_file("pgbouncer/users.txt", logins);
    // As Debian ships it but for the places, that it tries again soon after the server was away, and that it lets go of
    // what is not used: each test has a database of its own. server_reset_query is for session mode only, so in
    // transaction mode nothing is cleaned up between two clients' transactions.
    configuration_ = folder.write_file(
        "pgbouncer/pgbouncer.ini",
        fmt::format("[databases]\n* = host={} port={}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                    "listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n"
                    "pool_mode = {}\ndefault_pool_size = {}\nmax_client_conn = 200\n"
                    "server_round_robin = 1\nserver_login_retry = 1\nserver_idle_timeout = 5\nlogfile = {}\n",
                    server.socket_folder().string(), server.port(), port_, users.string(),
                    options.mode == PoolMode::session ? "session" : "transaction", options.size, log_.string()));
    start();
}

void PgBouncer::start() {
    process_.emplace(Command{
        .argv = {"/usr/sbin/pgbouncer", "--quiet", configuration_.string()}, .env = {}, .cwd = log_.parent_path()});
    eventually(
        "pgbouncer takes connections",
        [this] {
            if (!process_->running()) {
                throw Hopeless("pgbouncer has ended");
            }
            return connect_to(uri("postgres", "postgres"))->is_open();
        },
        default_patience, [this] { return log_text(); });
}

void PgBouncer::restart() {
    process_->kill();
    start();
}

std::string PgBouncer::uri(std::string_view database, std::string_view login) const {
    return fmt::format("postgresql://{}@/{}?host=127.0.0.1&port={}", login, database, port_);
}

std::string PgBouncer::log_text() const { return read_text(log_); }

}  // namespace runledger::test
