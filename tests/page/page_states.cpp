// Brings everything into each state that the page has to show, and has tests/page/look.py open it in Chromium there.
//
// Started by tests/page/run.sh. The screenshots go to build/page.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "tests/integration/page/page_fixture.hpp"
#include "tests/oracle/generation_rows.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;

class PageStates : public PagePipeline {
protected:
    PageStates() {
        daemon_extra += fmt::format("edges = [\"{}\"]\n", status_url());
        prepare_all();
    }
    void start() {
        daemon().start();
        nginx().start();
    }
    // A month of ended generations on three GPUs, some failed, some without a known cost.
    void insert_history() const {
        execute(R"(
            WITH made AS (
                INSERT INTO runledger.generations (metadata, request_timestamp, response_timestamp, status,
                                                   status_reason, duration_ms, cost_usd, cost_note)
                SELECT jsonb_build_object('telegramChatId', 4200 + n % 7), at - interval '20 s', at,
                       CASE WHEN n % 23 = 0 THEN 'failed' ELSE 'completed' END,
                       CASE WHEN n % 23 = 0 THEN 'CUDA out of memory while sampling at step 14 of 30' END,
                       8000 + n % 9000,
                       CASE WHEN n % 23 <> 0 AND n % 57 <> 0
                            THEN round((0.000337 + 0.0005 * (n % 3)) * (8 + (n % 9000) / 1000.0) * (1 + n % 10 / 10.0), 12) END,
                       CASE WHEN n % 23 = 0 THEN 'not_charged' WHEN n % 57 = 0 THEN 'gpu_rate_missing' END
                FROM (SELECT n, date_trunc('month', now())
                                + (now() - interval '2 hours' - date_trunc('month', now())) * sqrt(n / 6000.0) AS at
                      FROM generate_series(1, 5990) AS n
                      WHERE extract(dow FROM date_trunc('month', now())
                                             + (now() - interval '2 hours' - date_trunc('month', now())) * sqrt(n / 6000.0)) NOT IN (0)
                         OR n % 3 = 0) AS day
                RETURNING id, status, response_timestamp, duration_ms, cost_usd, cost_note)
            INSERT INTO runledger.settlements (generation_id, run_id, settled_at, outcome, why, status, finished_at,
                                               duration_us, duration_clock, cost_usd, cost_note, output_count, before,
                                               gpu)
            SELECT id, 'history-' || id, response_timestamp, 'settled', 'the run ended', status, response_timestamp,
                   duration_ms * 1000, 'boottime', cost_usd, cost_note, 1, '{}',
                   (ARRAY['A100', 'A10G', 'H100', 'A10G'])[1 + id % 4]
            FROM made)");
    }
    // tests/page/look.py.
    void look(const std::string& name, const std::string& views, const std::vector<std::string>& expected,
              const std::string& path = "/") const {
        const auto file = folder().write_secret("look-token", std::string(token));
        std::vector<std::string> argv{
            "python3",      RUNLEDGER_SOURCE_DIR "/tests/page/look.py",
            "--url",        base(),
            "--path",       path,
            "--out",        (std::filesystem::path(RUNLEDGER_SOURCE_DIR) / "build/page").string(),
            "--name",       name,
            "--views",      views,
            "--token-file", file.string()};
        for (const std::string& text : expected) {
            argv.insert(argv.end(), {"--expect", text});
        }
        const Finished looked =
            run_to_end({.argv = std::move(argv), .drop_privileges = false}, folder(), std::chrono::minutes{3});
        EXPECT_TRUE(looked.status.clean()) << looked.output;
    }
};

TEST_F(PageStates, New) {
    start();
    look("new", "wide", {"Work is flowing", "Nothing has ended this month."});
}

TEST_F(PageStates, Idle) {
    start();
    insert_history();
    look("idle", "wide,wide-dark,phone,no-js", {"Work is flowing", "Nothing was settled within an hour.", "H100"});
}

TEST_F(PageStates, Busy) {
    start();
    insert_history();
    const std::vector<RunPlan> runs =
        make_runs({.seed = 7, .runs = 900, .arrival_span = seconds{100}, .run_span = seconds{15}});
    std::atomic<bool> is_enough{false};
    std::jthread sending([&] { (void)send(runs, 64, {}, [&] { return is_enough.load(); }); });
    std::this_thread::sleep_for(seconds{75});  // Until there are rates to see.

    look("busy", "wide,wide-dark,phone-dark", {"Work is flowing", "running"});

    const std::string run = value(
        "SELECT run_id FROM runledger.settlements WHERE outcome = 'settled' AND run_id NOT "
        "LIKE 'history-%' AND cost_usd IS NOT NULL AND EXISTS (SELECT FROM runledger.notifications AS n "
        "WHERE n.run_id = settlements.run_id AND n.state = 'sent') ORDER BY id DESC LIMIT 1");
    look("story", "wide,phone", {"requested", "settled", "How the cost came about"}, "/search?q=" + run);
    look("list", "wide,phone", {"generations"}, "/search?q=4203");
    is_enough = true;
}

TEST_F(PageStates, Trouble) {
    bot().script({.answer = BotAnswer::unauthorized(), .calls = -1});
    start();
    insert_history();
    for (int i = 0; i < 4; ++i) {
        const std::string run = fmt::format("7d1f0c52-9f0e-4c1b-8a53-0d2f9f6b3e2{}", i);
        insert_generation(run);
        EXPECT_EQ(post(fmt::format(R"({{"run_id": "{}", "status": "running"}})", run)), 200);
        EXPECT_EQ(post(fmt::format(R"({{"run_id": "{}", "status": "{}"}})", run, i == 0 ? "queued" : "failed")), 200);
    }
    execute(R"(
        INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, attempts,
                                             last_error, created_at)
        VALUES (1, '3f1c9a', 'ending', '', 4201, '{}', 'dead', 1, 'Forbidden: bot was blocked by the user', now()),
               (2, '3f1c9b', 'ending', '', -1002417700, '{}', 'dead', 12, 'Bad Request: chat not found',
                now() - interval '3 hours'),
               (3, '3f1c9c', 'ending', '', 4205, '{}', 'uncertain', 2, 'the connection was lost after the request',
                now() - interval '5 hours');
        INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, content, run_id)
        VALUES ('event', 'refused: P0001 the application''s trigger says: no such workflow', gen_random_uuid(), 1, 0,
                'edge-1', 'x', 'a94f00');
        INSERT INTO runledger.settle_queue (run_id, queued_at, attempts, due_at, last_error)
        VALUES ('c0ffee-12', now() - interval '41 minutes', 9, 'infinity',
                '23514: new row for relation "generations" violates check constraint "budget_is_kept"'))");
    eventually("Telegram refuses the token",
               [&] { return knock("/readyz").body.find("refuses the bot's token") != std::string::npos; });

    look("trouble", "wide,wide-dark,phone,phone-dark",
         {"a part of the work waits", "runledger outbox retry", "budget_is_kept", "refuses the bot"});

    postgres().stop(StopMode::immediate);
    eventually("PostgreSQL is away", [&] {
        return knock("/readyz").body.find("postgresql: degraded") != std::string::npos &&
               open("/").body.find("The numbers are from") != std::string::npos;
    });
    look("away", "wide", {"PostgreSQL is away", "The numbers are from"});
}

}  // namespace
}  // namespace runledger::test
