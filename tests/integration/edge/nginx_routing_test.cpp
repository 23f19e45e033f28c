// How a request comes to the webhook, and where it goes from there: nginx's own ways of sending it around. Exactly what
// was stored is delivered, whichever way it came.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/integration/edge/http_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class NginxRouting : public HttpFixture {
protected:
    static constexpr std::string_view open_webhook = "runledger_webhook; runledger_token off;";
    static constexpr std::string_view token = "a-token-that-nobody-guesses";

    void start_with(std::string_view locations, std::string_view http = {}) {
        folder().write_secret("tokens", fmt::format("studio {}\n", token));
        folder().write_file("sorry.html", "the operator's page");
        start({.http_extra = std::string{http},
               .server_extra = "location = /sorry.html { root @TEST_FOLDER@; } location @open { runledger_webhook; "
                               "runledger_token off; } " +
                               std::string{locations}});
    }

    [[nodiscard]] static std::string webhook_at(std::string_view location, std::string_view directives) {
        return fmt::format("location {} {{ {} {} }} ", location, open_webhook, directives);
    }

    [[nodiscard]] HttpAnswer post_to(std::string_view target, std::string_view body) {
        return http_post(nginx().url(target), body);
    }

    [[nodiscard]] HttpAnswer get_with_body(std::string_view target, std::string body) {
        return http_call({.url = nginx().url(target), .method = "GET", .body = std::move(body)});
    }

    void expect_counted(std::string_view outcome, int count) {
        const std::string sample = fmt::format("requests_total{{outcome=\"{}\"}} {}\n", outcome, count);
        const std::string status = http_get(nginx().url("/runledger_status")).body;
        EXPECT_NE(status.find(sample), std::string::npos) << sample << status;
    }
};

struct ErrorPage {
    std::string_view name;
    std::string_view directives;
    int status;
    std::string_view says;
    std::string_view header{};
};

TEST_F(NginxRouting, AnswersARefusalWithTheOperatorsErrorPage) {
    const std::vector<ErrorPage> cases{
        {"static_page", "error_page 400 /sorry.html;", 400, "the operator's page", "Content-Type: text/html"},
        {"named_location", "error_page 400 @sorry;", 400, "from a named location"},
        {"other_status", "error_page 400 =422 @sorry;", 422, "from a named location"},
        {"named_locations_status", "error_page 400 = @sorry;", 503, "from a named location"},
        {"success_by_the_operators_word", "error_page 400 =200 /sorry.html;", 200, "the operator's page"},
        {"another_site", "error_page 400 http://elsewhere/;", 302, "302 Found", "Location: http://elsewhere/"},
        {"page_that_is_not_there", "error_page 400 /none;", 404, "404 Not Found"},
        {"another_webhook", "error_page 400 = @open;", 400, "body_not_json"},
        {"recursive", "recursive_error_pages on; error_page 400 = /again;", 400, "the operator's page"},
    };
    std::string locations = "location @sorry { return 503 'from a named location'; }" +
                            webhook_at("= /again", "recursive_error_pages on; error_page 400 /sorry.html;");
    for (const ErrorPage& page : cases) {
        locations += webhook_at(fmt::format("= /{}", page.name), page.directives);
    }
    start_with(locations);
    std::vector<std::string> events;

    for (const ErrorPage& page : cases) {
        SCOPED_TRACE(page.name);
        const std::string target = fmt::format("/{}", page.name);
        const HttpAnswer refused = post_to(target, "not an event");
        EXPECT_EQ(refused.status, page.status);
        EXPECT_NE(refused.body.find(page.says), std::string::npos) << refused.body;
        EXPECT_NE(refused.headers.find(page.header), std::string::npos) << refused.headers;
        events.push_back(fresh_event());
        EXPECT_EQ(post_to(target, events.back()).status, 200);

        expect_logged(target, page.status, "refused_json");
        expect_logged(target, 200, "accepted");
    }
    expect_delivered(events);
}

TEST_F(NginxRouting, TriesAnotherWebhookLocationWhereTheFirstRefusesTheToken) {
    start_with(
        "location = /first { runledger_webhook; runledger_token $arg_token file=@TEST_FOLDER@/tokens; "
        "error_page 401 = @open; }");
    const std::string small = fresh_event();
    const std::string large = fresh_event_of_bytes(200'000);

    EXPECT_EQ(post_to("/first?token=wrong", small).status, 200);
    EXPECT_EQ(post_to("/first", large).status, 200);

    expect_logged("/first", 200, "accepted");
    expect_counted("accepted", 2);
    expect_delivered({small, large});
}

TEST_F(NginxRouting, StoresWhatNginxSendsThereByItself) {
    start_with(
        "location = /rewritten { rewrite ^ /api/webhook/comfydeploy last; }"
        "location /tried/ { try_files /none @open; }"
        "location = /static { alias @TEST_FOLDER@/sorry.html; error_page 405 = @open; }"
        "location = /behind_a_dead_upstream { proxy_pass http://127.0.0.1:1; error_page 502 = @open; }"
        "location = /accelerated { proxy_pass http://127.0.0.1:@PORT@/app; }"
        "location = /app { add_header X-Accel-Redirect @open; return 204; }"
        "location = /reached { rewrite ^ /inner last; }" +
        webhook_at("= /inner", "internal;") + webhook_at("~ ^/regex/(\\w+)$", "") + "location /outer/ { " +
        webhook_at("/outer/nested", "") + "}" + webhook_at("^~ /prefix/", ""));
    std::vector<std::string> events;
    for (const std::string_view target : {"/rewritten", "/tried/this", "/static", "/behind_a_dead_upstream",
                                          "/accelerated", "/reached", "/regex/word", "/outer/nested", "/prefix/any"}) {
        SCOPED_TRACE(target);
        for (const std::size_t bytes : {0UL, 100'000UL}) {
            events.push_back(fresh_event_of_bytes(bytes));
            const HttpAnswer answer = post_to(target, events.back());
            EXPECT_EQ(answer.status, 200) << answer.body;
        }
        expect_logged(target, 200, "accepted");
    }

    expect_page_of_nginx(post_to("/inner", fresh_event()), 404);
    expect_logged("/inner", 404, "refused_by_nginx");
    expect_delivered(events);
}

TEST_F(NginxRouting, RefusesWhatIsLeftOfABodyThatWasPassedOnUnbuffered) {
    start_with(
        "location = /streamed { proxy_pass http://127.0.0.1:1; proxy_request_buffering off; "
        "proxy_http_version 1.1; client_body_buffer_size 1k; error_page 502 = @open; }");
    const std::string event = fresh_event();
    // All that is an event comes in the first piece; the blanks behind it may never have been read.
    const std::string with_blanks = event + std::string(100'000, ' ');

    EXPECT_EQ(post_to("/streamed?whole", event).status, 200);
    expect_problem(post_to("/streamed?cut", with_blanks), 503, "body_unreadable");

    expect_logged("/streamed?whole", 200, "accepted");
    expect_logged("/streamed?cut", 503, "body_unreadable");
    expect_delivered({event});
}

TEST_F(NginxRouting, StoresNothingWhereTheOperatorsRewriteAnswersFirst) {
    start_with(webhook_at("= /answered", "return 204;") + webhook_at("= /denied", "if ($arg_no) { return 403; }"));
    const std::string event = fresh_event();

    EXPECT_EQ(post_to("/answered", fresh_event()).status, 204);
    expect_page_of_nginx(post_to("/denied?no=1", fresh_event()), 403);
    EXPECT_EQ(post_to("/denied", event).status, 200);

    expect_logged("/answered", 204, "refused_by_nginx");
    expect_logged("/denied?no=1", 403, "refused_by_nginx");
    expect_delivered({event});
}

TEST_F(NginxRouting, IsTheHandlerInsideAnIfBlockToo) {
    start_with(
        "location = /asks { runledger_webhook; runledger_token $arg_token file=@TEST_FOLDER@/tokens; "
        "if ($arg_mark) { add_header X-Mark $arg_mark always; } }" +
        webhook_at("= /closed", "deny all; if ($arg_mark) { add_header X-Mark $arg_mark always; }"));
    const std::string event = fresh_event();

    const HttpAnswer accepted = post_to(fmt::format("/asks?mark=1&token={}", token), event);
    const HttpAnswer refused = post_to("/asks?mark=2", fresh_event());
    const HttpAnswer closed = post_to("/closed?mark=3", fresh_event());

    EXPECT_EQ(accepted.status, 200);
    EXPECT_TRUE(has_header(accepted, "X-Mark: 1")) << accepted.headers;
    expect_problem(refused, 401, "token_refused");
    EXPECT_TRUE(has_header(refused, "X-Mark: 2")) << refused.headers;
    expect_page_of_nginx(closed, 403);
    expect_logged("/closed?mark=3", 403, "refused_by_nginx");
    expect_delivered({event});
}

TEST_F(NginxRouting, IsTheHandlerForTheMethodsThatLimitExceptLimits) {
    start_with(webhook_at("= /limited", "limit_except POST { allow 127.0.0.1; deny all; }") +
               webhook_at("= /closed", "limit_except POST { deny all; }"));
    const std::vector<std::string> events{fresh_event(), fresh_event(), fresh_event()};

    EXPECT_EQ(post_to("/limited", events[0]).status, 200);
    EXPECT_EQ(get_with_body("/limited?try=2", events[1]).status, 200);
    EXPECT_EQ(post_to("/closed", events[2]).status, 200);
    expect_page_of_nginx(get_with_body("/closed?try=2", fresh_event()), 403);

    expect_logged("/limited?try=2", 200, "redelivered");
    expect_logged("/closed?try=2", 403, "refused_by_nginx");
    expect_delivered(events);
}

TEST_F(NginxRouting, StoresMirroredCopiesAndLogsEachRequestAsItsOwn) {
    start_with(
        "location = /app { log_subrequest on; mirror /copy; proxy_pass http://127.0.0.1:@PORT@/behind; }"
        "location = /behind { return 204; }" +
        webhook_at("= /copy", "internal; log_subrequest on;") + webhook_at("= /copied", "mirror /elsewhere;") +
        "location = /elsewhere { internal; log_subrequest on; proxy_pass "
        "http://127.0.0.1:@PORT@/behind?copied; }");
    const std::string mirrored = fresh_event();
    const std::string copied = fresh_event();

    EXPECT_EQ(post_to("/app", mirrored).status, 204);
    EXPECT_EQ(post_to("/copied", copied).status, 200);

    expect_delivered({mirrored, copied});
    expect_logged("/app", 204, "-");
    expect_logged("/app", 200, "accepted");  // The copy: nginx logs it under its parent's line.
    expect_logged("/copied", 200, "accepted");
    expect_logged("/copied", 204, "-");
    expect_counted("accepted", 2);
}

TEST_F(NginxRouting, StoresNothingForASubrequestThatHasNoBodyOfItsOwn) {
    start_with(
        "location = /asks_the_webhook { auth_request /api/webhook/comfydeploy; runledger_webhook; "
        "runledger_token off; }"
        "location = /page { ssi on; ssi_types *; client_body_buffer_size 64k; proxy_pass "
        "http://127.0.0.1:@PORT@/template; }"
        "location = /template { return 200 "
        "'<!--# include virtual=\"/api/webhook/comfydeploy\" -->and the rest'; }");

    expect_page_of_nginx(post_to("/asks_the_webhook", fresh_event()), 500);
    const HttpAnswer page = post_to("/page", fresh_event());
    EXPECT_EQ(page.status, 200);
    EXPECT_NE(page.body.find("method_not_allowed"), std::string::npos) << page.body;
    EXPECT_NE(page.body.find("and the rest"), std::string::npos) << page.body;

    wait_for_error_log("auth request unexpected status: 405");
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(NginxRouting, RunsAPostActionAfterTheAnswer) {
    start_with(webhook_at("= /followed", "post_action @after;") +
               "location @after { rewrite ^ /after break; proxy_pass http://127.0.0.1:@PORT@; } location = /after { "
               "return 204; }"
               "location = /app { proxy_pass http://127.0.0.1:@PORT@/after; post_action @open; }");
    const std::string event = fresh_event();
    const std::string copy = fresh_event();

    EXPECT_EQ(post_to("/followed", event).status, 200);
    EXPECT_EQ(post_to("/app", copy).status, 204);

    expect_logged("/after", 204, "-");
    expect_logged("/followed", 204, "accepted");  // nginx logs once, at the end, with the last status.
    expect_logged("/app", 200, "accepted");
    expect_delivered({event, copy});
}

TEST_F(NginxRouting, LeavesAPostActionAloneThatFollowsAClientWhoLeftWhileHeld) {
    SilentServer upstream;
    start_with(webhook_at("= /followed", "runledger_timeout 60s; post_action @after;") +
               fmt::format("location @after {{ proxy_pass http://127.0.0.1:{}; }}", upstream.port()));
    hold_events();
    const std::string event = fresh_event();
    {
        RawConnection client{nginx().port()};
        client.send(RawRequest{.target = "/followed", .body = event}.text());
        wait_until_held(1);
    }
    upstream.wait_for_client();

    release();

    // The event was given up or stored; its fate must not be told to the request, which nginx now uses otherwise.
    const std::string next = fresh_event();
    EXPECT_EQ(post(next).status, 200);
    EXPECT_EQ(nginx().access_log().find("/followed"), std::string::npos) << "it still runs";
    upstream.hang_up();
    wait_for_access_log("/followed");
    eventually("the next event is delivered", [&] {
        const auto bodies = daemon().delivered_bodies();
        return std::ranges::count(bodies, next) == 1 && std::ranges::count(bodies, event) <= 1;
    });
}

}  // namespace
}  // namespace runledger::test
