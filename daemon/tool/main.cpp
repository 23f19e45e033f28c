// runledger: the operator's tool. `runledger --config FILE migrate` brings the schema to this build's version.
#include <fmt/format.h>
#include <pqxx/pqxx>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "daemon/config.hpp"
#include "daemon/database.hpp"
#include "daemon/schema.hpp"

namespace {

int migrate(const runledger::Config& config) {
    runledger::Database database(config.postgres.direct_uri, "migrate");
    runledger::migrate(database.connection(), [](std::string_view sentence) { fmt::print("{}\n", sentence); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"runledger: the operator's tool"};
    std::string config_file;
    app.add_option("--config", config_file, "The daemon's configuration, a TOML file")
        ->required()
        ->check(CLI::ExistingFile);
    app.require_subcommand(1);
    const CLI::App* migrate_command =
        app.add_subcommand("migrate", "Bring the database's schema to this build's version; safe to repeat");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    try {
        const runledger::Config config = runledger::load_config(config_file);
        if (migrate_command->parsed()) {
            return migrate(config);
        }
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "runledger: {}\n", error.what());
        return 1;
    }
}
