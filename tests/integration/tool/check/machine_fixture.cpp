#include "tests/integration/tool/check/machine_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "tests/support/daemon_process.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {

namespace fs = std::filesystem;

PostgresServer& CheckedMachine::server() {
    static PostgresServer postgres;  // Ends with the program.
    static const bool is_migrated = [] {
        const TempFolder folder;
        DaemonProcess owner(folder, {.postgres_uri = postgres.owner_uri()});
        owner.migrate();
        return true;
    }();
    (void)is_migrated;
    return postgres;
}

CheckedMachine::CheckedMachine()
    : sockets_(folder_.make_folder("run")),
      spool_(folder_.make_folder("spool")),
      token_file_(folder_.write_secret("telegram.token", "100:test-token\n")),
      key_file_(folder_.write_secret("comfydeploy.key", "a-key\n")) {
    fs::permissions(spool_, fs::perms::owner_all);
    set("intake.bind", fmt::format("[\"ipc://{}\"]", socket_path().string()));
    set_text("postgres.uri", server().direct_daemon_uri());
    set_text("telegram.token_file", token_file_.string());
    set_text("telegram.api_url", telegram_.url());
    set_text("comfydeploy.api_key_file", key_file_.string());
    set_text("comfydeploy.api_url", comfydeploy_.url());
    set_text("metrics.listen", fmt::format("127.0.0.1:{}", free_port()));
}

std::string CheckedMachine::own_database() {
    static std::atomic<int> number{0};
    std::string name = fmt::format("check_{}", ++number);
    server().create_database(name, "runledger");
    set_text("postgres.uri", server().direct_daemon_uri(name));
    return name;
}

void CheckedMachine::sql(std::string_view database, std::string_view statements) const {
    const auto connection = server().connect(database);
    pqxx::nontransaction work(*connection);
    work.exec(std::string(statements));
}

void CheckedMachine::write_configuration() const {
    std::string text;
    std::string section;
    for (const auto& [key, value] : keys_) {  // In order, so that a section's keys are together.
        const std::size_t dot = key.find('.');
        if (const std::string name = key.substr(0, dot); name != section) {
            section = name;
            text += fmt::format("[{}]\n", section);
        }
        text += fmt::format("{} = {}\n", key.substr(dot + 1), value);
    }
    (void)folder_.write_file("runledgerd.toml", text + more_lines_);
}

Finished CheckedMachine::run(const std::vector<std::string>& words) const {
    write_configuration();
    const auto program = install_executable(folder_, fs::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
    std::vector<std::string> argv{program.string(), "--config", configuration().string(), "check"};
    const auto gives = [&words](std::string_view option) { return std::ranges::find(words, option) != words.end(); };
    if (!gives("--spool") && !gives("--nginx-folder")) {
        argv.insert(argv.end(), {"--spool", spool_.string()});
    }
    argv.insert(argv.end(), words.begin(), words.end());
    return run_to_end({.argv = std::move(argv), .env = {{"LC_ALL", "C.UTF-8"}}, .cwd = folder_.path()}, folder_);
}

CheckReport CheckedMachine::check(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"--json"};
    all.insert(all.end(), words.begin(), words.end());
    return read_report(run(all));
}

Finished CheckedMachine::check_in_text(const std::vector<std::string>& words) const { return run(words); }

}  // namespace runledger::test
