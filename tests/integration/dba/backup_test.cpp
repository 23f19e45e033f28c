// The commands of docs/operations.md, "Back up and restore", as they stand there: a ledger goes from one cluster to
// another, and its owner, daemon, application and reader find there what they had.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <regex>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class Backup : public Dba {
protected:
    // What stands in the document between the heading and the next one, indented by four: one command a line.
    static std::vector<std::string> commands_of(const std::string& heading) {
        std::ifstream file(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/operations.md");
        std::vector<std::string> commands;
        bool is_meant = false;
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("## ")) {
                is_meant = line == "## " + heading;
            } else if (is_meant && line.starts_with("    ")) {
                commands.push_back(line.substr(line.find_first_not_of(' ')));
            }
        }
        return commands;
    }

    // By a shell, in the fixture's folder, as the superuser of the server.
    Finished in_shell(const std::string& command, const PostgresServer& server) {
        std::string as_here = std::regex_replace(command, std::regex("runuser -u postgres -- "), "");
        as_here = std::regex_replace(as_here, std::regex("ledger.dump runledger$"), "ledger.dump " + database());
        const std::string environment = fmt::format(
            "export PATH={}:$PATH PGHOST={} PGPORT={} PGUSER=postgres PGDATABASE=postgres; set -e -o pipefail; ",
            PostgresServer::bin_folder().string(), server.socket_folder().string(), server.port());
        return run_to_end({.argv = {"/bin/bash", "-c", environment + as_here}, .cwd = folder().path()}, folder());
    }
};

TEST_F(Backup, GoesToAnotherClusterByTheDocumentedCommands) {
    const auto commands = commands_of("Back up and restore");
    ASSERT_EQ(commands.size(), 5U) << "two that save, three that restore";
    migrate();
    run(R"(
        INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "kept"}');
        INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective)
        VALUES ('of-mine', 0.5, '[2024-01-01,)');)");
    for (int i = 0; i < 2; ++i) {
        const Finished saved = in_shell(commands[static_cast<std::size_t>(i)], server());
        ASSERT_TRUE(saved.status.clean()) << commands[static_cast<std::size_t>(i)] << "\n" << saved.output;
    }
    PostgresServer other({.fsync = false, .has_logins = false});
    other.drop_database("runledger");

    for (std::size_t i = 2; i < commands.size(); ++i) {
        const Finished restored = in_shell(commands[i], other);
        ASSERT_TRUE(restored.status.clean()) << commands[i] << "\n" << restored.output;
    }

    const auto as = [&](const char* role, const std::string& query) {
        const auto connection = connect_to(other.uri_as(role));
        pqxx::nontransaction work(*connection);
        return libpqxx::run1(work, query)[0].as<std::string>();
    };
    EXPECT_EQ(as("postgres", "SELECT run_id FROM runledger.generations"), "kept");
    EXPECT_EQ(as("postgres", "SELECT count(*) FROM runledger.gpu_rates WHERE gpu = 'of-mine'"), "1");
    EXPECT_EQ(as("postgres", "SELECT has_table_privilege('runledger_daemon', 'runledger.runs', 'INSERT')"), "t");
    EXPECT_EQ(as("postgres", "SELECT has_table_privilege('runledger_reader', 'runledger.runs', 'SELECT')"), "f");
    const Finished migrated = tool_of(other.uri(), {"migrate"});
    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
    EXPECT_THAT(migrated.output, HasSubstr("the schema is this build's"));
    const Finished audited = tool_of(other.uri(), {"audit"});
    EXPECT_TRUE(audited.status.clean()) << audited.output;
}

}  // namespace
}  // namespace runledger::test
