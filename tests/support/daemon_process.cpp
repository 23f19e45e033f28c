#include "tests/support/daemon_process.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"
#include "tests/support/nginx_server.hpp"

namespace runledger::test {
namespace {

std::filesystem::path built_program(std::string_view name) {
    return std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / name;
}

// A TOML basic string; the texts of tests hold no control characters.
std::string toml_string(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
        }
        result += c;
    }
    return result + '"';
}

}  // namespace

DaemonProcess::DaemonProcess(const TempFolder& folder, DaemonConf conf)
    : test_folder_(folder),
      conf_(std::move(conf)),
      folder_(folder.make_folder(conf_.name)),
      log_(folder_ / "daemon.log"),
      metrics_port_(free_port()) {
    if (conf_.bind.empty()) {
        conf_.bind.push_back(fmt::format("ipc://{}/d.sock", folder.path().string()));
    }
    std::vector<std::string> endpoints;
    for (const std::string& endpoint : conf_.bind) {
        endpoints.push_back(toml_string(endpoint));
    }
    const auto token_file = folder.write_file(conf_.name + "/telegram.token", conf_.telegram_token + "\n");
    std::filesystem::permissions(token_file, std::filesystem::perms{0600});
    const bool has_api = !conf_.telegram_api_url.empty();
    std::string intake = fmt::format("[intake]\nbind = [{}]\n{}\n", fmt::join(endpoints, ", "), conf_.intake_extra);
    std::string rest =
        fmt::format("[telegram]\nmode = {}\ntoken_file = {}\n", toml_string(has_api ? conf_.telegram_mode : "log"),
                    toml_string(token_file.string()));
    if (has_api) {
        rest += fmt::format("api_url = {}\n", toml_string(conf_.telegram_api_url));
    }
    rest += fmt::format("{}\n[metrics]\nlisten = \"127.0.0.1:{}\"\n\n[log]\nlevel = {}\n\n{}", conf_.telegram_extra,
                        metrics_port_, toml_string(conf_.log_level), conf_.extra);
    const auto written = [&](std::string_view name, std::string_view uri, std::string_view direct_uri) {
        const std::string direct = direct_uri.empty() ? "" : fmt::format("direct_uri = {}\n", toml_string(direct_uri));
        return folder.write_file(fmt::format("{}/{}.toml", conf_.name, name),
                                 fmt::format("{}[postgres]\nuri = {}\n{}{}\n{}", intake, toml_string(uri), direct,
                                             conf_.postgres_extra, rest));
    };
    configuration_ = written("runledgerd", conf_.postgres_uri, conf_.direct_uri);
    tools_configuration_ = conf_.owner_uri.empty() ? configuration_ : written("owner", conf_.owner_uri, "");
    if (is_built_sanitized) {
        // See postgres_server.cpp: libpqxx's own leak on a broken connection.
        const auto suppressions = folder.write_file(conf_.name + "/suppressions", "leak:libpqxx\n");
        conf_.env.emplace("LSAN_OPTIONS", fmt::format("suppressions={}:print_suppressions=0", suppressions.string()));
    }
}

std::vector<std::string> DaemonProcess::tool_command(std::vector<std::string> arguments) const {
    const auto program = install_executable(test_folder_, built_program("runledger"));
    std::vector<std::string> argv{program.string(), "--config", tools_configuration_.string()};
    argv.insert(argv.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    return argv;
}

Finished DaemonProcess::tool(std::vector<std::string> arguments) const {
    return run_to_end({.argv = tool_command(std::move(arguments)), .env = conf_.env, .cwd = folder_}, test_folder_);
}

void DaemonProcess::migrate() {
    const Finished migrated = tool({"migrate"});
    if (!migrated.status.clean()) {
        throw std::runtime_error(
            fmt::format("runledger migrate failed with {}:\n{}", migrated.status.code, migrated.output));
    }
    migrated_ = true;
}

void DaemonProcess::start() {
    if (running()) {
        throw std::logic_error("DaemonProcess: started twice");
    }
    if (conf_.migrates && !migrated_) {
        migrate();
    }
    const auto program = install_executable(test_folder_, built_program("runledgerd"));
    process_.emplace(Command{.argv = {program.string(), "--config", configuration_.string()},
                             .env = conf_.env,
                             .cwd = folder_,
                             .output = log_});
    eventually(
        "runledgerd answers on its metrics' port",
        [this] {
            if (!process_->running()) {
                throw Hopeless("runledgerd has ended");
            }
            return takes_connections(metrics_port_);
        },
        default_patience, [this] { return log_text(); });
}

void DaemonProcess::stop(std::chrono::milliseconds patience) {
    if (!process_) {
        return;
    }
    const ExitStatus status = process_->terminate(patience);
    process_.reset();
    if (!status.clean()) {
        throw std::runtime_error(
            fmt::format("runledgerd ended with code {} signal {}:\n{}", status.code, status.signal_number, log_text()));
    }
}

void DaemonProcess::kill() {
    if (process_) {
        process_->kill();
        process_.reset();
    }
}

void DaemonProcess::restart() {
    kill();
    start();
}

void DaemonProcess::signal(int number) {
    if (!process_) {
        throw std::logic_error("DaemonProcess: not running");
    }
    process_->signal(number);
}

bool DaemonProcess::running() { return process_ && process_->running(); }

std::optional<ExitStatus> DaemonProcess::ended_with() {
    return process_ && !process_->running() ? process_->wait() : std::nullopt;
}

pid_t DaemonProcess::pid() const { return process_ ? process_->pid() : -1; }

std::string DaemonProcess::log_text() const { return read_text(log_); }

std::string DaemonProcess::metrics_url() const { return fmt::format("http://127.0.0.1:{}/metrics", metrics_port_); }

void DaemonProcess::check_log() const {
    const std::string log = log_text();
    for (const std::string_view alarm : {"Sanitizer", "runtime error:", "Assertion"}) {
        if (const std::size_t at = log.find(alarm); at != std::string::npos) {
            ADD_FAILURE() << "in runledgerd's log: " << log.substr(at, 2'000);
        }
    }
}

}  // namespace runledger::test
