// What the edge's tests share: a real nginx, a stand-in daemon, and a language to speak of both.
//
// Invariant: each test has its own folder, nginx and daemon; when it ends, nginx has been asked to quit and its logs
// hold no alarm that the test did not announce.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/stand_ins/recording_daemon.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/nginx_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class EdgeFixture : public ::testing::Test {
protected:
    static constexpr std::string_view endpoint = "/api/webhook/comfydeploy";

    EdgeFixture();
    void TearDown() override;

    void start_nginx(const NginxConf& conf = {}, NginxOptions options = {});
    // Its files are written, it is not started; for a test that starts it in a way of its own.
    void prepare_nginx(std::string_view conf, NginxOptions options = {});
    void start_daemon() { daemon_.start(); }

    // Another run's event each time: a body that occurs once.
    [[nodiscard]] std::string fresh_event(std::string_view status = "running");
    // The same, padded with text to about this size.
    [[nodiscard]] std::string fresh_event_of_bytes(std::size_t bytes);

    [[nodiscard]] HttpAnswer post(std::string_view body, std::string_view query = {});
    // Posts so many fresh events, each of which must be answered 200, and returns their bodies.
    [[nodiscard]] std::vector<std::string> post_until_answered(int count);
    // A request's bytes, for a RawConnection.
    [[nodiscard]] static std::string raw_post(std::string_view body, std::string_view more_headers = {});

    // Waits until the daemon has exactly these events, in any order.
    void expect_delivered(std::vector<std::string> bodies);
    void wait_for_access_log(std::string_view text);
    void wait_for_error_log(std::string_view text);
    // SIGKILL to the workers; waits for the next one.
    void kill_workers();

    [[nodiscard]] NginxServer& nginx() { return *nginx_; }
    [[nodiscard]] const TempFolder& folder() const { return folder_; }
    [[nodiscard]] RecordingDaemon& daemon() { return daemon_; }
    // The line that this holds is no failure of the test.
    void allow_alarm(std::string text) { allowed_alarms_.push_back(std::move(text)); }

private:
    TempFolder folder_;
    RecordingDaemon daemon_;
    std::optional<NginxServer> nginx_;
    std::vector<std::string> allowed_alarms_;
    int events_made_{0};
};

}  // namespace runledger::test
