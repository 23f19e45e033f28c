// The commands of docs/operations.md, "Back up and restore", as they stand there: a ledger goes from one cluster to
// another, and its owner, daemon, application and reader find there what they had.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <regex>
#include <utility>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class Backup : public Dba {
protected:
    // What stands in the document between the heading and the next one, indented by four: one command a line, and the
    // lines that follow each other together.
    static std::vector<std::string> commands_of(const std::string& heading) {
        std::ifstream file(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/operations.md");
        std::vector<std::string> commands;
        bool is_meant = false;
        bool goes_on = false;
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("## ")) {
                is_meant = line == "## " + heading;
            } else if (is_meant && line.starts_with("    ")) {
                if (!std::exchange(goes_on, true)) {
                    commands.emplace_back();
                }
                commands.back() += line.substr(line.find_first_not_of(' ')) + "\n";
                continue;
            }
            goes_on = false;
        }
        return commands;
    }

    // By one shell, in the fixture's folder, as the superuser of the server.
    Finished in_shell(const std::string& commands, const PostgresServer& server) {
        std::string as_here = std::regex_replace(commands, std::regex("runuser -u postgres -- "), "");
        as_here =
            std::regex_replace(as_here, std::regex("ledger.dump runledger\n"), "ledger.dump " + database() + "\n");
        as_here =
            std::regex_replace(as_here, std::regex("/var/backups/runledger"), (folder().path() / "kept").string());
        as_here = std::regex_replace(as_here, std::regex(" -o postgres -g postgres"), "");
        as_here = std::regex_replace(as_here, std::regex("systemctl stop runledgerd\n"), "");
        const std::string environment = fmt::format(
            "export PATH={}:$PATH PGHOST={} PGPORT={} PGUSER=postgres PGDATABASE=postgres; set -e -o pipefail; ",
            PostgresServer::bin_folder().string(), server.socket_folder().string(), server.port());
        return run_to_end({.argv = {"/bin/bash", "-c", environment + as_here}, .cwd = folder().path()}, folder());
    }
};

TEST_F(Backup, GoesToAnotherClusterByTheDocumentedCommands) {
    const auto commands = commands_of("Back up and restore");
    ASSERT_EQ(commands.size(), 2U) << "those that save, those that restore";
    migrate();
    run(
        fmt::format("ALTER DATABASE {0} SET runledger.report_time_zone = 'Europe/Vienna';"
                    "ALTER DATABASE {0} SET runledger.focus_billing_account_id = 'studio-1';"
                    "ALTER DATABASE {0} SET runledger.silence_limit_running = '3 hours'",
                    database()));
    run(R"(
        INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "kept"}');
        INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective)
        VALUES ('of-mine', 0.5, '[2024-01-01,)');
        INSERT INTO runledger.status_words (word, status) VALUES ('success', 'completed'))");
    const Finished saved = in_shell(commands[0], server());
    ASSERT_TRUE(saved.status.clean()) << saved.output;
    PostgresServer other({.fsync = false, .has_logins = false});

    const Finished restored = in_shell(commands[1], other);
    ASSERT_TRUE(restored.status.clean()) << restored.output;

    const auto as = [&](const char* role, const std::string& query) {
        const auto connection = connect_to(other.uri_as(role, database()));
        pqxx::nontransaction work(*connection);
        return libpqxx::run1(work, query)[0].as<std::string>();
    };
    EXPECT_EQ(as("postgres", "SELECT run_id FROM runledger.generations"), "kept");
    EXPECT_EQ(as("postgres", "SELECT count(*) FROM runledger.gpu_rates WHERE gpu = 'of-mine'"), "1");
    EXPECT_EQ(as("postgres", "SELECT runledger.status_meant('success')"), "completed");
    EXPECT_EQ(as("postgres", "SELECT has_table_privilege('runledger_daemon', 'runledger.runs', 'INSERT')"), "t");
    EXPECT_EQ(as("postgres", "SELECT has_table_privilege('runledger_reader', 'runledger.runs', 'SELECT')"), "f");
    EXPECT_EQ(as("postgres",
                 "SELECT concat_ws(' ', runledger.report_time_zone(), "
                 "current_setting('runledger.focus_billing_account_id'), "
                 "runledger.silence_limit('running'))"),
              "Europe/Vienna studio-1 03:00:00")
        << "the database's settings";
    const Finished migrated = tool_of(other.uri(database()), {"migrate"});
    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
    EXPECT_THAT(migrated.output, HasSubstr("the schema is this build's"));
    const Finished audited = tool_of(other.uri(database()), {"audit"});
    EXPECT_TRUE(audited.status.clean()) << audited.output;
}

}  // namespace
}  // namespace runledger::test
