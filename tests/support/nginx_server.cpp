#include "tests/support/nginx_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace runledger::test {
namespace {

constexpr std::string_view conf_head = R"(load_module @MODULE@;
daemon off;
master_process on;
worker_processes @WORKERS@;
pid @FOLDER@/nginx.pid;
error_log @FOLDER@/error.log info;
@MAIN_EXTRA@
events { worker_connections @WORKER_CONNECTIONS@; }
)";

constexpr std::string_view conf_http = R"(http {
    log_format runledger '$remote_addr $request_method $request_uri $status $request_time '
                         'commit_time=$runledger_commit_time '
                         'run=$runledger_run_id run_status=$runledger_run_status outcome=$runledger_outcome';
    access_log @FOLDER@/access.log runledger;
    client_body_temp_path @FOLDER@/client_body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    client_max_body_size 8m;
    runledger_spool @SPOOL@ @SPOOL_OPTIONS@;
    runledger_daemon @ENDPOINTS@;
    @HTTP_EXTRA@
    server {
        listen 127.0.0.1:@PORT@ backlog=4096;
        location = /api/webhook/comfydeploy {
            runledger_webhook;
            @TOKEN@
            @LOCATION_EXTRA@
        }
        location = /runledger_status { runledger_status; }
        @SERVER_EXTRA@
    }
}
)";

std::string replaced(std::string text, std::string_view placeholder, std::string_view value) {
    for (std::size_t at = text.find(placeholder); at != std::string::npos;
         at = text.find(placeholder, at + value.size())) {
        text.replace(at, placeholder.size(), value);
    }
    return text;
}

// Of a nginx.conf that says a number; one where it says none.
std::size_t worker_processes(std::string_view conf) {
    constexpr std::string_view directive = "worker_processes ";
    const std::size_t at = conf.find(directive);
    return at == std::string_view::npos ? 1 : std::stoul(std::string{conf.substr(at + directive.size(), 8)});
}

bool sounds_the_alarm(std::string_view line) {
    static constexpr std::string_view alarms[] = {"[alert]", "[emerg]", "Sanitizer", "runtime error:"};
    return std::any_of(std::begin(alarms), std::end(alarms),
                       [&](std::string_view alarm) { return line.find(alarm) != std::string_view::npos; });
}

// The build tree whose module is tested: this one, the sanitized one that ctest names, or that of another nginx.
std::filesystem::path module_tree() {
    for (const char* variable : {"RUNLEDGER_SANITIZED_TREE", "RUNLEDGER_TEST_MODULE_TREE"}) {
        if (const char* tree = std::getenv(variable)) {
            return tree;
        }
    }
    return RUNLEDGER_BINARY_DIR;
}

// The sanitizers' libraries that the module needs (tests/support/CMakeLists.txt writes them down), or nothing.
std::string sanitizer_preload() {
    std::ifstream file{module_tree() / "sanitizer_preload"};
    std::string libraries;
    std::getline(file, libraries);
    return libraries;
}

}  // namespace

std::filesystem::path nginx_program() {
    const char* program = std::getenv("RUNLEDGER_TEST_NGINX");
    return program != nullptr ? program : "/usr/sbin/nginx";
}

std::filesystem::path built_module() {
    std::filesystem::path module = module_tree() / "nginx-module" / "ngx_http_runledger_module.so";
    if (!std::filesystem::exists(module)) {
        throw std::runtime_error(
            fmt::format("there is no {}: build the target ngx_http_runledger_module of its tree", module.string()));
    }
    return module;
}

std::string standard_conf(const NginxConf& conf) {
    std::string text = std::string{conf_head} + std::string{conf_http};
    text = replaced(std::move(text), "@WORKERS@", std::to_string(conf.workers));
    text = replaced(std::move(text), "@WORKER_CONNECTIONS@", std::to_string(conf.worker_connections));
    text = replaced(std::move(text), "@MAIN_EXTRA@", conf.main_extra);
    text = replaced(std::move(text), "@HTTP_EXTRA@", conf.http_extra);
    text = replaced(std::move(text), "@SERVER_EXTRA@", conf.server_extra);
    text = replaced(std::move(text), "@LOCATION_EXTRA@", conf.location_extra);
    text = replaced(std::move(text), "@TOKEN@", conf.token);
    text = replaced(std::move(text), " @SPOOL_OPTIONS@", conf.spool_options.empty() ? "" : " " + conf.spool_options);
    return replaced(std::move(text), "@ENDPOINTS@", conf.daemon_endpoints);
}

bool takes_connections(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // reinterpret_cast: the sockets API's own way of passing addresses.
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return connected;
}

NginxServer::NginxServer(const TempFolder& folder, std::string_view conf, NginxOptions options)
    : test_folder_(folder),
      options_(std::move(options)),
      folder_(folder.make_folder(options_.name)),
      spool_(options_.spool.empty() ? folder.make_folder(options_.name + "/spool") : options_.spool),
      port_(options_.port != 0 ? options_.port : free_port()) {
    const std::filesystem::path module = options_.module.empty() ? built_module() : options_.module;
    // A conf that does not load the module needs none.
    if (std::filesystem::exists(module)) {
        module_ = install_executable(folder, module);
    } else if (conf.find("@MODULE@") != std::string_view::npos) {
        throw std::runtime_error(fmt::format("the module is not built: {}", module.string()));
    }
    set_conf(conf);
}

NginxServer::~NginxServer() {
    try {
        kill_all();
    } catch (const std::exception& e) {
        fmt::print(stderr, "NginxServer: {}\n", e.what());  // A destructor: the test's result is settled already.
    }
}

std::string NginxServer::fill_in(std::string_view conf) const {
    std::string text = replaced(std::string{conf}, "@PORT@", std::to_string(port_));
    text = replaced(std::move(text), "@SPOOL@", spool_.string());
    text = replaced(std::move(text), "@MODULE@", module_.string());
    text = replaced(std::move(text), "@TEST_FOLDER@", test_folder_.path().string());
    return replaced(std::move(text), "@FOLDER@", folder_.string());
}

void NginxServer::set_conf(std::string_view conf) {
    test_folder_.write_file(options_.name + "/nginx.conf", fill_in(conf));
}

Command NginxServer::command(std::vector<std::string> more_arguments) const {
    std::vector<std::string> argv = options_.wrapper;
    for (const std::string& argument :
         {nginx_program().string(), std::string{"-p"}, folder_.string(), std::string{"-c"},
          (folder_ / "nginx.conf").string(), std::string{"-e"}, (folder_ / "error.log").string()}) {
        argv.push_back(argument);
    }
    argv.insert(argv.end(), std::make_move_iterator(more_arguments.begin()),
                std::make_move_iterator(more_arguments.end()));
    std::map<std::string, std::string> env = options_.env;
    if (const std::string preload = sanitizer_preload(); !preload.empty()) {
        // First of all: the interceptors then find what a test preloads behind them.
        std::string& all = env["LD_PRELOAD"];
        all = all.empty() ? preload : fmt::format("{}:{}", preload, all);
        // nginx itself leaks its configuration at exit by design.
        env.emplace("ASAN_OPTIONS", "detect_leaks=0");
        env.emplace("UBSAN_OPTIONS", "print_stacktrace=1");
    }
    return {.argv = std::move(argv), .env = std::move(env), .cwd = folder_, .output = folder_ / "stderr.log"};
}

Finished NginxServer::check_conf() const { return run_to_end(command({"-t"}), test_folder_); }

void NginxServer::start() {
    if (running()) {
        throw std::logic_error("NginxServer: started twice");
    }
    const std::size_t wanted_workers = worker_processes(read_text(folder_ / "nginx.conf"));
    master_.emplace(command({}));
    try {
        eventually(
            "nginx takes connections and all its workers run",
            [&] {
                if (!master_->running()) {
                    throw Hopeless("nginx has ended");
                }
                return takes_connections(port_) && workers().size() >= wanted_workers;
            },
            default_patience * options_.patience_factor, [this] { return error_log(); });
    } catch (const NeverHappened&) {
        kill_all();
        throw;
    }
    remember_workers();
}

void NginxServer::reload() {
    const std::vector<ProcessId> before = workers();
    const auto wanted_workers = static_cast<std::ptrdiff_t>(worker_processes(read_text(folder_ / "nginx.conf")));
    remember_workers();
    signal_master(SIGHUP);
    eventually(
        "all new workers run after a reload",
        [&] {
            const std::vector<ProcessId> now = workers();
            const auto is_new = [&](const ProcessId& worker) {
                return std::find(before.begin(), before.end(), worker) == before.end();
            };
            return std::count_if(now.begin(), now.end(), is_new) >= wanted_workers;
        },
        default_patience * options_.patience_factor, [this] { return error_log(); });
    remember_workers();
}

void NginxServer::wait_for_master(std::string_view sentence, std::chrono::milliseconds patience) {
    patience *= options_.patience_factor;
    if (!master_->wait(patience)) {
        const std::string log = error_log();
        kill_all();
        throw NeverHappened(fmt::format("not within {} ms: {}\n{}", patience.count(), sentence, log));
    }
    master_->kill();
    master_.reset();
}

void NginxServer::quit(std::chrono::milliseconds patience) {
    if (master_) {
        remember_workers();
        signal_master(SIGQUIT);
        wait_for_master("nginx ends after SIGQUIT", patience);
    }
}

void NginxServer::term(std::chrono::milliseconds patience) {
    if (master_) {
        remember_workers();
        signal_master(SIGTERM);
        wait_for_master("nginx ends after SIGTERM", patience);
    }
}

void NginxServer::kill_workers(int signal_number) {
    const std::vector<ProcessId> killed = workers();
    for (const ProcessId& worker : killed) {
        ::kill(worker.pid, signal_number);
    }
    eventually("the killed workers are gone", [&] { return std::none_of(killed.begin(), killed.end(), is_alive); });
}

void NginxServer::kill_all() {
    if (!master_) {
        return;
    }
    // Stopped first, or it would start new workers in the place of those that are killed.
    signal_master(SIGSTOP);
    remember_workers();
    // By id as well: a binary upgrade's master and its workers need not be in the group.
    for (const ProcessId& worker : std::exchange(seen_workers_, {})) {
        if (is_alive(worker)) {
            ::kill(worker.pid, SIGKILL);
            eventually("the killed worker is gone", [&] { return !is_alive(worker); });
        }
    }
    master_->kill();
    master_.reset();
}

void NginxServer::signal_master(int number) {
    if (!master_) {
        throw std::logic_error("NginxServer: not running");
    }
    master_->signal(number);
}

bool NginxServer::running() { return master_ && master_->running(); }

std::vector<ProcessId> NginxServer::workers() const {
    return master_ ? children_of(master_->pid()) : std::vector<ProcessId>{};
}

std::vector<pid_t> NginxServer::worker_pids() const {
    std::vector<pid_t> pids;
    for (const ProcessId& worker : workers()) {
        pids.push_back(worker.pid);
    }
    return pids;
}

pid_t NginxServer::master_pid() const { return master_ ? master_->pid() : -1; }

void NginxServer::remember_workers() {
    for (const ProcessId& worker : workers()) {
        if (std::find(seen_workers_.begin(), seen_workers_.end(), worker) == seen_workers_.end()) {
            seen_workers_.push_back(worker);
        }
    }
}

std::string NginxServer::url(std::string_view path) const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }

std::string NginxServer::error_log() const {
    return read_text(folder_ / "error.log") + read_text(folder_ / "stderr.log");
}

std::string NginxServer::access_log() const { return read_text(folder_ / "access.log"); }

std::vector<std::string> NginxServer::alarms(const std::vector<std::string>& allowed) const {
    std::vector<std::string> lines;
    std::istringstream log(error_log());
    for (std::string line; std::getline(log, line);) {
        const bool is_allowed = std::any_of(allowed.begin(), allowed.end(), [&](const std::string& text) {
            return line.find(text) != std::string::npos;
        });
        if (sounds_the_alarm(line) && !is_allowed) {
            lines.push_back(line);
        }
    }
    return lines;
}

void NginxServer::check_logs(const std::vector<std::string>& allowed) const {
    for (const std::string& line : alarms(allowed)) {
        ADD_FAILURE() << "in nginx's log: " << line;
    }
}

std::string NginxServer::death_notice(int signal_number) { return fmt::format("exited on signal {}", signal_number); }

}  // namespace runledger::test
