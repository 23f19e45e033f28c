// The sender against a stock nginx, whose access log tells what came.
#include "tests/stand_ins/comfy_sender.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/support/nginx_server.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using testing::Each;
using testing::HasSubstr;

// $request_body is only there where nginx passes it on, so it passes it on to itself.
constexpr std::string_view receiver_conf = R"(daemon off;
worker_processes 1;
pid @FOLDER@/nginx.pid;
error_log @FOLDER@/error.log info;
events { worker_connections 2048; }
http {
    log_format event escape=none '$request_method|$status|$connection|$request_uri|'
                                 '$http_user_agent|$content_type|$request_body';
    access_log off;
    client_body_temp_path @FOLDER@/client_body;
    client_body_buffer_size 1m;
    proxy_temp_path @FOLDER@/proxy;
    fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi;
    scgi_temp_path @FOLDER@/scgi;
    map $request_method $flaky { POST 503; default 200; }
    server {
        listen 127.0.0.1:@PORT@;
        access_log @FOLDER@/events.log event;
        location /good { proxy_pass http://127.0.0.1:@PORT@/sink/200; }
        location /flaky { proxy_pass http://127.0.0.1:@PORT@/sink/$flaky; }
        location /bad { proxy_pass http://127.0.0.1:@PORT@/sink/500; }
        location /moved { proxy_pass http://127.0.0.1:@PORT@/sink/302; }
        location = /sink/200 { access_log off; return 200; }
        location = /sink/500 { access_log off; return 500; }
        location = /sink/503 { access_log off; return 503; }
        location = /sink/302 { access_log off; return 302 /elsewhere; }
    }
}
)";

struct Received {
    std::string method;
    std::string status;
    std::string connection;
    std::string uri;
    std::string user_agent;
    std::string content_type;
    std::string body;
};

class Delivering : public testing::Test {
protected:
    TempFolder folder_;
    NginxServer nginx_{folder_, receiver_conf};
    std::vector<RunPlan> runs_ = make_runs({.seed = 5, .runs = 20});

    void SetUp() override { nginx_.start(); }

    SenderOptions to(std::string_view path) const {
        return {.url = nginx_.url(path),
                .concurrency = 16,
                .time_scale = 0,
                .retry_delays = {milliseconds{20}, milliseconds{40}}};
    }

    std::size_t planned() const {
        std::size_t events = 0;
        for (const RunPlan& run : runs_) {
            events += run.events.size();
        }
        return events;
    }

    std::vector<Received> received() const {
        std::vector<Received> all;
        std::istringstream log(read_text(nginx_.folder() / "events.log"));
        for (std::string line; std::getline(log, line);) {
            std::istringstream fields(line);
            Received one;
            for (std::string* field :
                 {&one.method, &one.status, &one.connection, &one.uri, &one.user_agent, &one.content_type}) {
                std::getline(fields, *field, '|');
            }
            std::getline(fields, one.body, '\0');
            all.push_back(one);
        }
        return all;
    }
};

TEST_F(Delivering, SendsEachEventOnceByPostOnAConnectionOfItsOwn) {
    const std::vector<Delivery> deliveries = send_runs(runs_, to("/good?token=a%20b"));

    ASSERT_EQ(deliveries.size(), planned());
    std::multiset<std::string> sent;
    for (const Delivery& delivery : deliveries) {
        EXPECT_TRUE(delivery.accepted());
        EXPECT_EQ(delivery.tries.size(), 1U);
        sent.insert(runs_[delivery.run].events[delivery.event].body);
    }
    eventually("nginx has logged all", [&] { return received().size() == planned(); });
    std::multiset<std::string> bodies;
    std::set<std::string> connections;
    for (const Received& one : received()) {
        EXPECT_EQ(one.method, "POST");
        EXPECT_EQ(one.uri, "/good?token=a%20b");
        EXPECT_EQ(one.content_type, "application/json");
        EXPECT_THAT(one.user_agent, HasSubstr("aiohttp"));
        bodies.insert(one.body);
        connections.insert(one.connection);
    }
    EXPECT_EQ(bodies, sent);
    EXPECT_EQ(connections.size(), planned());
}

TEST_F(Delivering, SendsTheSecondTryAsGetWithTheSameBody) {
    const std::vector<Delivery> deliveries = send_runs(runs_, to("/flaky"));

    for (const Delivery& delivery : deliveries) {
        ASSERT_EQ(delivery.tries.size(), 2U);
        EXPECT_EQ(delivery.tries[0].status, 503);
        EXPECT_EQ(delivery.tries[1].status, 200);
        EXPECT_TRUE(delivery.tries[1].as_get);
        EXPECT_GE(delivery.tries[1].before.boottime.since_boot - delivery.tries[0].after.boottime.since_boot,
                  milliseconds{20});
        EXPECT_TRUE(delivery.accepted());
    }
    eventually("nginx has logged all", [&] { return received().size() == 2 * planned(); });
    std::map<std::string, std::multiset<std::string>> bodies;
    for (const Received& one : received()) {
        bodies[one.method].insert(one.body);
    }
    EXPECT_EQ(bodies["GET"], bodies["POST"]);
    EXPECT_FALSE(bodies["GET"].contains(""));
}

TEST_F(Delivering, GivesUpAfterThreeTries) {
    const std::vector<Delivery> deliveries = send_runs(runs_, to("/bad"));

    ASSERT_EQ(deliveries.size(), planned());
    for (const Delivery& delivery : deliveries) {
        EXPECT_FALSE(delivery.accepted());
        ASSERT_EQ(delivery.tries.size(), 3U);
        EXPECT_GE(delivery.tries[2].before.boottime.since_boot - delivery.tries[1].after.boottime.since_boot,
                  milliseconds{40});
    }
}

TEST_F(Delivering, TakesARedirectForAnAnswer) {
    const std::vector<Delivery> deliveries = send_runs(runs_, to("/moved"));

    EXPECT_FALSE(deliveries.front().accepted());
    EXPECT_EQ(deliveries.front().tries.size(), 1U);
    EXPECT_EQ(deliveries.front().tries.front().status, 302);
}

TEST_F(Delivering, TriesAgainWhereNobodyListens) {
    nginx_.kill_all();

    const std::vector<Delivery> deliveries = send_runs(runs_, to("/good"));

    for (const Delivery& delivery : deliveries) {
        ASSERT_EQ(delivery.tries.size(), 3U);
        EXPECT_EQ(delivery.tries[0].status, 0);
        EXPECT_FALSE(delivery.tries[0].error.empty());
    }
}

TEST_F(Delivering, KeepsToThePlansTimesAndTellsOfEachFate) {
    std::size_t told = 0;
    SenderOptions options = to("/good");
    options.time_scale = 0.2;
    options.on_delivered = [&](const Delivery& delivery) { told += delivery.accepted() ? 1 : 0; };
    std::chrono::microseconds last{};
    for (const RunPlan& run : runs_) {
        last = std::max(last, run.events.back().due);
    }
    const auto start = stamp_now();

    const std::vector<Delivery> deliveries = send_runs(runs_, options);

    EXPECT_EQ(told, planned());
    for (const Delivery& delivery : deliveries) {
        const auto due = runs_[delivery.run].events[delivery.event].due / 5;
        EXPECT_GE(delivery.tries[0].before.boottime.since_boot - start.boottime.since_boot, due - milliseconds{1});
        EXPECT_LE(delivery.tries[0].before, delivery.tries[0].after);
    }
}

TEST_F(Delivering, BeginsNothingMoreOnceItIsStopped) {
    SenderOptions options = to("/good");
    std::size_t told = 0;
    options.concurrency = 1;
    options.on_delivered = [&](const Delivery&) { ++told; };
    options.stop = [&] { return told >= 3; };

    const std::vector<Delivery> deliveries = send_runs(runs_, options);

    EXPECT_GE(deliveries.size(), 3U);
    EXPECT_LT(deliveries.size(), planned());
}

}  // namespace
}  // namespace runledger::test
