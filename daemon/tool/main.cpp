// runledger: the operator's tool. `runledger --config FILE migrate` brings the schema to this build's version;
// `runledger spool …` looks at a spool folder and moves what is in it; `runledger keygen NAME` makes keys.
#include <fmt/format.h>
#include <pqxx/pqxx>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "daemon/config.hpp"
#include "daemon/database.hpp"
#include "daemon/schema.hpp"
#include "daemon/tool/audit.hpp"
#include "daemon/tool/keygen.hpp"
#include "daemon/tool/spool_cli.hpp"

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
    app.add_option("--config", config_file, "The daemon's configuration, a TOML file")->check(CLI::ExistingFile);
    app.require_subcommand(1);
    const CLI::App* migrate_command =
        app.add_subcommand("migrate", "Bring the database's schema to this build's version; safe to repeat");
    runledger::tool::SpoolCli spool(app);
    runledger::tool::AuditCli audit(app);
    runledger::tool::KeygenOptions keygen;
    CLI::App* keygen_command =
        app.add_subcommand("keygen", "Make a CURVE key pair: NAME.secret, and NAME.public to give to the other side");
    keygen_command->add_option("NAME", keygen.name, "Whose keys: an edge's or a daemon's name")->required();
    keygen_command->add_option("--folder", keygen.folder, "Where the files go")->check(CLI::ExistingDirectory);
    try {
        app.parse(argc, argv);
        if ((migrate_command->parsed() || audit.is_chosen()) && config_file.empty()) {
            throw CLI::RequiredError("--config");
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    try {
        if (migrate_command->parsed()) {
            return migrate(runledger::load_config(config_file));
        }
        if (audit.is_chosen()) {
            return audit.run(runledger::load_config(config_file).postgres.direct_uri, stdout);
        }
        if (keygen_command->parsed()) {
            return runledger::tool::make_keys(keygen, stdout);
        }
        const std::string uri = config_file.empty() ? "" : runledger::load_config(config_file).postgres.direct_uri;
        return spool.run(uri, stdout);
    } catch (const std::exception& error) {
        fmt::print(stderr, "runledger: {}\n", error.what());
        return 1;
    }
}
