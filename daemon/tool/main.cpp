// runledger: the operator's tool. A subcommand is a class in a file of its name; here they meet the command line.
//
// Exit codes: 0 done; 1 it could not be done, a sentence says why; 2 there is no such notification (outbox); 3 the
// answer is no (audit, explain, quarantine replay, refused take, replay, spool retire).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "daemon/database/connect_fault.hpp"
#include "daemon/tool/audit/audit.hpp"
#include "daemon/tool/explain/explain.hpp"
#include "daemon/tool/forget.hpp"
#include "daemon/tool/keygen.hpp"
#include "daemon/tool/migrate.hpp"
#include "daemon/tool/outbox.hpp"
#include "daemon/tool/quarantine/quarantine.hpp"
#include "daemon/tool/refused/refused.hpp"
#include "daemon/tool/replay/replay.hpp"
#include "daemon/tool/reprice.hpp"
#include "daemon/tool/spool/spool.hpp"

namespace {

using runledger::Config;

// A subcommand that works on the ledger, and so needs --config.
struct LedgerCommand {
    bool is_chosen;
    std::function<int(const Config&)> run;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"runledger: the operator's tool"};
    std::string config_file;
    app.add_option("--config", config_file, "The daemon's configuration, a TOML file")->check(CLI::ExistingFile);
    app.set_version_flag("--version", "runledger " RUNLEDGER_VERSION);
    app.require_subcommand(1);
    app.fallthrough();  // --config is understood behind a subcommand, too.
    runledger::tool::MigrateCli migrate(app);
    runledger::tool::AuditCli audit(app);
    runledger::tool::QuarantineCli quarantine(app);
    runledger::tool::ReplayCli replay(app);
    runledger::tool::ForgetCli forget(app);
    runledger::tool::ExplainCli explain(app);
    runledger::tool::RepriceCli reprice(app);
    runledger::tool::SpoolCli spool(app);
    runledger::tool::RefusedCli refused(app);
    runledger::tool::OutboxCli outbox(app);
    runledger::tool::KeygenOptions keygen;
    CLI::App* keygen_command =
        app.add_subcommand("keygen", "Make a CURVE key pair: NAME.secret, and NAME.public to give to the other side");
    keygen_command->add_option("NAME", keygen.name, "The name of the edge or daemon that gets the keys")->required();
    keygen_command->add_option("--folder", keygen.folder, "The folder for the files")->check(CLI::ExistingDirectory);

    std::vector<LedgerCommand> ledger_commands;
    const auto on_ledger = [](auto& command) {
        return LedgerCommand{command.parsed(), [&command](const Config& config) {
                                 return command.run(config.postgres.direct_uri, stdout);
                             }};
    };
    try {
        app.parse(argc, argv);
        ledger_commands = {on_ledger(migrate),
                           on_ledger(audit),
                           on_ledger(quarantine),
                           {outbox.parsed(), [&outbox](const Config& config) { return outbox.run(config, stdout); }},
                           on_ledger(forget),
                           on_ledger(reprice),
                           {explain.parsed(), [&explain](const Config& config) { return explain.run(config, stdout); }},
                           {replay.parsed(), [&replay](const Config& config) { return replay.run(config, stdout); }}};
        if (std::ranges::any_of(ledger_commands, &LedgerCommand::is_chosen) && config_file.empty()) {
            throw CLI::RequiredError("--config");
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    try {
        for (const LedgerCommand& command : ledger_commands) {
            if (command.is_chosen) {
                return command.run(runledger::load_config(config_file));
            }
        }
        if (keygen_command->parsed()) {
            return runledger::tool::make_keys(keygen, stdout);
        }
        if (refused.parsed()) {
            return refused.run(stdout);
        }
        const std::string uri = config_file.empty() ? "" : runledger::load_config(config_file).postgres.direct_uri;
        return spool.run(uri, stdout);
    } catch (const std::exception& error) {
        fmt::print(stderr, "runledger: {}\n", error.what());
        if (runledger::sqlstate_of(error) == "42501") {
            fmt::print(
                stderr,
                "The login of [postgres] direct_uri (without one, of uri) has no right to do this. Docs: dba.md, "
                "\"Roles\", says which role each command needs.\n");
        }
        return 1;
    }
}
