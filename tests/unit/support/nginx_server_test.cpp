// The harness itself, on a stock nginx without our module; the module's own tests are in integration/edge.
#include "tests/support/nginx_server.hpp"

#include <gmock/gmock.h>

#include <set>

#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

constexpr std::string_view plain_conf = R"(daemon off;
worker_processes 2;
pid @FOLDER@/nginx.pid;
error_log @FOLDER@/error.log info;
events {}
http {
    access_log @FOLDER@/access.log;
    client_body_temp_path @FOLDER@/client_body;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    server {
        listen 127.0.0.1:@PORT@;
        location = /here { return 204; }
    }
}
)";

class StockNginx : public testing::Test {
protected:
    TempFolder folder_;
    NginxServer nginx_{folder_, plain_conf};

    std::set<pid_t> workers() {
        const std::vector<pid_t> pids = nginx_.worker_pids();
        return {pids.begin(), pids.end()};
    }
};

TEST_F(StockNginx, AnswersAndEndsWhenAskedTo) {
    nginx_.start();

    EXPECT_EQ(http_get(nginx_.url("/here")).status, 204);
    EXPECT_EQ(workers().size(), 2U);

    nginx_.quit();

    EXPECT_FALSE(nginx_.running());
    EXPECT_FALSE(takes_connections(nginx_.port()));
    EXPECT_THAT(nginx_.access_log(), testing::HasSubstr("GET /here"));
    nginx_.check_logs();
}

TEST_F(StockNginx, StartsNewWorkersForThoseThatAreKilledAndSaysSo) {
    nginx_.start();
    const std::set<pid_t> before = workers();

    nginx_.kill_workers();

    eventually("two new workers", [&] { return workers().size() == 2; });
    for (const pid_t pid : before) {
        EXPECT_FALSE(workers().contains(pid));
    }
    eventually("nginx has noticed", [&] { return nginx_.error_log().find("signal 9") != std::string::npos; });
    nginx_.check_logs({NginxServer::death_notice()});
    EXPECT_EQ(nginx_.alarms().size(), 2U) << "one for each worker";
}

TEST_F(StockNginx, LeavesNothingBehindWhenAllOfItIsKilled) {
    nginx_.start();
    const std::vector<ProcessId> before = nginx_.workers();

    nginx_.kill_all();

    for (const ProcessId& worker : before) {
        EXPECT_FALSE(is_alive(worker));
    }
    nginx_.start();
    EXPECT_EQ(http_get(nginx_.url("/here")).status, 204);
}

TEST_F(StockNginx, ReloadsWithNewWorkers) {
    nginx_.start();
    const std::set<pid_t> before = workers();

    nginx_.reload();

    eventually("the old workers are gone", [&] {
        const std::set<pid_t> now = workers();
        return now.size() == 2 &&
               std::none_of(before.begin(), before.end(), [&](pid_t pid) { return now.contains(pid); });
    });
    nginx_.check_logs();
}

TEST_F(StockNginx, SaysWhyAConfigurationIsRefused) {
    nginx_.set_conf("events {}\nhttp { no_such_directive; }\n");

    const Finished checked = nginx_.check_conf();

    EXPECT_FALSE(checked.status.clean());
    EXPECT_THAT(checked.output, testing::HasSubstr("no_such_directive"));
    EXPECT_THROW(nginx_.start(), NeverHappened);
    EXPECT_FALSE(nginx_.running());
}

TEST(StandardConf, LeavesNoPlaceholderOfItsOwn) {
    std::string conf =
        standard_conf({.workers = 3, .spool_options = "max_size=64m", .location_extra = "runledger_timeout 2s;"});

    for (const std::string_view filled_in_later : {"@PORT@", "@FOLDER@", "@TEST_FOLDER@", "@SPOOL@", "@MODULE@"}) {
        for (std::size_t at = conf.find(filled_in_later); at != std::string::npos; at = conf.find(filled_in_later)) {
            conf.erase(at, filled_in_later.size());
        }
    }

    EXPECT_EQ(conf.find('@'), std::string::npos) << conf;
    EXPECT_THAT(conf, testing::HasSubstr("worker_processes 3;"));
    EXPECT_THAT(conf, testing::HasSubstr(" max_size=64m;"));
}

}  // namespace
}  // namespace runledger::test
