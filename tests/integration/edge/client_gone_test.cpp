// Clients that leave, at each point at which they can: nothing is told to a request that is gone, nothing is delivered
// twice, and nginx is as it was.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class ClientGone : public HttpFixture {
protected:
    [[nodiscard]] static std::string target(std::string_view name) { return fmt::format("{}?case={}", endpoint, name); }

    // The event of a client who left may have been stored or not; every other is delivered, and nothing twice.
    void expect_delivered_and_perhaps(std::vector<std::string> certain, const std::vector<std::string>& uncertain) {
        std::ranges::sort(certain);
        eventually("what was answered is delivered, and nothing twice", [&] {
            std::vector<std::string> bodies = daemon().delivered_bodies();
            std::ranges::sort(bodies);
            const bool is_twice = std::ranges::adjacent_find(bodies) != bodies.end();
            std::erase_if(
                bodies, [&](const std::string& body) { return std::ranges::find(uncertain, body) != uncertain.end(); });
            return !is_twice && bodies == certain;
        });
    }
};

enum class Leave : std::uint8_t { close, reset, finish_sending };

struct Leaving {
    std::string_view name;
    Leave how;
};

void leave(RawConnection& client, Leave how) {
    switch (how) {
        case Leave::close:
            client.close();
            return;
        case Leave::reset:
            client.reset();
            return;
        case Leave::finish_sending:
            client.finish_sending();
            return;
    }
}

constexpr Leaving ways[] = {{"close", Leave::close}, {"reset", Leave::reset}, {"half_close", Leave::finish_sending}};

TEST_F(ClientGone, InMidHeaderOrMidBodyLeavesNothing) {
    start({.location_extra = "client_body_buffer_size 1k;"});
    for (const Leaving& way : ways) {
        SCOPED_TRACE(way.name);
        const std::string request = RawRequest{.target = target(way.name), .body = fresh_event_of_bytes(20'000)}.text();
        RawConnection in_header{nginx().port()};
        in_header.send(request.substr(0, 40));
        leave(in_header, way.how);

        RawConnection in_body{nginx().port()};
        in_body.send(request.substr(0, 10'000));
        leave(in_body, way.how);

        expect_logged(target(way.name), 400, "client_gone");
    }
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(ClientGone, WhileHeldIsForgotten) {
    start({.location_extra = "runledger_timeout 60s;"});
    hold_events();
    std::vector<std::string> given_up;
    for (const Leaving& way : ways) {
        SCOPED_TRACE(way.name);
        given_up.push_back(fresh_event());
        RawConnection client{nginx().port()};
        client.send(RawRequest{.target = target(way.name), .body = given_up.back()}.text());
        wait_until_held(1);

        leave(client, way.how);

        // Half a close is a close to nginx, as it is where it proxies.
        expect_logged(target(way.name), 499, "client_gone");
        wait_until_held(0);
    }

    release();

    const std::string event = fresh_event();
    EXPECT_EQ(post(event).status, 200);
    expect_delivered_and_perhaps({event}, given_up);
}

TEST_F(ClientGone, RightAfterItsRequestIsStoredOrForgottenButNeverTwice) {
    start();
    std::vector<std::string> uncertain;
    for (int i = 0; i < 60; ++i) {
        uncertain.push_back(i % 3 == 0 ? fresh_event_of_bytes(100'000) : fresh_event());
        RawConnection client{nginx().port()};
        client.send(RawRequest{.target = target(std::to_string(i)), .body = uncertain.back()}.text());
        leave(client, ways[static_cast<std::size_t>(i) % 3].how);
    }
    const std::string event = fresh_event();

    EXPECT_EQ(post(event).status, 200);

    eventually("nginx is done with all of them", [this] { return active_connections() == 1; });
    expect_delivered_and_perhaps({event}, uncertain);
    eventually("all that was logged as accepted is delivered", [this] {
        const std::string log = nginx().access_log();
        std::size_t accepted = 0;
        for (std::size_t at = log.find("=accepted"); at != std::string::npos; at = log.find("=accepted", at + 1)) {
            ++accepted;
        }
        return daemon().delivered().size() >= accepted;
    });
}

TEST_F(ClientGone, WithoutReadingItsAnswersHarmsNothing) {
    start();
    std::vector<std::string> events{fresh_event(), fresh_event()};
    {
        RawConnection client{nginx().port()};
        client.send(RawRequest{.target = target("first"), .body = events[0]}.text());
        expect_logged(target("first"), 200, "accepted");
        client.send(RawRequest{.target = target("second"), .body = events[1]}.text());
        expect_logged(target("second"), 200, "accepted");
        client.reset();  // With two answers unread.
    }

    events.push_back(fresh_event());
    EXPECT_EQ(post(events.back()).status, 200);
    expect_delivered(events);
}

TEST_F(ClientGone, SilentInMidBodyIsGivenUpByNginx) {
    start({.server_extra = "location = /reset { runledger_webhook; runledger_token off; client_body_timeout 200ms; "
                           "reset_timedout_connection on; }",
           .location_extra = "client_body_timeout 200ms;"});
    for (const std::string_view silent_at : {endpoint, std::string_view{"/reset"}}) {
        SCOPED_TRACE(silent_at);
        const std::string text = RawRequest{.target = std::string{silent_at}, .body = fresh_event()}.text();
        RawConnection client{nginx().port()};
        client.send(text.substr(0, text.size() - 10));

        EXPECT_EQ(client.read_to_end(), "");
        expect_logged(silent_at, 408, "client_gone");
    }
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(ClientGone, BeforeItIsAskedForItsBodyIsNoFailureOfOurs) {
    start();
    const pid_t worker = nginx().worker_pids().front();
    RawConnection client{nginx().port()};
    // The reset is there before nginx sends its "100 Continue".
    ASSERT_EQ(::kill(worker, SIGSTOP), 0);
    client.send(RawRequest{.target = target("expecting"),
                           .headers = "Content-Length: 100\r\nExpect: 100-continue\r\n",
                           .says_length = false}
                    .text());
    client.reset();
    ASSERT_EQ(::kill(worker, SIGCONT), 0);

    expect_logged(target("expecting"), 500, "client_gone");
}

TEST_F(ClientGone, SlowButSteadyIsWaitedFor) {
    start({.location_extra = "client_body_timeout 2s;"});
    const std::string event = fresh_event();
    const std::string text = RawRequest{.headers = "Connection: close\r\n", .body = event}.text();
    RawConnection client{nginx().port()};

    for (const char byte : text) {
        client.send({&byte, 1});
    }

    EXPECT_EQ(split_answers(client.read_to_end()).at(0).status, 200);
    expect_delivered({event});
}

}  // namespace
}  // namespace runledger::test
