// runledger: the operator's tool. A subcommand is a class in a file of its name; here they meet the command line, and
// here stands what is the same for all: --config, --json, the chapters of the help, and the exit codes.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/version.hpp"
#include "daemon/config.hpp"
#include "daemon/database/connect_fault.hpp"
#include "daemon/tool/audit/audit.hpp"
#include "daemon/tool/check/check.hpp"
#include "daemon/tool/events/events.hpp"
#include "daemon/tool/explain/explain.hpp"
#include "daemon/tool/export/export.hpp"
#include "daemon/tool/forget.hpp"
#include "daemon/tool/import/import.hpp"
#include "daemon/tool/keygen.hpp"
#include "daemon/tool/migrate.hpp"
#include "daemon/tool/outbox.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/output/output.hpp"
#include "daemon/tool/output/strict_options.hpp"
#include "daemon/tool/periods/close.hpp"
#include "daemon/tool/periods/statement.hpp"
#include "daemon/tool/quarantine/quarantine.hpp"
#include "daemon/tool/refused/refused.hpp"
#include "daemon/tool/replay/replay.hpp"
#include "daemon/tool/reprice.hpp"
#include "daemon/tool/simulate/simulate.hpp"
#include "daemon/tool/spool/spool.hpp"
#include "daemon/tool/status/status.hpp"

namespace {

using runledger::Config;
using runledger::tool::Output;

// A subcommand that works on the ledger, and so needs a configuration.
struct LedgerCommand {
    bool is_chosen;
    std::function<int(const Config&)> run;
};

// The help tells what an operator does, in this order. Every subcommand is in one of them; a test checks it.
struct Chapter {
    const char* title;
    std::vector<std::string_view> commands;
};

const std::array<Chapter, 5>& chapters() {
    static const std::array<Chapter, 5> all{{
        {"Set up, and see that it works", {"migrate", "import", "keygen", "check", "simulate"}},
        {"Look at what comes in and what became of it", {"status", "events", "explain", "audit"}},
        {"Mend what went wrong", {"spool", "quarantine", "refused", "outbox"}},
        {"Money", {"reprice", "close", "statement", "replay", "export"}},
        {"Privacy", {"forget"}},
    }};
    return all;
}

void arrange(CLI::App& app) {
    for (CLI::App* command : app.get_subcommands({})) {
        for (const Chapter& chapter : chapters()) {
            if (std::ranges::find(chapter.commands, command->get_name()) != chapter.commands.end()) {
                command->group(chapter.title);
            }
        }
    }
    std::string codes = "Exit codes:\n";
    for (const auto& [code, meaning] : runledger::tool::exit_codes) {
        codes += fmt::format("  {}  {}\n", code, meaning);
    }
    app.footer(
        codes +
        "\n`runledger COMMAND --help` says more. With --json, each line of the result is one JSON object, and so\n"
        "is each line on standard error. docs/tool.md has every shape.");
}

// --json for each command that does something.
void offer_json(CLI::App& app, Output& out) {
    // A group of options is a subcommand without a name.
    const std::vector<CLI::App*> commands =
        app.get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
    for (CLI::App* command : commands) {
        offer_json(*command, out);
    }
    if (commands.empty() && app.get_option_no_throw("--json") == nullptr) {
        app.add_flag("--json", out.as_json, "Print one JSON object on each line");
    }
}

int fail(Output& out, const std::exception& error, int code) {
    if (const auto* refused = dynamic_cast<const runledger::Refused*>(&error)) {
        const std::string sentence = fmt::format("PostgreSQL refuses the connection: {}", refused->why());
        out.fail({.sentence = sentence, .exit_code = code, .sqlstate = refused->sqlstate(), .hint = refused->cure()});
        return code;
    }
    const std::string_view sqlstate = runledger::sqlstate_of(error);
    const std::string_view hint =
        sqlstate == "42501"
            ? "The configuration's login has no right to do this. migrate, import, close, forget, audit, events, "
              "explain, quarantine, replay and simulate need a member of runledger_owner, and replay CREATE on the "
              "database, too; statement and export need a member of runledger_reader, outbox and reprice one of "
              "runledger_daemon. Name such a login in a configuration of its own, as in the example owner.toml, and "
              "give it with --config (docs/dba.md, \"Roles\")."
            : "";
    out.fail({.sentence = error.what(), .exit_code = code, .sqlstate = sqlstate, .hint = hint});
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace runledger::tool;  // NOLINT(google-build-using-namespace): main is where they all meet.
    CLI::App app{"runledger: sets up, shows and mends the ledger of ComfyDeploy runs, and what it sends"};
    std::string config_file = runledger::default_config_file;
    const CLI::Option* config_option =
        app.add_option("--config", config_file,
                       "A configuration, a TOML file, whose [postgres] direct_uri or uri is used")
            ->capture_default_str();
    app.set_version_flag("--version", fmt::format("runledger {}", runledger::build_version()));
    app.require_subcommand(1);
    app.fallthrough();  // --config is understood behind a subcommand, too.
    MigrateCli migrate(app);
    ImportCli imports(app);
    KeygenOptions keygen;
    CLI::App* keygen_command =
        app.add_subcommand("keygen", "Make a CURVE key pair: NAME.secret, and NAME.public to give to the other side");
    keygen_command->add_option("NAME", keygen.name, "The name of the edge or daemon that gets the keys")->required();
    keygen_command->add_option("--folder", keygen.folder, "The folder for the files")->check(CLI::ExistingDirectory);
    CheckCli check(app);
    SimulateCli simulate(app);
    StatusCli status(app);
    EventsCli events(app);
    ExplainCli explain(app);
    AuditCli audit(app);
    SpoolCli spool(app);
    QuarantineCli quarantine(app);
    RefusedCli refused(app);
    OutboxCli outbox(app);
    RepriceCli reprice(app);
    CloseCli close_month(app);
    StatementCli statement(app);
    ReplayCli replay(app);
    ExportCli export_costs(app);
    ForgetCli forget(app);
    spdlog::set_level(spdlog::level::off);  // What the daemon's own code logs; here each command says it in its words.
    Output out(stdout, stderr);
    // Also if the command line can't be parsed.
    out.as_json = std::any_of(argv, argv + argc, [](std::string_view word) { return word == "--json"; });
    offer_json(app, out);
    runledger::tool::be_strict(app);
    arrange(app);

    const auto on_ledger = [&out](auto& command) {
        return LedgerCommand{command.parsed(), [&command, &out](const Config& config) {
                                 return command.run(config.postgres.direct_uri, out);
                             }};
    };
    const auto with_config = [&out](auto& command) {
        return LedgerCommand{command.parsed(),
                             [&command, &out](const Config& config) { return command.run(config, out); }};
    };
    std::vector<LedgerCommand> ledger_commands;
    try {
        app.parse(argc, argv);
        ledger_commands = {on_ledger(migrate),
                           on_ledger(imports),
                           on_ledger(audit),
                           on_ledger(quarantine),
                           with_config(outbox),
                           on_ledger(forget),
                           on_ledger(reprice),
                           on_ledger(close_month),
                           on_ledger(statement),
                           with_config(explain),
                           with_config(replay),
                           with_config(export_costs),
                           with_config(simulate),
                           on_ledger(events),
                           {status.parsed(), [&status](const Config& config) { return status.run(config, stdout); }}};
    } catch (const CLI::ParseError& error) {
        const std::vector<std::string> unknown = app.remaining();
        const auto word = std::ranges::find_if(unknown, [](const auto& text) { return !text.starts_with('-'); });
        if (error.get_exit_code() != 0 && app.get_subcommands().empty() && word != unknown.end()) {
            // CLI11 would only say that it misses a command.
            return fail(out,
                        std::runtime_error(fmt::format("\"{}\" is no command; runledger --help lists them", *word)),
                        exit_misused);
        }
        if (error.get_exit_code() != 0 && out.as_json) {
            return fail(out, error, exit_misused);
        }
        return app.exit(error) == 0 ? exit_yes : exit_misused;
    }
    try {
        const auto run = [&] {
            for (const LedgerCommand& command : ledger_commands) {
                if (command.is_chosen) {
                    return command.run(runledger::load_config(config_file, runledger::Secrets::leave));
                }
            }
            if (check.parsed()) {  // A configuration that is wrong is one of its findings.
                return check.run(config_file, stdout);
            }
            if (keygen_command->parsed()) {
                return make_keys(keygen, out);
            }
            if (refused.parsed()) {
                return refused.run(out);
            }
            // On an edge's host the default configuration is seldom that of the ledger.
            const std::string uri =
                config_option->count() == 0
                    ? ""
                    : runledger::load_config(config_file, runledger::Secrets::leave).postgres.direct_uri;
            return spool.run(uri, out);
        };
        const int code = run();
        if (!out.flush()) {
            out.fail(
                {.sentence = "standard output can't be written: the result is not complete", .exit_code = exit_failed});
            return exit_failed;
        }
        return code;
    } catch (const Misused& error) {
        return fail(out, error, exit_misused);
    } catch (const NotThere& error) {
        return fail(out, error, exit_no);
    } catch (const std::exception& error) {
        return fail(out, error, exit_failed);
    }
}
