// What the sender is told: every status code, and the document that says why.
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/wire.hpp"
#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"

namespace runledger::test {
namespace {

class Answers : public EdgeFixture {
protected:
    static constexpr std::string_view token = "a-token-that-nobody-guesses";

    // A server whose webhook's URL carries a token.
    void start_nginx_with_token() {
        static_cast<void>(folder().write_secret("tokens", "# who may post\r\nstudio\t" + std::string{token} +
                                                              "\r\n\n  next another-token-of-decent-length"));
        start_nginx({.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;"});
    }

    [[nodiscard]] HttpAnswer call(HttpRequest request) {
        if (request.url.empty()) {
            request.url = nginx().url();
        }
        return http_call(request);
    }

    static void expect_problem(const HttpAnswer& answer, int status, std::string_view word) {
        EXPECT_EQ(answer.status, status) << answer.error << answer.body;
        EXPECT_NE(answer.headers.find("Content-Type: application/problem+json"), std::string::npos) << answer.headers;
        rapidjson::Document document;
        document.Parse(answer.body.data(), answer.body.size());
        ASSERT_TRUE(document.IsObject()) << answer.body;
        ASSERT_TRUE(document.HasMember("type") && document["type"].IsString()) << answer.body;
        EXPECT_EQ(document["type"].GetString(), "urn:runledger:problem:" + std::string{word});
        ASSERT_TRUE(document.HasMember("status") && document["status"].IsInt()) << answer.body;
        EXPECT_EQ(document["status"].GetInt(), status);
        EXPECT_TRUE(document.HasMember("title") && document["title"].IsString()) << answer.body;
        EXPECT_TRUE(document.HasMember("detail") && document["detail"].IsString()) << answer.body;
    }
};

TEST_F(Answers, AcceptsAnEventAndDeliversExactlyItsBytes) {
    start_daemon();
    start_nginx();
    const std::string event = "  " + fresh_event() + "\n";

    const HttpAnswer answer = post(event);

    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "{\"status\":\"accepted\"}\n");
    expect_delivered({event});
}

TEST_F(Answers, StampsAnEventBetweenItsPostAndItsAnswer) {
    const auto now = [] { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); };
    const auto boottime_now = [] {
        timespec time{};
        clock_gettime(CLOCK_BOOTTIME, &time);
        return BootTime{std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_nsec / 1000}};
    };
    start_daemon();
    start_nginx();
    const auto wall_before = now();
    const auto boot_before = boottime_now();

    ASSERT_EQ(post(fresh_event()).status, 200);

    const auto wall_after = now();
    const auto boot_after = boottime_now();
    eventually("the event is delivered", [this] { return daemon().delivered().size() == 1; });
    const DeliveredEvent event = daemon().delivered().front();
    EXPECT_LE(wall_before, event.stamp.received_at);
    EXPECT_LE(event.stamp.received_at, wall_after);
    EXPECT_LE(boot_before, event.stamp.boottime);
    EXPECT_LE(event.stamp.boottime, boot_after);
    EXPECT_FALSE(event.edge_name.empty());
    EXPECT_EQ(event.flags, 0U);
}

TEST_F(Answers, AcceptsAGetWithABodyAndFlagsItAsRedelivered) {
    start_daemon();
    start_nginx();
    const std::string event = fresh_event();

    const HttpAnswer answer = call({.method = "GET", .body = event});

    EXPECT_EQ(answer.status, 200);
    expect_delivered({event});
    EXPECT_EQ(daemon().delivered().front().flags, wire::redelivered);
    wait_for_access_log("outcome=redelivered");
}

struct Fault {
    std::string_view name;
    std::string body;
};

TEST_F(Answers, RefuseABodyThatHoldsNoEventAndSayWhy) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    const std::vector<Fault> faults{
        {"body_empty", ""},
        {"body_not_json", "{\"run_id\": \"r\", \"status\": \"running\""},
        {"body_not_utf8", "{\"run_id\": \"r\", \"status\": \"\xff\"}"},
        {"body_not_object", "[1]"},
        {"body_too_deep", "{\"run_id\": \"r\", \"status\": \"s\", \"outputs\": " + nested(json_depth_max) + "}"},
        {"run_id_missing", R"({"status": "running"})"},
        {"run_id_not_string", R"({"run_id": 7, "status": "running"})"},
        {"run_id_empty", R"({"run_id": "", "status": "running"})"},
        {"run_id_too_long", R"({"run_id": ")" + std::string(run_id_bytes_max + 1, 'r') + R"(", "status": "running"})"},
        {"status_missing", R"({"run_id": "r"})"},
        {"status_not_string", R"({"run_id": "r", "status": null})"},
    };
    start_daemon();
    start_nginx();

    for (const Fault& fault : faults) {
        SCOPED_TRACE(fault.name);
        expect_problem(post(fault.body), 400, fault.name);
    }

    wait_for_access_log("outcome=refused_json");
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Answers, LetInOnlyWhoKnowsTheToken) {
    start_daemon();
    start_nginx_with_token();
    const std::string event = fresh_event();

    const HttpAnswer without = post(event);
    expect_problem(without, 401, "token_refused");
    EXPECT_NE(without.headers.find("WWW-Authenticate: Bearer"), std::string::npos) << without.headers;
    expect_problem(post(event, "?token="), 401, "token_refused");
    expect_problem(post(event, "?token=" + std::string{token} + "x"), 401, "token_refused");
    expect_problem(post(event, "?token=" + std::string{token.substr(1)}), 401, "token_refused");
    expect_problem(post(event, "?token=studio"), 401, "token_refused");
    EXPECT_EQ(post(event, "?token=" + std::string{token}).status, 200);
    const std::string other = fresh_event();
    EXPECT_EQ(post(other, "?token=another-token-of-decent-length").status, 200);

    expect_delivered({event, other});
    wait_for_access_log("outcome=refused_token");
}

TEST_F(Answers, KnowATokenThatTheUrlEscapes) {
    start_daemon();
    start_nginx_with_token();
    const std::string event = fresh_event();

    EXPECT_EQ(post(event, "?token=%61-token%2Dthat-nobody-guesses").status, 200);

    expect_delivered({event});
}

TEST_F(Answers, NeverWriteTheTokenIntoTheErrorLog) {
    start_daemon();
    start_nginx_with_token();
    const std::string query = "?token=" + std::string{token};

    static_cast<void>(post("not an event", query));
    wait_for_error_log("refused with 400");
    static_cast<void>(post(fresh_event(), "?token=wrong-but-secret-too"));
    wait_for_error_log("refused with 401");

    EXPECT_EQ(nginx().error_log().find(token), std::string::npos);
    EXPECT_EQ(nginx().error_log().find("wrong-but-secret-too"), std::string::npos);
}

TEST_F(Answers, RefuseOtherMethodsAndSayWhichAreAllowed) {
    start_daemon();
    start_nginx();
    for (const std::string method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"}) {
        SCOPED_TRACE(method);

        const HttpAnswer answer = call({.method = method});

        EXPECT_EQ(answer.status, 405);
        EXPECT_NE(answer.headers.find("Allow: POST, GET"), std::string::npos) << answer.headers;
        if (method != "HEAD") {
            expect_problem(answer, 405, "method_not_allowed");
        }
    }
    expect_problem(call({.method = "PUT", .body = fresh_event()}), 405, "method_not_allowed");
    wait_for_access_log("outcome=refused_method");
}

TEST_F(Answers, TakeJsonWithParametersOrNoContentTypeAndRefuseOthers) {
    start_daemon();
    start_nginx();
    std::vector<std::string> accepted;
    for (const std::string header :
         {"Content-Type: application/json; charset=utf-8", "Content-Type: Application/JSON ;x=y", "Content-Type:"}) {
        SCOPED_TRACE(header);
        accepted.push_back(fresh_event());
        EXPECT_EQ(call({.body = accepted.back(), .headers = {header}}).status, 200);
    }
    for (const std::string header : {"Content-Type: text/plain", "Content-Type: application/jsonl",
                                     "Content-Type: application/x-www-form-urlencoded"}) {
        SCOPED_TRACE(header);
        expect_problem(call({.body = fresh_event(), .headers = {header}}), 415, "content_type_not_json");
    }
    const std::string json = "Content-Type: application/json";
    accepted.push_back(fresh_event());
    EXPECT_EQ(call({.body = accepted.back(), .headers = {json, "Content-Encoding: Identity"}}).status, 200);
    for (const std::string header : {"Content-Encoding: gzip", "content-encoding: br"}) {
        SCOPED_TRACE(header);
        expect_problem(call({.body = fresh_event(), .headers = {json, header}}), 415, "content_encoding_refused");
    }
    expect_problem(call({.body = "\x1F\x8B\x08 compressed", .headers = {json}}), 400, "body_compressed");

    expect_delivered(accepted);
    wait_for_access_log("outcome=refused_type");
}

TEST_F(Answers, RefuseABodyOverTheBoundByItsLengthAlone) {
    start_daemon();
    start_nginx({.location_extra = "client_max_body_size 64m;"});
    RawConnection connection{nginx().port()};

    connection.send("POST " + std::string{endpoint} +
                    " HTTP/1.1\r\nHost: edge\r\nContent-Length: " + std::to_string(body_bytes_max + 1) + "\r\n\r\n");

    EXPECT_NE(connection.read_until("body_too_large").find("HTTP/1.1 413"), std::string::npos);
    connection.close();
    wait_for_access_log("outcome=refused_size");
}

TEST_F(Answers, RefuseAChunkedBodyOverTheBound) {
    start_daemon();
    start_nginx({.location_extra = "client_max_body_size 64m; client_body_buffer_size 16m;"});

    const HttpAnswer answer = call({.body = fresh_event_of_bytes(body_bytes_max + 1),
                                    .headers = {"Content-Type: application/json", "Transfer-Encoding: chunked"}});

    expect_problem(answer, 413, "body_too_large");
}

TEST_F(Answers, AcceptABodyOfTheLargestSize) {
    start_daemon();
    start_nginx();
    std::string event = fresh_event_of_bytes(body_bytes_max - 1000);
    event.append(body_bytes_max - event.size(), ' ');

    EXPECT_EQ(post(event).status, 200);

    expect_delivered({event});
}

TEST_F(Answers, CountABodyThatNginxItselfFindsTooLarge) {
    start_daemon();
    start_nginx({.location_extra = "client_max_body_size 1k;"});

    EXPECT_EQ(post(fresh_event_of_bytes(4096)).status, 413);

    wait_for_access_log("outcome=refused_size");
}

TEST_F(Answers, LeaveTheAnswerToTheOperatorsErrorPage) {
    start_daemon();
    start_nginx({.server_extra = "location = /oops { default_type text/plain; return 200 ours; }",
                 .location_extra = "error_page 400 /oops;"});

    const HttpAnswer answer = post("not an event");
    const HttpAnswer other = call({.method = "DELETE"});

    EXPECT_EQ(answer.body, "ours");
    expect_problem(other, 405, "method_not_allowed");
    wait_for_access_log("outcome=refused_json");
}

TEST_F(Answers, KeepTheConnectionForTheNextEvent) {
    start_daemon();
    start_nginx();
    const std::string first = fresh_event();
    const std::string second = fresh_event();
    RawConnection connection{nginx().port()};

    connection.send(raw_post(first) + raw_post("not an event") + raw_post(second, "Connection: close\r\n"));

    const std::string answers = connection.read_to_end();
    EXPECT_NE(answers.find("HTTP/1.1 200"), answers.rfind("HTTP/1.1 200")) << answers;
    EXPECT_NE(answers.find("HTTP/1.1 400"), std::string::npos) << answers;
    expect_delivered({first, second});
}

TEST_F(Answers, SurviveHttp09) {
    start_daemon();
    start_nginx();
    RawConnection connection{nginx().port()};

    connection.send("GET " + std::string{endpoint} + "\r\n");

    EXPECT_NE(connection.read_to_end().find("method_not_allowed"), std::string::npos);
}

}  // namespace
}  // namespace runledger::test
