#include "tests/integration/start/start_fixture.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <sstream>
#include <system_error>

#include "tests/support/cluster_kind.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {

ServiceManager::ServiceManager(const TempFolder& folder)
    : path_((folder / "notify").string()), socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    // The C interface of sockets: an address of a family is passed as one of any.
    if (socket_ < 0 || bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        chmod(path_.c_str(), 0666) != 0) {
        throw std::system_error(errno, std::generic_category(), path_);
    }
}

ServiceManager::~ServiceManager() { ::close(socket_); }

const std::string& ServiceManager::heard() {
    std::array<char, 4096> message{};
    for (ssize_t bytes = 0; (bytes = recv(socket_, message.data(), message.size(), 0)) >= 0;) {
        heard_.append(message.data(), static_cast<std::size_t>(bytes)).push_back('\n');
    }
    return heard_;
}

PostgresServer& Start::server() {
    static const TempFolder own;
    static const auto hba = own.write_file("pg_hba.conf",
                                           "local all unlisted reject\n"
                                           "local all keyed scram-sha-256\n"
                                           "local all all trust\n"
                                           "host all unlisted 127.0.0.1/32 reject\n"
                                           "host all keyed 127.0.0.1/32 scram-sha-256\n"
                                           "host all all 127.0.0.1/32 trust\n");
    static PostgresServer server(
        {.fsync = false, .settings = {fmt::format("hba_file = '{}'", hba.string())}});  // Ends with the program.
    return server;
}

Start::Start() {
    static std::atomic<int> number{0};
    database_ = fmt::format("start_{}", ++number);
    server().create_database(database_);
}

void Start::run(const std::string& statements) const {
    const auto connection = server().connect(database_);
    pqxx::nontransaction work(*connection);
    work.exec(statements);
}

void Start::make_daemons_login(std::string_view role) const {
    run(fmt::format("CREATE ROLE {0} LOGIN PASSWORD 'right'{1}; GRANT runledger_daemon TO {0}", role,
                    daemons_attributes(cluster_kind())));
}

DaemonConf Start::conf(std::string uri) const {
    return {.postgres_uri = std::move(uri), .log_level = "info", .migrates = false};
}

std::filesystem::path Start::write_configuration(std::string_view text) const {
    return folder_.write_file("runledgerd.toml",
                              fmt::format("[intake]\nbind = [\"ipc://{}/d.sock\"]\n[metrics]\nlisten = \"\"\n{}",
                                          folder_.path().string(), text));
}

Finished Start::run_daemon(const std::filesystem::path& configuration) const {
    const auto program = install_executable(folder_, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledgerd");
    return run_to_end({.argv = {program.string(), "--config", configuration.string()}}, folder_,
                      std::chrono::seconds{20} * patience_factor);
}

std::vector<std::string> lines_with(std::string_view log, std::string_view words) {
    std::vector<std::string> found;
    std::istringstream lines{std::string(log)};
    for (std::string line; std::getline(lines, line);) {
        if (line.find(words) != std::string::npos) {
            found.push_back(line);
        }
    }
    return found;
}

}  // namespace runledger::test
