#include "daemon/tool/check/check.hpp"

#include <fmt/format.h>
#include <langinfo.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "daemon/config.hpp"
#include "daemon/tool/check/account.hpp"
#include "daemon/tool/check/clock.hpp"
#include "daemon/tool/check/edge.hpp"
#include "daemon/tool/check/files.hpp"
#include "daemon/tool/check/ledger.hpp"
#include "daemon/tool/check/services.hpp"
#include "daemon/tool/check/sockets.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view configuration = "configuration";

bool is_utf8_terminal() {
    // Without a locale of the environment's, marks are in ASCII.
    (void)std::setlocale(LC_CTYPE, "");  // NOLINT(concurrency-mt-unsafe): no thread runs yet.
    return std::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

// For root the daemon's user, else this one.
Account daemons_account(const std::string& user, Findings& findings) {
    if (geteuid() != 0) {
        return own_account();
    }
    auto account = find_account(user);
    if (!account) {
        findings.warn("user", fmt::format("there is no user {}: rights are checked as root's", user),
                      "systemd-sysusers makes the package's user; name another one with --user");
        return own_account();
    }
    return *account;
}

}  // namespace

CheckCli::CheckCli(CLI::App& app)
    : command_(app.add_subcommand(
          "check",
          "Check configuration, database, schema, rights, sockets, files, clock, Telegram and ComfyDeploy, or with "
          "--public-url the webhook from outside; changes nothing; exit code 0: nothing failed, 3: something did")) {
    command_->add_flag("--json", json_, "Print one JSON object");
    command_->add_flag("--strict", strict_, "Exit code 3 also for warnings and for what could not be checked");
    CLI::Option* spool =
        command_->add_option("--spool", spool_, "The spool's folder; without it, the one that /etc/nginx names");
    command_->add_option("--max-size", spool_bytes_max_, "With --spool: its max_size, such as 4gb")
        ->needs(spool)
        ->transform(CLI::AsSizeValue(false))
        ->default_str("1gb");
    command_->add_option("--nginx-folder", nginx_folder_, "Where nginx's configuration is")->capture_default_str();
    command_->add_option("--user", user_, "For root: the user that the daemon runs as")->capture_default_str();
    CLI::Option* url = command_->add_option("--public-url", public_url_.url,
                                            "Probe this webhook as ComfyDeploy would; {token} in it stands for the "
                                            "token, without it ?token= is added");
    command_
        ->add_option("--address", public_url_.addresses,
                     "Also try this address in the place of those that DNS has; may be repeated")
        ->needs(url);
    command_->add_option("--token-file", public_url_.token_file, "The token file of nginx, or a file with one token")
        ->needs(url)
        ->check(CLI::ExistingFile);
    command_->add_option("--token-name", public_url_.token_name, "The token of this name; without it, the first")
        ->needs(url);
    command_->add_option("--ca-file", public_url_.ca_file, "Trust these authorities instead of the system's")
        ->needs(url)
        ->check(CLI::ExistingFile);
    command_->add_flag("--mask-token", public_url_.masks_token, "Do not print the token in the URL")->needs(url);
}

void CheckCli::check_machine(const std::filesystem::path& config_file, Findings& findings) const {
    const Account daemon = daemons_account(user_, findings);
    std::optional<LocalEdge> edge;
    EdgeSearch search;
    if (!spool_.empty()) {
        edge = LocalEdge{.spool = spool_, .spool_bytes_max = spool_bytes_max_};
    } else {
        search = find_edge(nginx_folder_);
        edge = search.edge;
    }

    std::optional<Config> config;
    try {
        config = load_config(config_file);
        findings.passed(configuration, config_file.string());
    } catch (const ConfigError& error) {
        findings.fail(configuration, error.what(),
                      "correct it; docs/settings.md and man runledgerd.toml have every key");
    }
    if (config) {
        check_secrets(*config, config_file, daemon, findings);
        {
            const ActingAs daemons_user(daemon);  // Peer authentication lets a user log in under its own name.
            check_ledger(config->postgres, findings);
        }
        check_sockets(config->intake, {.config_file = config_file, .daemon = daemon, .edge = edge}, findings);
        check_metrics_port(config->metrics.listen, findings);
        check_telegram(config->telegram, findings);
        check_comfydeploy(config->comfydeploy, findings);
        check_webhooks(config->webhooks, findings);
    } else {
        findings.unknown("daemon",
                         "database, schema, rights, sockets, Telegram, ComfyDeploy and webhooks were not checked",
                         "see configuration");
    }
    check_clock(findings);
    check_space("/var", findings);
    if (edge) {
        check_spool(*edge, findings);
    } else if (!search.unreadable.empty()) {
        findings.unknown("spool", fmt::format("{} can't be read", search.unreadable),
                         "run the check as root, or name the folder with --spool");
    }
}

int CheckCli::run(const std::filesystem::path& config_file, std::FILE* out) {
    // As the daemon does. No thread runs yet.
    setenv("PGCONNECT_TIMEOUT", "5", 0);  // NOLINT(concurrency-mt-unsafe)
    Findings findings;
    std::string url;
    if (needs_config()) {
        check_machine(config_file, findings);
    } else {
        url = check_public_url(public_url_, findings);
    }
    if (json_) {
        print_json(findings, url, out);
    } else {
        print_text(findings, is_utf8_terminal(), out);
        if (!url.empty()) {
            fmt::print(out, "{}", registration_of(url));
        }
    }
    const bool is_ready =
        findings.count(Grade::failed) == 0 && (!strict_ || findings.count(Grade::passed) == findings.all().size());
    return is_ready ? exit_yes : exit_no;
}

}  // namespace runledger::tool
