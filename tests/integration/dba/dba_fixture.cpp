#include "tests/integration/dba/dba_fixture.hpp"

#include <fmt/format.h>

#include <atomic>

#include "daemon/database/libpqxx.hpp"

namespace runledger::test {

Dba::Dba() {
    static std::atomic<int> number{0};
    database_ = fmt::format("dba_{}", ++number);
    server().create_database(database_);
}

PostgresServer& Dba::server() {
    static PostgresServer server({.fsync = false});  // Ends with the program.
    return server;
}

Finished Dba::tool(std::vector<std::string> words, std::string_view role) const {
    return tool_of(server().uri_as(role, database_), std::move(words));
}

Finished Dba::tool_of(const std::string& uri, std::vector<std::string> words) const {
    // With a token: without one, messages are only logged, and `outbox send-logged` refuses.
    const auto token = folder_.write_file("telegram.token", "100:test-token\n");
    std::filesystem::permissions(token, std::filesystem::perms{0600});
    const auto configuration = folder_.write_file(
        "runledgerd.toml",
        fmt::format("[postgres]\nuri = \"{}\"\n\n[telegram]\ntoken_file = \"{}\"\n\n[metrics]\nlisten = \"\"\n", uri,
                    token.string()));
    std::vector<std::string> argv{
        install_executable(folder_, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger").string(),
        "--config", configuration.string()};
    argv.insert(argv.end(), words.begin(), words.end());
    return run_to_end({.argv = argv}, folder_, patience_);
}

void Dba::migrate(std::string_view role) const {
    const Finished migrated = tool({"migrate"}, role);
    ASSERT_TRUE(migrated.status.clean()) << migrated.output;
}

void Dba::run(const std::string& statements, std::string_view database) const {
    const auto connection = server().connect(database.empty() ? std::string_view{database_} : database);
    pqxx::work work(*connection);
    work.exec(statements);
    work.commit();
}

std::string Dba::value(const std::string& query) const {
    const auto connection = server().connect(database_);
    pqxx::work work(*connection);
    const auto row = libpqxx::run1(work, query);
    return row[0].is_null() ? "NULL" : row[0].as<std::string>();
}

void Dba::end_run(std::string_view run_id, std::string_view status, std::string_view at) const {
    run(fmt::format(
        R"(INSERT INTO runledger.runs (run_id, running_at, running_boot_id, running_boottime_us, running_redelivered,
               terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered,
               finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest,
               latest_status, first_received_at, event_count)
           SELECT '{0}', {2}, boot, 1, false, '{1}', {2}, boot, 2000001, false, 1, {2}, boot, 2000001, false, 1,
                  '{1}', {2}, 2
           FROM gen_random_uuid() AS boot
           ON CONFLICT (run_id) DO UPDATE SET terminal_status = excluded.terminal_status)",
        run_id, status, at));
    run(
        fmt::format("SET ROLE ledger_daemon; SELECT 1 / count(*) FROM runledger.settle_run('{}', '0', '7 days') "
                    "WHERE outcome IN ('settled', 'resettled', 'kept')",
                    run_id));
}

}  // namespace runledger::test
