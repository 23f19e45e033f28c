// HTTP/0.9, 1.0 and 1.1 as bytes on a connection: what is answered, and whether the connection can be used afterwards.
#include <gtest/gtest.h>

#include <algorithm>

#include "common/limits.hpp"
#include "tests/integration/edge/http_fixture.hpp"

namespace runledger::test {
namespace {

class Http1 : public HttpFixture {
protected:
    static constexpr std::string_view close = "Connection: close\r\n";
    static constexpr std::string_view keep_alive = "Connection: keep-alive\r\n";

    // The statuses of all that is answered on one connection, until the server closes it.
    [[nodiscard]] std::vector<long> statuses_of(std::string_view requests) {
        RawConnection connection{nginx().port()};
        connection.send(requests);
        std::vector<long> statuses;
        for (const HttpAnswer& answer : split_answers(connection.read_to_end())) {
            statuses.push_back(answer.status);
        }
        return statuses;
    }

    [[nodiscard]] static std::string target(std::string_view name) {
        return std::string{endpoint} + "?case=" + std::string{name};
    }
};

using Statuses = std::vector<long>;

TEST_F(Http1, AnswersHttp09WithTheDocumentAlone) {
    start();
    RawConnection connection{nginx().port()};

    connection.send("GET " + std::string{endpoint} + "\r\n");

    const std::string answer = connection.read_to_end();
    EXPECT_TRUE(answer.starts_with("{\"type\":\"urn:runledger:problem:method_not_allowed\"")) << answer;
    expect_logged(endpoint, 405, "refused_method");
}

TEST_F(Http1, ClosesAfterHttp10UnlessAskedToKeepTheConnection) {
    start();
    const std::vector<std::string> events{fresh_event(), fresh_event(), fresh_event()};

    const HttpAnswer closed = answer_to({.version = "HTTP/1.0", .body = events[0]});
    RawConnection connection{nginx().port()};
    connection.send(RawRequest{.version = "HTTP/1.0", .headers = std::string{keep_alive}, .body = events[1]}.text());
    const std::string kept = connection.read_until("accepted");
    connection.send(RawRequest{.version = "HTTP/1.0", .body = events[2]}.text());
    const auto both = split_answers(connection.read_to_end());

    EXPECT_EQ(closed.status, 200);
    EXPECT_TRUE(has_header(closed, "Connection: close")) << closed.headers;
    EXPECT_NE(kept.find("Connection: keep-alive\r\n"), std::string::npos) << kept;
    ASSERT_EQ(both.size(), 2U);
    EXPECT_EQ(both[1].status, 200);
    expect_delivered(events);
}

TEST_F(Http1, KeepsTheConnectionAfterEveryAnswerThatLeavesItInOrder) {
    start({.location_extra = "client_body_buffer_size 1k;"});
    const std::string first = fresh_event();
    const std::string last = fresh_event();
    const std::string unread(3'000, 'x');  // More than nginx reads together with the header.

    EXPECT_EQ(statuses_of(RawRequest{.body = first}.text() +                             //
                          RawRequest{.method = "PUT", .body = unread}.text() +           //
                          RawRequest{.method = "DELETE", .says_length = false}.text() +  //
                          RawRequest{.body = "not an event"}.text() +                    //
                          RawRequest{.body = std::string(70'000, '[')}.text() +          //
                          RawRequest{.method = "PATCH",
                                     .headers = "Transfer-Encoding: chunked\r\n",
                                     .body = in_chunks(unread, 1'000),
                                     .says_length = false}
                              .text() +
                          RawRequest{.headers = std::string{close}, .body = last}.text()),
              (Statuses{200, 405, 405, 400, 400, 405, 200}));

    expect_delivered({first, last});
}

TEST_F(Http1, TakesAnAbsoluteUriInTheRequestLine) {
    start();
    const std::string event = fresh_event();

    const HttpAnswer answer =
        answer_to({.target = "http://edge" + std::string{endpoint}, .headers = std::string{close}, .body = event});

    EXPECT_EQ(answer.status, 200);
    expect_delivered({event});
}

TEST_F(Http1, FindsTheLocationOfAUrlWithTwoSlashesOrEscapes) {
    start();
    const std::vector<std::string> events{fresh_event(), fresh_event()};

    EXPECT_EQ(http_post(nginx().url("//api//webhook/comfydeploy"), events[0]).status, 200);
    EXPECT_EQ(http_post(nginx().url("/api/webhook/x/%2e%2e/comfydeplo%79"), events[1]).status, 200);

    expect_delivered(events);
}

TEST_F(Http1, AnswersPipelinedRequestsInTheirOrderWithARefusedOneBetween) {
    start();
    const std::vector<std::string> events{fresh_event(), fresh_event()};

    EXPECT_EQ(statuses_of(RawRequest{.body = events[0]}.text() + RawRequest{.method = "PUT", .body = "1234"}.text() +
                          RawRequest{.headers = std::string{close}, .body = events[1]}.text()),
              (Statuses{200, 405, 200}));

    expect_delivered(events);
}

TEST_F(Http1, AnswersWhatIsPipelinedBehindAHeldRequest) {
    start({.location_extra = "runledger_timeout 60s;"});
    hold_events();
    const std::string held = fresh_event();
    const std::string last = fresh_event();
    RawConnection connection{nginx().port()};
    connection.send(RawRequest{.body = held}.text() + RawRequest{.body = "not an event"}.text());
    wait_until_held(1);
    connection.send(RawRequest{.headers = std::string{close}, .body = last}.text());

    release();

    const auto answers = split_answers(connection.read_to_end());
    ASSERT_EQ(answers.size(), 3U);
    EXPECT_EQ(answers[0].status, 200);
    EXPECT_EQ(answers[1].status, 400);
    EXPECT_EQ(answers[2].status, 200);
    expect_delivered({held, last});
}

TEST_F(Http1, ClosesAfterAsManyRequestsAsTheOperatorAllows) {
    start({.http_extra = "keepalive_requests 2;"});
    const std::vector<std::string> events{fresh_event(), fresh_event()};

    EXPECT_EQ(statuses_of(RawRequest{.body = events[0]}.text() + RawRequest{.body = events[1]}.text() +
                          RawRequest{.body = "never read"}.text()),
              (Statuses{200, 200}));

    expect_delivered(events);
}

struct Chunks {
    std::string_view name;
    std::string body;
};

TEST_F(Http1, TakesChunksWithExtensionsAndTrailers) {
    start();
    std::vector<std::string> events;
    for (const std::string_view trailers : {"", "X-Trailer: 1\r\nX-Other: 2\r\n"}) {
        for (const std::string_view extension : {"", ";name=value"}) {
            events.push_back(fresh_event());
            EXPECT_EQ(answer_to({.headers = std::string{close} + "Transfer-Encoding: chunked\r\n",
                                 .body = in_chunks(events.back(), 7, extension, trailers),
                                 .says_length = false})
                          .status,
                      200)
                << trailers << extension;
        }
    }

    expect_delivered(events);
}

TEST_F(Http1, TakesAGetInChunksAsASecondTry) {
    start();
    const std::string event = fresh_event();

    EXPECT_EQ(answer_to({.method = "GET",
                         .headers = std::string{close} + "Transfer-Encoding: chunked\r\n",
                         .body = in_chunks(event, 50),
                         .says_length = false})
                  .status,
              200);

    expect_logged(endpoint, 200, "redelivered");
    expect_delivered({event});
}

TEST_F(Http1, LeavesBrokenChunksToNginx) {
    const std::string event = fresh_event();
    const std::vector<Chunks> cases{
        {"size_not_hexadecimal", "xyz\r\n" + event + "\r\n0\r\n\r\n"},
        {"size_too_large_for_a_number", "ffffffffffffffffff\r\n" + event},
        {"no_end_of_chunk", "5\r\n{\"run_id\"" + event},
        {"negative_size", "-5\r\n" + event},
    };
    start();

    for (const Chunks& broken : cases) {
        SCOPED_TRACE(broken.name);
        const HttpAnswer answer = answer_to({.target = target(broken.name),
                                             .headers = "Transfer-Encoding: chunked\r\n",
                                             .body = broken.body,
                                             .says_length = false});

        expect_page_of_nginx(answer, 400);
        EXPECT_TRUE(has_header(answer, "Connection: close")) << answer.headers;
        expect_logged(target(broken.name), 400, "refused_by_nginx");
    }
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Http1, LeavesARequestOfTwoMeaningsToNginx) {
    start();
    const std::string chunks = in_chunks(fresh_event(), 50);

    // Both lengths, a coding that nobody knows, chunks in HTTP/1.0: each is how requests are smuggled.
    expect_page_of_nginx(answer_to({.headers = "Transfer-Encoding: chunked\r\n", .body = chunks}), 400);
    expect_page_of_nginx(
        answer_to({.headers = "Transfer-Encoding: gzip, chunked\r\n", .body = chunks, .says_length = false}), 501);
    expect_page_of_nginx(
        answer_to(
            {.version = "HTTP/1.0", .headers = "Transfer-Encoding: chunked\r\n", .body = chunks, .says_length = false}),
        400);
    expect_page_of_nginx(answer_to({.headers = "Content-Length: 4\r\n", .body = chunks}), 400);

    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Http1, RefusesWhatIsOverTheOperatorsBodySizeAsNginxDoes) {
    start({.location_extra = "client_max_body_size 1k;"});
    const std::string event = fresh_event_of_bytes(2'000);

    const HttpAnswer by_length = answer_to({.target = target("by_length"), .body = event});
    const HttpAnswer in_pieces = answer_to({.target = target("in_chunks"),
                                            .headers = "Transfer-Encoding: chunked\r\n",
                                            .body = in_chunks(event, 100),
                                            .says_length = false});

    for (const HttpAnswer* answer : {&by_length, &in_pieces}) {
        expect_page_of_nginx(*answer, 413);
        EXPECT_TRUE(has_header(*answer, "Connection: close")) << answer->headers;
    }
    expect_logged(target("by_length"), 413, "refused_size");
    expect_logged(target("in_chunks"), 413, "refused_size");
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Http1, LingersAfterABodyOverTheModulesOwnBound) {
    start({.location_extra = "client_max_body_size 64m;"});
    std::string event = fresh_event_of_bytes(body_bytes_max + 1);
    event.append(body_bytes_max + 1 - std::min(event.size(), body_bytes_max), ' ');

    // All of it is sent before the answer is looked at: without a lingering close it would be lost in a reset.
    const HttpAnswer answer = answer_to({.body = event});

    expect_problem(answer, 413, "body_too_large");
    EXPECT_TRUE(has_header(answer, "Connection: close")) << answer.headers;
    expect_logged(endpoint, 413, "refused_size");
}

TEST_F(Http1, LeavesHeadersOverTheOperatorsBuffersToNginx) {
    start({.http_extra = "client_header_buffer_size 1k; large_client_header_buffers 2 1k;"});

    expect_page_of_nginx(answer_to({.headers = "X-Long: " + std::string(2'000, 'x') + "\r\n"}), 400);
    expect_page_of_nginx(answer_to({.target = target(std::string(2'000, 'x'))}), 414);

    expect_logged(endpoint, 400, "-");
}

struct Method {
    std::string_view name;
    bool by_nginx{false};  // Before any location is looked for.
};

TEST_F(Http1, RefusesEveryOtherMethodWithAllow) {
    const std::vector<Method> methods{
        {"GET"},  {"HEAD"},     {"OPTIONS"},   {"PUT"},  {"DELETE"}, {"PATCH"}, {"MKCOL"},       {"COPY"},
        {"MOVE"}, {"PROPFIND"}, {"PROPPATCH"}, {"LOCK"}, {"UNLOCK"}, {"PURGE"}, {"TRACE", true}, {"CONNECT", true}};
    start();

    for (const Method& method : methods) {
        SCOPED_TRACE(method.name);
        RawConnection connection{nginx().port()};
        connection.send(
            RawRequest{.method = std::string{method.name}, .headers = std::string{close}, .says_length = false}.text());
        const std::string received = connection.read_to_end();
        if (method.name == "HEAD") {
            EXPECT_TRUE(received.starts_with("HTTP/1.1 405")) << received;
            EXPECT_NE(received.find("\r\nAllow: POST, GET\r\n"), std::string::npos) << received;
            EXPECT_TRUE(received.ends_with("\r\n\r\n")) << "a HEAD has no body: " << received;
            continue;
        }
        const HttpAnswer answer = split_answers(received).at(0);
        if (method.by_nginx) {
            // From nginx 1.30 on, a CONNECT must name a host and a port.
            expect_page_of_nginx(answer, method.name == "CONNECT" && answer.status == 400 ? 400 : 405);
        } else {
            expect_problem(answer, 405, "method_not_allowed");
            EXPECT_TRUE(has_header(answer, "Allow: POST, GET")) << answer.headers;
        }
    }
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Http1, AnswersAStoredEvent200WhateverConditionsTheRequestMakes) {
    start();
    std::vector<std::string> events;
    for (const std::string condition :
         {"If-None-Match: *", "If-Match: \"x\"", "If-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT",
          "If-Unmodified-Since: Mon, 23 Nov 2020 00:00:00 GMT", "Range: bytes=0-3"}) {
        SCOPED_TRACE(condition);
        events.push_back(fresh_event());

        const HttpAnswer answer =
            answer_to({.headers = std::string{close} + condition + "\r\n", .body = events.back()});

        EXPECT_EQ(answer.status, 200);
        EXPECT_EQ(answer.body, "{\"status\":\"accepted\"}\n");
    }

    expect_delivered(events);
}

TEST_F(Http1, AsksForABodyThatIsExpectedAndNotForOneThatIsRefused) {
    start();
    const std::string event = fresh_event();
    const std::string wanted =
        RawRequest{.headers = std::string{close} + "Expect: 100-continue\r\n", .body = event}.text();
    const std::string expected = "Expect: 100-continue\r\n";

    RawConnection accepted{nginx().port()};
    accepted.send(wanted.substr(0, wanted.size() - event.size()));
    EXPECT_EQ(split_answers(accepted.read_until("\r\n\r\n")).at(0).status, 100);
    accepted.send(event);
    EXPECT_EQ(split_answers(accepted.read_to_end()).at(1).status, 200);

    // A client that has heard the refusal may send the body all the same, and then its next request.
    RawConnection refused{nginx().port()};
    refused.send(
        RawRequest{.method = "PUT", .headers = expected + "Content-Length: 4\r\n", .says_length = false}.text());
    expect_problem(split_answers(refused.read_until("}\n")).at(0), 405, "method_not_allowed");
    refused.send("1234" + RawRequest{.method = "DELETE", .headers = std::string{close}, .says_length = false}.text());
    EXPECT_EQ(split_answers(refused.read_to_end()).size(), 2U);

    RawConnection too_large{nginx().port()};
    too_large.send(RawRequest{.headers = expected + "Content-Length: 9000000\r\n", .says_length = false}.text());
    expect_page_of_nginx(split_answers(too_large.read_until("</html>\r\n")).at(0), 413);
    expect_delivered({event});
}

}  // namespace
}  // namespace runledger::test
