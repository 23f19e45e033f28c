// runledger: the operator's tool. `runledger --config FILE migrate` brings the schema to this build's version;
// `runledger forget …` removes a person's data; `runledger spool …` looks at a spool folder and moves what is in it;
// `runledger keygen NAME` makes keys.
#include <fmt/format.h>
#include <pqxx/pqxx>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "daemon/config.hpp"
#include "daemon/tool/audit.hpp"
#include "daemon/tool/forget.hpp"
#include "daemon/tool/keygen.hpp"
#include "daemon/tool/migrate.hpp"
#include "daemon/tool/spool_cli.hpp"

int main(int argc, char** argv) {
    CLI::App app{"runledger: the operator's tool"};
    std::string config_file;
    app.add_option("--config", config_file, "The daemon's configuration, a TOML file")->check(CLI::ExistingFile);
    app.require_subcommand(1);
    runledger::tool::MigrateCli migrate(app);
    runledger::tool::SpoolCli spool(app);
    runledger::tool::AuditCli audit(app);
    runledger::tool::ForgetCli forget(app);
    runledger::tool::KeygenOptions keygen;
    CLI::App* keygen_command =
        app.add_subcommand("keygen", "Make a CURVE key pair: NAME.secret, and NAME.public to give to the other side");
    keygen_command->add_option("NAME", keygen.name, "Whose keys: an edge's or a daemon's name")->required();
    keygen_command->add_option("--folder", keygen.folder, "Where the files go")->check(CLI::ExistingDirectory);
    try {
        app.parse(argc, argv);
        if ((migrate.parsed() || audit.is_chosen() || forget.parsed()) && config_file.empty()) {
            throw CLI::RequiredError("--config");
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    try {
        if (migrate.parsed()) {
            return migrate.run(runledger::load_config(config_file).postgres.direct_uri, stdout);
        }
        if (forget.parsed()) {
            return forget.run(runledger::load_config(config_file).postgres.direct_uri, stdout);
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
