#include "tests/support/postgres_server.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "daemon/database/libpqxx.hpp"
#include "tests/support/pgbouncer.hpp"

#if defined(RUNLEDGER_SANITIZED)
// libpqxx 6.4 loses the PGresult of a query whose connection broke: it asks the connection for its encoding, which
// throws, before anything owns the result. The name is the sanitizer's.
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx\n"; }
#endif

namespace runledger::test {
namespace {

// RUNLEDGER_POSTGRESQL chooses a version.
std::filesystem::path find_bin_folder() {
    const TempFolder folder;
    const auto finder = std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "config/packages/postgresql.sh";
    Finished asked = run_to_end({.argv = {finder.string()}, .drop_privileges = false}, folder);
    while (!asked.output.empty() && asked.output.back() == '\n') {
        asked.output.pop_back();
    }
    if (!asked.status.clean()) {
        throw std::runtime_error(asked.output);
    }
    return asked.output;
}

int stop_signal(StopMode mode) {
    switch (mode) {
        case StopMode::smart:
            return SIGTERM;
        case StopMode::fast:
            return SIGINT;
        case StopMode::immediate:
            return SIGQUIT;
    }
    throw std::logic_error("StopMode");
}

std::string data_sql(std::string_view name) {
    return read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "tests/data/sql" / name);
}

std::set<PostgresServer*>& hostile_servers() {
    static std::set<PostgresServer*> servers;
    return servers;
}

}  // namespace

// After each test, looks at the servers that outlive it.
class ShadowWatch : public testing::EmptyTestEventListener {
public:
    static void begin() {
        static const bool begun = [] {
            testing::UnitTest::GetInstance()->listeners().Append(new ShadowWatch);  // GoogleTest deletes it.
            return true;
        }();
        (void)begun;
    }
    void OnTestEnd(const testing::TestInfo& /*test*/) override {
        for (PostgresServer* server : hostile_servers()) {
            server->report_shadows();
        }
    }
};

std::filesystem::path PostgresServer::bin_folder() {
    static const std::filesystem::path folder = find_bin_folder();
    return folder;
}

PostgresServer::PostgresServer(PostgresOptions options)
    : options_(std::move(options)),
      data_folder_(folder_ / "data"),
      socket_folder_(folder_.make_folder("pg")),
      port_(free_port()) {
    create_cluster();
    start();
    make_neighbours();
    create_database("runledger");
}

PostgresServer::PostgresServer(const StandbyOf& standby)
    : options_(standby.primary.options_),
      data_folder_(folder_ / "data"),
      socket_folder_(folder_.make_folder("pg")),
      port_(free_port()) {
    copy_cluster(standby.primary);
    start();
}

PostgresServer::~PostgresServer() {
    try {
        if (hostile_servers().erase(this) > 0) {
            report_shadows();
        }
        pooler_.reset();
        if (postmaster_) {
            // Killed hard, it would leave its shared memory to the system for good. A frozen process takes no SIGQUIT.
            thaw();
            postmaster_->signal(stop_signal(StopMode::immediate));
            if (postmaster_->wait(std::chrono::seconds{20})) {
                ended();
            } else {
                kill_hard();  // Its backends are in sessions of their own.
            }
        }
    } catch (const std::exception& e) {
        fmt::print(stderr, "PostgresServer: {}\n", e.what());  // A destructor: the test's result is settled already.
    }
}

void PostgresServer::create_cluster() {
    const Finished made =
        run_to_end({.argv = {(bin_folder() / "initdb").string(), "--pgdata", data_folder_.string(),
                             "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"},
                    .env = {{"TZ", "UTC"}}},
                   folder_);
    if (!made.status.clean()) {
        throw std::runtime_error(fmt::format("initdb failed:\n{}", made.output));
    }
    write_settings();
}

void PostgresServer::make_neighbours() {
    const ClusterKind& kind = cluster_kind();
    const auto connection = connect("template1");
    const auto run = [&connection](const std::string& statements) {
        pqxx::work work(*connection);
        work.exec(
            "SET LOCAL search_path = pg_catalog, pg_temp; SET TRANSACTION READ WRITE; SET LOCAL statement_timeout = 0; "
            "SET LOCAL standard_conforming_strings = on; SET LOCAL client_min_messages = warning");
        work.exec(statements);
        work.commit();
    };
    for (const std::string& statement : superusers_defaults(kind)) {
        run(statement);
    }
    if (options_.has_logins) {
        run(statements_of_logins(kind));
    }
    // In template1, and so in each database.
    if (kind.is_hostile) {
        run(data_sql("hostile_public.sql"));
        shadows_reported_to_ = log_text().size();
        ShadowWatch::begin();
        hostile_servers().insert(this);
    }
    if (kind.has_row_security) {
        run(data_sql("row_security_everywhere.sql"));
    }
    if (kind.pool != PoolMode::none) {
        pooler_ = std::make_unique<PgBouncer>(folder_, *this, PoolOptions{.mode = kind.pool, .size = 20});
    }
}

void PostgresServer::report_shadows() {
    const std::string log = log_text().substr(shadows_reported_to_);
    shadows_reported_to_ += log.size();
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        if (line.find("SHADOW") != std::string::npos && line.find("] postgres@") == std::string::npos) {
            ADD_FAILURE() << "what shadows PostgreSQL's own was called: " << line;
            return;
        }
    }
}

void PostgresServer::copy_cluster(const PostgresServer& primary) {
    const Finished made = run_to_end(
        {.argv = {(bin_folder() / "pg_basebackup").string(), "--pgdata", data_folder_.string(), "--write-recovery-conf",
                  "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--dbname",
                  fmt::format("host=127.0.0.1 port={} user=postgres application_name=standby", primary.port())}},
        folder_);
    if (!made.status.clean()) {
        throw std::runtime_error(fmt::format("pg_basebackup failed:\n{}", made.output));
    }
    write_settings();  // The last of a setting counts.
}

void PostgresServer::write_settings() {
    std::string conf = read_text(data_folder_ / "postgresql.conf");
    conf += fmt::format(
        "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = {}\n"
        "shared_buffers = '64MB'\nmax_connections = 100\nlog_line_prefix = '%m [%p] %u@%d '\n"
        "log_min_duration_statement = -1\nlog_timezone = 'UTC'\ntimezone = 'UTC'\n",
        port_, socket_folder_.string(), options_.fsync ? "on" : "off");
    for (const std::string& setting : settings_of(cluster_kind())) {
        conf += setting + "\n";
    }
    for (const std::string& setting : options_.settings) {
        conf += setting + "\n";
    }
    folder_.write_file("data/postgresql.conf", conf);
    std::filesystem::permissions(data_folder_ / "postgresql.conf", std::filesystem::perms{0600});
}

void PostgresServer::start() {
    if (running()) {
        throw std::logic_error("PostgresServer: started twice");
    }
    postmaster_.emplace(Command{.argv = {(bin_folder() / "postgres").string(), "-D", data_folder_.string()},
                                .env = {},
                                .cwd = folder_.path(),
                                .output = folder_ / "postgres.log"});
    // "the database system is starting up" is an error of the connection: not yet.
    try {
        eventually(
            "PostgreSQL takes connections",
            [this] {
                if (!postmaster_->running()) {
                    throw Hopeless("the postmaster has ended");
                }
                return connect("postgres")->is_open();
            },
            std::chrono::seconds{60});
    } catch (const NeverHappened& e) {
        folder_.keep();
        throw std::runtime_error(fmt::format("{}\n{}", e.what(), log_text()));
    }
}

void PostgresServer::ended() {
    postmaster_->kill();
    postmaster_.reset();
    frozen_.clear();
}

void PostgresServer::stop(StopMode mode) {
    if (!postmaster_) {
        return;
    }
    postmaster_->signal(stop_signal(mode));
    if (!postmaster_->wait(std::chrono::seconds{60})) {
        folder_.keep();
        throw NeverHappened(fmt::format("PostgreSQL did not stop:\n{}", log_text()));
    }
    ended();
}

void PostgresServer::restart(StopMode mode) {
    stop(mode);
    start();
}

std::vector<ProcessId> PostgresServer::stop_everybody() {
    // The postmaster first, so that it can start no more; each backend has a session, and so a group, of its own.
    postmaster_->signal(SIGSTOP);
    std::vector<ProcessId> children = children_of(postmaster_->pid());
    for (const ProcessId& child : children) {
        ::kill(child.pid, SIGSTOP);
    }
    return children;
}

void PostgresServer::kill_hard() {
    if (!postmaster_) {
        return;
    }
    const std::vector<ProcessId> children = stop_everybody();
    for (const ProcessId& child : children) {
        ::kill(child.pid, SIGKILL);
    }
    ended();
    // Shared memory stays in use until the last of them is gone; the next start would be refused.
    eventually("PostgreSQL's killed processes are gone", [&children] {
        return std::none_of(children.begin(), children.end(), [](const ProcessId& child) { return is_alive(child); });
    });
}

void PostgresServer::crash_and_recover() {
    kill_hard();
    start();
}

void PostgresServer::freeze() {
    if (!postmaster_) {
        throw std::logic_error("PostgresServer: frozen while it does not run");
    }
    frozen_ = stop_everybody();
}

void PostgresServer::thaw() {
    for (const ProcessId& child : std::exchange(frozen_, {})) {
        if (is_alive(child)) {
            ::kill(child.pid, SIGCONT);
        }
    }
    if (postmaster_) {
        postmaster_->signal(SIGCONT);
    }
}

void PostgresServer::promote() {
    const auto connection = connect("postgres");
    pqxx::nontransaction work(*connection);
    if (!libpqxx::run1(work, "SELECT pg_promote()")[0].as<bool>()) {
        throw NeverHappened(fmt::format("the standby was not promoted:\n{}", log_text()));
    }
}

pid_t PostgresServer::postmaster_pid() const { return postmaster_ ? postmaster_->pid() : -1; }

bool PostgresServer::running() { return postmaster_ && postmaster_->running(); }

std::string PostgresServer::uri(std::string_view database) const { return uri_as("postgres", database); }

std::string PostgresServer::uri_as(std::string_view role, std::string_view database) const {
    return fmt::format("postgresql://{}@/{}?host={}&port={}", role, database, socket_folder_.string(), port_);
}

std::string PostgresServer::owner_uri(std::string_view database) const { return uri_as(Logins::owner, database); }

std::string PostgresServer::daemon_uri(std::string_view database) const {
    return pooler_ ? pooler_->uri(database, Logins::daemon) : direct_daemon_uri(database);
}

std::string PostgresServer::direct_daemon_uri(std::string_view database) const {
    return uri_as(Logins::daemon, database);
}

std::string PostgresServer::application_uri(std::string_view database) const {
    return pooler_ ? pooler_->uri(database, Logins::application) : direct_application_uri(database);
}

std::string PostgresServer::direct_application_uri(std::string_view database) const {
    return uri_as(Logins::application, database);
}

std::string PostgresServer::tcp_uri(std::string_view database) const {
    return fmt::format("postgresql://postgres@127.0.0.1:{}/{}", port_, database);
}

std::string PostgresServer::create_database(std::string_view name, std::string_view template_name) {
    const auto connection = connect("postgres");
    pqxx::nontransaction work(*connection);
    if (pooler_) {  // Its sessions outlive those whom they were for, and a template may have none.
        work.exec(fmt::format("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}",
                              work.quote(std::string{template_name})));
    }
    work.exec(fmt::format("CREATE DATABASE {} TEMPLATE {}", work.quote_name(std::string{name}),
                          work.quote_name(std::string{template_name})));
    if (options_.has_logins) {
        work.exec(fmt::format("GRANT CREATE ON DATABASE {} TO {}", work.quote_name(std::string{name}), Logins::owner));
    }
    return uri(name);
}

void PostgresServer::drop_database(std::string_view name) {
    const auto connection = connect("postgres");
    pqxx::nontransaction work(*connection);
    work.exec(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", work.quote_name(std::string{name})));
}

std::unique_ptr<pqxx::connection> PostgresServer::connect(std::string_view database) const {
    return connect_to(uri(database));
}

std::string PostgresServer::log_text() const { return read_text(folder_ / "postgres.log"); }

std::unique_ptr<pqxx::connection> connect_to(const std::string& uri) {
    auto connection = libpqxx::connect(uri);
    if (cluster_kind().is_odd && cluster_kind().pool == PoolMode::none) {
        // A test may pause in a transaction for as long as the machine lets it. The product's sessions keep the bounds.
        pqxx::nontransaction(*connection)
            .exec("SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0");
    }
    return connection;
}

}  // namespace runledger::test
