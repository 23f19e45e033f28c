// The page, the health and the tool's status on the real daemon with a real PostgreSQL.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include "tests/integration/page/page_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Page : public PagePipeline {
protected:
    // One that succeeded, with its message, through all parts.
    void settle_a_run(const std::string& run_id) {
        insert_generation(run_id);
        EXPECT_EQ(post(fmt::format(R"({{"run_id": "{}", "status": "running"}})", run_id)), 200);
        EXPECT_EQ(
            post(fmt::format(
                R"({{"run_id": "{}", "status": "success", "outputs": [{{"id": "o", "type": "image", "data": {{"images": [{{"url": "https://cdn.example.com/cat.png?X-Amz-Signature=5ec2e7"}}]}}}}]}})",
                run_id)),
            200);
        eventually("the message is sent", [&] {
            return value("SELECT count(*) FROM runledger.notifications WHERE run_id = '" + run_id +
                         "' AND state = 'sent'") == "1";
        });
    }
};

TEST_F(Page, IsBehindItsToken) {
    start_all();

    for (const std::string path : {"/", "/search?q=x"}) {
        const HttpAnswer answer = knock(path);
        EXPECT_EQ(answer.status, 303) << path;
        EXPECT_THAT(answer.headers, HasSubstr("Location: /login\r\n")) << path;
        EXPECT_EQ(answer.body, "") << path;
    }
    for (const std::string path : {"/numbers", "/overview.json"}) {
        EXPECT_EQ(knock(path).status, 401) << path;
    }
    EXPECT_EQ(knock("/?token=a-token-for-the-page").status, 303);  // Never from a URL.
    EXPECT_EQ(open("/").status, 200);
    EXPECT_EQ(knock("/login").status, 200);
    EXPECT_EQ(knock("/metrics").status, 200);
    EXPECT_THAT(daemon().log_text(), Not(HasSubstr(token)));
}

TEST_F(Page, IsOpenedByTheFormWithACookie) {
    start_all();
    const auto log_in = [&](std::string_view form) {
        return http_call({.url = base() + "/login",
                          .body = std::string(form),
                          .headers = {"Content-Type: application/x-www-form-urlencoded"}});
    };

    const HttpAnswer wrong = log_in("token=a-token-for-the-pagE");
    const HttpAnswer right = log_in("token=a-token-for-the-page");

    EXPECT_EQ(wrong.status, 401);
    EXPECT_THAT(wrong.body, HasSubstr("That is not the token."));
    EXPECT_THAT(wrong.headers, Not(HasSubstr("Set-Cookie")));
    EXPECT_EQ(right.status, 303);
    EXPECT_THAT(right.headers, AllOf(HasSubstr("; HttpOnly"), HasSubstr("; SameSite=Strict")));
    const std::size_t at = right.headers.find("Set-Cookie: ") + 12;
    const std::string cookie = right.headers.substr(at, right.headers.find(';', at) - at);
    EXPECT_EQ(knock("/", "GET", {"Cookie: " + cookie}).status, 200);
    EXPECT_EQ(knock("/", "GET", {"Cookie: " + cookie + "0"}).status, 303);
    EXPECT_THAT(knock("/metrics").body, HasSubstr("runledger_page_tokens_refused_total 1\n"));
    EXPECT_EQ(log_in(std::string(5000, 'x')).status, 413);
}

TEST_F(Page, HasStrictHeadersAndTakesNoOtherMethod) {
    start_all();

    for (const std::string path : {"/", "/login", "/search?q=x", "/page.css", "/page.js", "/icon.svg", "/numbers"}) {
        const HttpAnswer answer = open(path);
        EXPECT_EQ(answer.status, 200) << path;
        EXPECT_THAT(answer.headers, AllOf(HasSubstr("Content-Security-Policy: default-src 'none';"),
                                          HasSubstr("X-Content-Type-Options: nosniff"),
                                          HasSubstr("Cache-Control: no-store"), Not(HasSubstr("unsafe"))))
            << path;
        EXPECT_EQ(knock(path, "HEAD", {fmt::format("Authorization: Bearer {}", token)}).body, "") << path;
    }
    for (const std::string method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
        EXPECT_EQ(knock("/", method).status, 405) << method;
    }
    EXPECT_THAT(knock("/login", "DELETE").headers, HasSubstr("Allow: GET, HEAD, POST"));
    EXPECT_EQ(knock("/../etc/passwd").status, 404);
    EXPECT_NE(knock("/page.css/..").status, 200);
}

TEST_F(Page, ShowsARunFromItsRequestToItsMessageWithoutLinks) {
    start_all();
    settle_a_run("run-1");
    const std::string id = value("SELECT id FROM runledger.generations WHERE run_id = 'run-1'");

    for (const std::string& words : {std::string("run-1"), id, std::string("42"), std::string("%20run-1%20")}) {
        const std::string page = open("/search?q=" + words).body;
        std::size_t at = 0;
        for (const std::string_view step : {"requested", "received", "received", "settled", "message sent"}) {
            at = page.find(fmt::format("<b>{}</b>", step), at);
            ASSERT_NE(at, std::string::npos) << words << ": " << step << " is not there in its order: " << page;
            ++at;
        }
        EXPECT_THAT(page, AllOf(HasSubstr("0.000337 USD per second"), HasSubstr("to chat 42"), HasSubstr("boot")));
        EXPECT_THAT(page, Not(HasSubstr("X-Amz")));
        EXPECT_THAT(page, Not(HasSubstr("cdn.example.com")));
    }
    // As in an adopted table whose key is no number, and has a mark that would turn what follows it round.
    execute(
        "CREATE SEQUENCE runledger.generations_ledger_id_seq; UPDATE runledger.generations SET application_id = "
        "E'key/of&\\u202e1'");
    EXPECT_THAT(
        open("/search?q=key%2Fof%26%E2%80%AE1").body,
        AllOf(HasSubstr("<h1>run-1</h1>"), HasSubstr(fmt::format("<dd>key/of&amp; 1 ({} in the ledger)</dd>", id)),
              HasSubstr("message sent")));
    insert_generation("run-2");
    EXPECT_THAT(open("/search?q=42").body, AllOf(HasSubstr("2 generations"), HasSubstr("/search?q=run-2")));
    EXPECT_THAT(open("/search?q=nothing").body, HasSubstr("Nothing is known of <b>nothing</b>"));
    EXPECT_THAT(open("/search?q=%3Cscript%3E").body, HasSubstr("<b>&lt;script&gt;</b>"));
    EXPECT_THAT(open("/search?q=%00%1b").body, Not(HasSubstr("could be looked up")));
}

TEST_F(Page, CountsWebhooksAndNamesThoseThatAreDead) {
    start_all();
    execute(
        "INSERT INTO runledger.notifications (group_key, kind, for_status, channel, payload, webhook_id, webhook_host, "
        "state, last_error) VALUES "
        "('batch-7', 'group', '1', 'webhook', '{}', 'msg_1', '[webhooks] url', 'dead', 'HTTP 410'), "
        "('batch-7', 'group', '2', 'webhook', '{}', 'msg_2', '[webhooks] url', 'pending', NULL)");

    eventually("the page has read them", [&] { return open("/").body.find("group batch-7") != std::string::npos; });
    const std::string page = open("/").body;

    EXPECT_THAT(page, AllOf(HasSubstr("<dt>webhooks to post</dt><dd>1, oldest"),
                            HasSubstr("<dt>given up within a day</dt><dd>1</dd>"),
                            HasSubstr("webhook 1 about group batch-7 to [webhooks] url"),
                            HasSubstr("runledger outbox retry 1")));
    EXPECT_THAT(open("/overview.json").body,
                AllOf(HasSubstr(R"("webhooks_pending":1)"), HasSubstr(R"("webhooks_dead_of_day":1)")));
}

TEST_F(Page, ShowsHostileNamesAsText) {
    start_all();
    const std::string hostile = "<img src=x onerror=alert(1)>\\\" '";
    execute(
        "INSERT INTO runledger.generations (metadata) VALUES (jsonb_build_object('run_id', '<b>\"x', 'gpu', "
        "'<script>', 'telegramChatId', 7))");
    EXPECT_EQ(post(fmt::format(R"({{"run_id": "<b>\"x", "status": "running"}})")), 200);
    EXPECT_EQ(post(fmt::format(R"({{"run_id": "<b>\"x", "status": "failed", "error": "{}"}})", hostile)), 200);
    eventually("it is settled", [&] { return value("SELECT count(*) FROM runledger.settlements") == "1"; });

    eventually("the page lists it", [&] { return open("/").body.find("&lt;b&gt;&quot;x") != std::string::npos; });

    for (const std::string path : {"/", "/search?q=%3Cb%3E%22x"}) {
        const std::string page = open(path).body;
        EXPECT_THAT(page, Not(HasSubstr("<b>\"x")));
        EXPECT_THAT(page, Not(HasSubstr("<img src=x")));
        EXPECT_THAT(page, Not(HasSubstr("<script>")));
        EXPECT_THAT(page, HasSubstr("&lt;b&gt;"));
    }
}

TEST_F(Page, NamesTheCommandForEachTrouble) {
    start_all();
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, "
        "last_error) VALUES (1, 'r-1', 'ending', '', 42, '{}', 'dead', 'Forbidden: https://x.example/a?sig=k'), "
        "(2, 'r-2', 'ending', '', 43, '{}', 'uncertain', 'timeout');"
        "INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, content) "
        "VALUES ('event', 'refused: a reason', gen_random_uuid(), 1, 0, 'edge', 'x');"
        "INSERT INTO runledger.settle_queue (run_id, queued_at, attempts, due_at, last_error) "
        "VALUES ('r 3', now() - interval '5 minutes', 4, 'infinity', '23514: a constraint')");
    const std::string dead = value("SELECT id FROM runledger.notifications WHERE state = 'dead'");
    const std::string uncertain = value("SELECT id FROM runledger.notifications WHERE state = 'uncertain'");

    const std::string page = open("/").body;

    EXPECT_THAT(page, AllOf(HasSubstr(fmt::format("<code>runledger outbox retry {}</code>", dead)),
                            HasSubstr(fmt::format("<code>runledger outbox show {}</code>", uncertain)),
                            HasSubstr("<code>runledger quarantine show 1</code>"),
                            HasSubstr("<code>runledger explain &#39;r 3&#39;</code>"), HasSubstr("23514: a constraint"),
                            HasSubstr("1 run waits to be settled, the oldest for 5 min")));
    EXPECT_THAT(page, Not(HasSubstr("sig=k")));
}

TEST_F(Page, CostsOneReadForManyOpenPages) {
    start_all();
    const auto last_read = [&] {
        return value(
            "SELECT string_agg(application_name || query_start, ', ' ORDER BY application_name) "
            "FROM pg_stat_activity WHERE application_name LIKE 'runledgerd page%'");
    };
    EXPECT_EQ(open("/").status, 200);
    const auto opened_at = std::chrono::steady_clock::now();
    const std::string before = last_read();

    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(open("/numbers").status, 200);
    }
    const std::string after = last_read();

    EXPECT_EQ(value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd page%'"), "2");
    if (std::chrono::steady_clock::now() - opened_at < std::chrono::seconds{3}) {  // Later it may read again.
        EXPECT_EQ(after, before);
    }
}

TEST_F(Page, ShowsTheLastNumbersWhilePostgresIsAway) {
    start_all();
    settle_a_run("run-1");
    EXPECT_THAT(open("/").body, HasSubstr("Work is flowing"));
    postgres().stop(StopMode::immediate);

    eventually("the page says so", [&] {
        const std::string page = open("/").body;
        return page.find("PostgreSQL is away. The numbers are from") != std::string::npos &&
               page.find("From receipt to settled") != std::string::npos;
    });
    eventually("readiness says so", [&] { return knock("/readyz").body.find("degraded") == 0; });
    const HttpAnswer ready = knock("/readyz");
    EXPECT_EQ(ready.status, 200);  // Receipts go on.
    EXPECT_THAT(ready.body, AllOf(HasSubstr("postgresql: degraded: away for"), HasSubstr("telegram: ok")));
    EXPECT_EQ(knock("/healthz").body, "alive\n");

    postgres().start();

    eventually("all is well again", [&] {
        return knock("/readyz").body.starts_with("flowing") &&
               open("/").body.find("PostgreSQL is away") == std::string::npos;
    });
}

TEST_F(Page, SaysWhichGrantIsMissing) {
    daemon_extra = daemon_extra.substr(0, daemon_extra.find("uri = "));
    start_all();

    EXPECT_THAT(open("/").body, HasSubstr("GRANT runledger_reader TO"));

    execute(fmt::format("GRANT runledger_reader TO {}", Logins::daemon));

    eventually("it reads by the daemon's login",
               [&] { return open("/").body.find("Nothing. No message is dead") != std::string::npos; });
    execute(fmt::format("REVOKE runledger_reader FROM {}", Logins::daemon));
}

TEST_F(Page, IsOffUnlessConfigured) {
    daemon_extra = "";
    start_all();

    EXPECT_EQ(knock("/").status, 404);
    EXPECT_THAT(knock("/").body, HasSubstr("[page] token_file"));
    for (const std::string path : {"/login", "/numbers", "/overview.json", "/search", "/page.js"}) {
        EXPECT_EQ(knock(path).status, 404) << path;
    }
    eventually("the daemon is ready", [&] { return knock("/readyz").status == 200; });
}

TEST_F(Page, AnswersHealthAsTextAndAsJson) {
    start_all();
    eventually("the daemon is ready", [&] { return knock("/readyz").status == 200; });

    const HttpAnswer text = knock("/readyz");
    const HttpAnswer by_query = knock("/readyz?format=json");
    const HttpAnswer by_header = knock("/healthz", "GET", {"Accept: application/json"});

    EXPECT_THAT(text.body,
                StartsWith("flowing: Work is flowing\ndaemon: ok: all stages work\npostgresql: ok: answers\n"));
    for (const HttpAnswer* answer : {&by_query, &by_header}) {
        EXPECT_THAT(answer->headers, HasSubstr("Content-Type: application/json"));
        rapidjson::Document document;
        document.Parse(answer->body.c_str());
        ASSERT_FALSE(document.HasParseError()) << answer->body;
        EXPECT_STREQ(document["verdict"].GetString(), "flowing");
        EXPECT_EQ(document["components"].Size(), 4);
    }
}

TEST_F(Page, SaysThatTelegramRefusesItsToken) {
    bot().script({.answer = BotAnswer::unauthorized(), .calls = -1});
    start_all();
    insert_generation("run-1");
    EXPECT_EQ(post(R"({"run_id": "run-1", "status": "failed"})"), 200);

    eventually("readiness says so", [&] {
        return knock("/readyz").body.find("telegram: degraded: it refuses the bot's token") != std::string::npos;
    });
    EXPECT_EQ(knock("/readyz").status, 200);
}

TEST_F(Page, ShowsTheSpoolOfEachEdge) {
    daemon_extra += fmt::format("edges = [\"{}\", \"http://127.0.0.1:1/runledger_status\"]\n", status_url());
    start_all();
    EXPECT_EQ(post(R"({"run_id": "run-1", "status": "running"})"), 200);

    const std::string page = open("/").body;

    EXPECT_THAT(page,
                AllOf(HasSubstr("1 accepted, 0 refused"), HasSubstr("127.0.0.1:1</b> <span class=\"tag failed\">"),
                      HasSubstr("look whether its nginx runs")));
}

class Status : public Page {};

TEST_F(Status, PrintsTheNumbersOnATerminal) {
    start_all();
    settle_a_run("run-1");

    const Finished said = tool({"status"});

    EXPECT_EQ(said.status.code, 0) << said.output;
    EXPECT_THAT(said.output, AllOf(StartsWith("Work is flowing\n"), HasSubstr("daemon ok, postgresql ok, telegram ok"),
                                   HasSubstr("\nEvents "), HasSubstr("\nIn flight "), HasSubstr("receipt to settled"),
                                   HasSubstr("\nWaiting "), HasSubstr("\nThis month "), HasSubstr("1 generation,")));
}

TEST_F(Status, PrintsThemAsJson) {
    start_all();
    settle_a_run("run-1");

    const Finished said = tool({"status", "--json"});

    EXPECT_EQ(said.status.code, 0) << said.output;
    rapidjson::Document document;
    document.Parse(said.output.c_str());
    ASSERT_FALSE(document.HasParseError()) << said.output;
    EXPECT_STREQ(document["verdict"].GetString(), "flowing");
    EXPECT_EQ(document["live"]["settle_lag"]["runs"].GetInt(), 1);
    EXPECT_EQ(document["month"]["cost_usd"].GetString(),
              value("SELECT cost_usd FROM runledger.generations WHERE run_id = 'run-1'"));
    rapidjson::Document served;
    served.Parse(open("/overview.json").body.c_str());
    ASSERT_FALSE(served.HasParseError());
    EXPECT_EQ(served["month"], document["month"]);
}

TEST_F(Status, SaysWhatItDoesNotReach) {
    prepare_all();
    daemon().migrate();

    const Finished said = tool({"status"});

    EXPECT_EQ(said.status.code, 3);
    EXPECT_THAT(said.output, AllOf(StartsWith("The daemon was not reached\n"), HasSubstr("journalctl -u runledgerd")));
}

// A name that would move the cursor is shown, not obeyed.
TEST_F(Status, PrintsNoControlCharacters) {
    start_all();
    execute(
        "INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, content) "
        "VALUES ('event', E'\\x1b[2J\\u009b1mgone', gen_random_uuid(), 1, 0, 'edge', 'x')");

    const Finished said = tool({"status"});

    EXPECT_THAT(said.output, AllOf(HasSubstr("[2J"), Not(HasSubstr("\x1b")), Not(HasSubstr("\xC2\x9B"))));
}

}  // namespace
}  // namespace runledger::test
