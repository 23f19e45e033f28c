// The commands of docs/operations.md, "Set up", step 1, as they stand there, on a cluster that has never had a ledger:
// then the daemon's login runs what the table of step 6 has it run.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <regex>

#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

class SetUpOfTheDatabase : public Dba {
protected:
    // The indented commands between "1. **The database.**" and "2. ".
    static std::string commands() {
        std::ifstream file(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/operations.md");
        std::string commands;
        bool is_meant = false;
        for (std::string line; std::getline(file, line);) {
            is_meant = line.starts_with("1. **The database.**") || (is_meant && !line.starts_with("2. "));
            // psql asks for a password by \password, on a terminal.
            if (is_meant && line.starts_with("       ") && line.find("\\password") == std::string::npos) {
                commands += line.substr(line.find_first_not_of(' ')) + '\n';
            }
        }
        return commands;
    }

    // By a shell, as the superuser of the server, with this build's tool and the sources' owner.toml.
    Finished in_shell(std::string commands, const PostgresServer& server) {
        const auto tool =
            install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledger");
        const std::string home = folder().path().string();
        for (const auto& [from, to] : {std::pair<std::string, std::string>{"runuser -u postgres -- ", ""},
                                       {"/usr/share/doc/runledger/examples", RUNLEDGER_SOURCE_DIR "/config"},
                                       {"/var/lib/postgresql", home}}) {
            commands = std::regex_replace(commands, std::regex(from), to);
        }
        return run_to_end(
            {.argv = {"/bin/bash", "-c",
                      fmt::format("export PATH={}:{}:$PATH PGHOST={} PGPORT={} PGUSER=postgres; set -e -o pipefail\n"
                                  "cp() {{ sed 's#host=/run/postgresql#host={} port={}#' \"$1\" >\"$2\"; }}\n{}",
                                  tool.parent_path().string(), PostgresServer::bin_folder().string(),
                                  server.socket_folder().string(), server.port(), server.socket_folder().string(),
                                  server.port(), commands)}},
            folder());
    }
};

TEST_F(SetUpOfTheDatabase, LetsTheDaemonsLoginRunItsCommands) {
    PostgresServer fresh({.fsync = false, .has_logins = false});
    fresh.drop_database("runledger");

    const Finished done = in_shell(commands(), fresh);

    ASSERT_TRUE(done.status.clean()) << commands() << done.output;
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"status"}, {"outbox", "list"}, {"export", "focus", "--month", "2001-01"}}) {
        const Finished ended = tool_of(fresh.uri_as("runledger"), words);
        EXPECT_TRUE(ended.status.clean()) << words.front() << '\n' << ended.output;
    }
}

}  // namespace
}  // namespace runledger::test
