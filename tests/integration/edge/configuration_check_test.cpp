// `nginx -t` only looks: it makes no thread, no socket of ours and no file, whatever is configured.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// zmq_curve(7)'s examples: the client's secret key, and the server's public one.
constexpr std::string_view secret_key = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
constexpr std::string_view public_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

// What call_log_shim.c writes down, preloaded into nginx.
class ConfigurationCheck : public EdgeFixture {
protected:
    ConfigurationCheck()
        : library_(
              install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "tests" / "support" / "call_log_shim.so")),
          call_log_(folder().write_file("calls", "")) {
        static_cast<void>(folder().write_secret("edge.secret", std::string{secret_key} + "\n"));
        static_cast<void>(folder().write_file("ledger.public", std::string{public_key} + "\n"));
        static_cast<void>(folder().write_secret("tokens", "studio the-first-secret-word\n"));
    }

    [[nodiscard]] NginxOptions watched(std::string name) const {
        return {.name = std::move(name),
                .env = {{"LD_PRELOAD", library_.string()}, {"RUNLEDGER_CALL_LOG", call_log_.string()}}};
    }
    [[nodiscard]] long calls(std::string_view name) const {
        std::istringstream lines{read_text(call_log_)};
        long count = 0;
        for (std::string line; std::getline(lines, line);) {
            count += line == name ? 1 : 0;
        }
        return count;
    }
    void forget_calls() const { static_cast<void>(folder().write_file("calls", "")); }
    // Everything that makes threads, sockets and files once nginx runs.
    [[nodiscard]] static std::string whole_conf() {
        return standard_conf({.workers = 2,
                              .daemon_endpoints = "ipc://@TEST_FOLDER@/d.sock tcp://10.0.0.5:9463",
                              .spool_options = "max_size=128m keep_acked=1h host=edge-1",
                              .token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;",
                              .http_extra = "runledger_curve secret_key=@TEST_FOLDER@/edge.secret "
                                            "server_key=@TEST_FOLDER@/ledger.public;"});
    }
    // The same nginx, listening alike, without a word of ours.
    [[nodiscard]] static std::string conf_without_module() {
        return "pid @FOLDER@/nginx.pid;\nevents {}\nhttp {\n"
               "    access_log off; client_body_temp_path @FOLDER@/b; proxy_temp_path @FOLDER@/p;\n"
               "    fastcgi_temp_path @FOLDER@/f; uwsgi_temp_path @FOLDER@/u; scgi_temp_path @FOLDER@/s;\n"
               "    server { listen 127.0.0.1:@PORT@; }\n}\n";
    }

private:
    fs::path library_;
    fs::path call_log_;
};

TEST_F(ConfigurationCheck, MakesNoThreadNoSocketOfOursAndNoFile) {
    NginxServer bare{folder(), conf_without_module(), watched("bare")};
    ASSERT_TRUE(bare.check_conf().status.clean());
    const long sockets_of_nginx = calls("socket");
    const long eventfds_of_nginx = calls("eventfd");
    const long threads_of_nginx = calls("pthread_create");
    forget_calls();
    NginxServer server{folder(), whole_conf(), watched("checked")};

    const Finished result = server.check_conf();

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_EQ(calls("pthread_create"), threads_of_nginx);
    EXPECT_EQ(calls("zmq_ctx_new"), 0);
    EXPECT_EQ(calls("eventfd"), eventfds_of_nginx);
    EXPECT_EQ(calls("socket"), sockets_of_nginx);
    EXPECT_TRUE(fs::is_empty(server.spool()));
}

TEST_F(ConfigurationCheck, IsWatchedByWhatSeesTheSameConfigurationStart) {
    NginxServer server{folder(), whole_conf(), watched("started")};

    server.start();

    // A courier and ZeroMQ's two threads in each of two workers, at the least.
    eventually("both workers' couriers run",
               [&] { return calls("zmq_ctx_new") >= 2 && calls("pthread_create") >= 6 && calls("eventfd") >= 2; });
    server.quit();
    server.check_logs();
}

}  // namespace
}  // namespace runledger::test
