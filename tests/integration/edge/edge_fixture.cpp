#include "tests/integration/edge/edge_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/support/eventually.hpp"

namespace runledger::test {

EdgeFixture::EdgeFixture() : daemon_{folder_ / "d.sock"} {}

void EdgeFixture::TearDown() {
    if (nginx_) {
        if (nginx_->running()) {
            nginx_->quit();
        }
        nginx_->check_logs(allowed_alarms_);
    }
    daemon_.stop();
    EXPECT_EQ(daemon_.damaged(), std::vector<std::string>{});
}

void EdgeFixture::start_nginx(const NginxConf& conf, NginxOptions options) {
    prepare_nginx(standard_conf(conf), std::move(options));
    nginx_->start();
}

void EdgeFixture::prepare_nginx(std::string_view conf, NginxOptions options) {
    nginx_.emplace(folder_, conf, std::move(options));
}

std::string EdgeFixture::fresh_event(std::string_view status) {
    return fmt::format(R"({{"event_type": "run.updated", "status": "{}", "live_status": null, "progress": 0.5, )"
                       R"("run_id": "00000000-0000-4000-8000-{:012}", "outputs": []}})",
                       status, ++events_made_);
}

std::string EdgeFixture::fresh_event_of_bytes(std::size_t bytes) {
    std::string event = fresh_event("success");
    const std::string text(bytes > event.size() ? bytes - event.size() : 0, 'x');
    event.replace(event.rfind("[]"), 2, R"([{"id": "o", "data": {"text": [")" + text + R"("]}}])");
    return event;
}

HttpAnswer EdgeFixture::post(std::string_view body, std::string_view query) {
    return http_post(nginx().url(std::string{endpoint} + std::string{query}), body);
}

std::vector<std::string> EdgeFixture::post_until_answered(int count) {
    std::vector<std::string> bodies;
    for (int i = 0; i < count; ++i) {
        bodies.push_back(fresh_event());
        const HttpAnswer answer = post(bodies.back());
        EXPECT_EQ(answer.status, 200) << answer.error << answer.body;
    }
    return bodies;
}

std::string EdgeFixture::raw_post(std::string_view body, std::string_view more_headers) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}", endpoint,
        body.size(), more_headers, body);
}

void EdgeFixture::expect_delivered(std::vector<std::string> bodies) {
    std::ranges::sort(bodies);
    const auto sorted_deliveries = [this] {
        std::vector<std::string> delivered = daemon_.delivered_bodies();
        std::ranges::sort(delivered);
        return delivered;
    };
    eventually(
        "the daemon has every event that was answered, and no other", [&] { return sorted_deliveries() == bodies; },
        default_patience,
        [&] {
            return fmt::format("{} of {} events\n{}", sorted_deliveries().size(), bodies.size(), nginx().error_log());
        });
}

void EdgeFixture::wait_for_access_log(std::string_view text) {
    eventually(
        fmt::format("the access log says: {}", text),
        [&] { return nginx().access_log().find(text) != std::string::npos; }, default_patience,
        [this] { return nginx().access_log(); });
}

void EdgeFixture::wait_for_error_log(std::string_view text) {
    eventually(
        fmt::format("the error log says: {}", text),
        [&] { return nginx().error_log().find(text) != std::string::npos; }, default_patience,
        [this] { return nginx().error_log(); });
}

void EdgeFixture::kill_workers() {
    allow_alarm(NginxServer::death_notice());
    const auto before = nginx().worker_pids();
    nginx().kill_workers(SIGKILL);
    eventually("new workers run", [&] {
        const auto now = nginx().worker_pids();
        return now.size() == before.size() && now != before;
    });
}

}  // namespace runledger::test
