// `runledger migrate --adopt` on a table as an application makes it for itself: a key, words and a cost of its own.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

constexpr std::string_view status_words = R"(pending = ["queued"]
processing = ["processing"]
completed = ["success", "completed", "payment_failed"]
failed = ["failed", "timeout"]
cancelled = ["cancelled_by_user"]
kept = ["payment_failed"]
)";

class AdoptOwnColumns : public Dba {
protected:
    // Owned by the role `studio`, which the application logs in as. Every fifth row has each of five words.
    void make_table(int rows, std::string_view key = "uuid", std::string_view default_key = "gen_random_uuid()") const {
        run(fmt::format(R"(
            DO $$ BEGIN IF to_regrole('studio') IS NULL THEN CREATE ROLE studio LOGIN; END IF; END $$;
            GRANT USAGE, CREATE ON SCHEMA public TO studio;
            SET ROLE studio;
            CREATE TABLE public.generations (
                id {1} PRIMARY KEY DEFAULT {2}, number bigserial, user_id text NOT NULL, run_id text,
                metadata jsonb NOT NULL DEFAULT '{{}}',
                status varchar(20) NOT NULL DEFAULT 'queued'
                    CHECK (status IN ('queued', 'processing', 'success', 'completed', 'failed', 'timeout',
                                      'cancelled_by_user', 'payment_failed')),
                cost_usd double precision DEFAULT 0, duration_ms integer, result jsonb,
                created_at timestamp NOT NULL DEFAULT now(), completed_at timestamp, updated_at timestamp DEFAULT now());
            CREATE INDEX ON public.generations (user_id, created_at);
            CREATE TABLE public.likes (generation_id {1} REFERENCES public.generations ON DELETE CASCADE, user_id text);
            CREATE VIEW public.dear AS SELECT id, status, cost_usd FROM public.generations WHERE cost_usd > 1;
            INSERT INTO public.generations (user_id, run_id, metadata, status, cost_usd, duration_ms, created_at, completed_at)
            SELECT 'user-' || i % 7, 'old-' || i, jsonb_build_object('run_id', 'run-' || i, 'telegramChatId', i % 100),
                   (ARRAY['queued', 'success', 'timeout', 'cancelled_by_user', 'payment_failed'])[1 + i % 5],
                   i * 0.1, i, timestamp '2025-01-01' + i * interval '1 minute',
                   CASE WHEN i % 5 > 0 THEN timestamp '2025-01-01' + i * interval '1 minute' + interval '9 seconds' END
            FROM generate_series(1, {0}) AS i;
            INSERT INTO public.likes SELECT id, 'user-0' FROM public.generations ORDER BY number LIMIT 10)",
                        rows, key, default_key));
    }
    [[nodiscard]] std::vector<std::string> words(std::vector<std::string> more) const {
        std::vector<std::string> all{"migrate",        "--adopt",
                                     "--status-words", folder().write_file("words.toml", std::string(status_words)),
                                     "--requested-at", "created_at",
                                     "--ended-at",     "completed_at,created_at"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    void adopt() const {
        const Finished adopted = tool(words({"--yes"}));
        ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    }
    // What the application sees of its rows of before.
    [[nodiscard]] std::string what_it_sees() const {
        return value(
            "SELECT md5(string_agg(g::text, E'\\n' ORDER BY number)) FROM public.generations AS g "
            "WHERE run_id LIKE 'old-%'");
    }
    [[nodiscard]] std::string types_of_view() const {
        return value(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) "
            "FROM pg_attribute WHERE attrelid = 'public.generations'::regclass AND attnum > 0");
    }
    [[nodiscard]] std::string plan_of(const std::string& query) const {
        const auto connection = connect_to(server().uri(database()));
        pqxx::work work(*connection);
        work.exec("SET LOCAL enable_seqscan = off");
        std::string plan;
        for (const auto& row : work.exec("EXPLAIN (COSTS off) " + query)) {
            plan += row[0].as<std::string>() + "\n";
        }
        return plan;
    }
    void as_application(const std::string& statements) const { run("SET ROLE studio; " + statements); }
};

TEST_F(AdoptOwnColumns, AreKeptAsTheyAreWhileTheApplicationGoesOnWriting) {
    const char* asked = std::getenv("RUNLEDGER_ADOPT_ROWS");
    const int rows = asked == nullptr ? 10'000 : std::stoi(asked);
    set_patience(asked == nullptr ? std::chrono::minutes{1} : std::chrono::minutes{20});
    make_table(rows);
    const std::string seen = what_it_sees();
    const std::string types = types_of_view();
    const std::string file = value("SELECT pg_relation_filenode('public.generations')");
    std::atomic<int> written{0};
    std::chrono::milliseconds longest{0};
    std::string failure;
    std::jthread application([&](const std::stop_token& stop) {
        const auto connection = connect_to(server().uri_as("studio", database()));
        while (!stop.stop_requested()) {
            try {
                const auto begun = std::chrono::steady_clock::now();
                pqxx::work work(*connection);
                work.exec("SET TRANSACTION READ WRITE; SET LOCAL lock_timeout = 0; SET LOCAL search_path = pg_catalog");
                const auto id =
                    libpqxx::run1(
                        work,
                        fmt::format("INSERT INTO public.generations (user_id, run_id, metadata) VALUES ('me', 'new', "
                                    "'{{\"run_id\": \"live-{}\"}}') RETURNING id::text",
                                    written.load()))[0]
                        .as<std::string>();
                work.exec(fmt::format("UPDATE public.generations SET status = 'processing' WHERE id = '{}'", id));
                work.commit();
                ++written;
                longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::steady_clock::now() - begun));
            } catch (const std::exception& error) {
                failure = error.what();
                return;
            }
        }
    });

    const Finished adopted = tool(words({"--yes"}));
    application.request_stop();
    application.join();

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    EXPECT_EQ(failure, "");
    EXPECT_GT(written, 20) << "longest " << longest.count() << " ms";
    EXPECT_LT(longest, std::chrono::seconds{3});
    RecordProperty("longest_ms", static_cast<int>(longest.count()));
    EXPECT_EQ(value("SELECT pg_relation_filenode('runledger.generations')"), file) << "the table was rewritten";
    EXPECT_EQ(types_of_view(), types);
    EXPECT_EQ(what_it_sees(), seen);
    EXPECT_EQ(
        value("SELECT string_agg(status || ' ' || n, ', ' ORDER BY status) FROM (SELECT status, count(*) AS n FROM "
              "runledger.generations WHERE adopted_at IS NOT NULL AND run_id LIKE 'run-%' GROUP BY 1) AS words"),
        fmt::format("cancelled {0}, completed {1}, failed {0}, pending {0}", rows / 5, rows / 5 * 2));
    EXPECT_EQ(value("SELECT count(DISTINCT status) || ' ' || min(status) FROM runledger.generations WHERE run_id LIKE "
                    "'live-%'"),
              "1 processing");
    EXPECT_EQ(value("SELECT count(DISTINCT id) = count(*) AND count(DISTINCT application_id) = count(*) "
                    "FROM runledger.generations"),
              "t");
    EXPECT_EQ(
        value("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'runledger.generations'::regclass AND attname "
              "= 'id'"),
        "t");
    // The history is in the views of costs, to the last digit that the application's column has.
    EXPECT_EQ(
        value(fmt::format("SELECT sum(cost_usd) = (SELECT sum(i * 0.1) FROM generate_series(1, {}) AS i WHERE i % "
                          "5 > 0) FROM runledger.day_costs_v1",
                          rows)),
        "t");
    EXPECT_EQ(value("SELECT sum(completed) || ' ' || sum(failed) || ' ' || sum(cancelled) FROM runledger.day_costs_v1"),
              fmt::format("{1} {0} {0}", rows / 5, rows / 5 * 2));
    EXPECT_EQ(
        value("SELECT count(*) FROM runledger.generations WHERE adopted_at IS NOT NULL AND run_id LIKE 'run-%' AND "
              "request_timestamp IS DISTINCT FROM created_at AT TIME ZONE 'UTC'"),
        "0");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE status = 'pending' AND cost_usd IS NOT NULL"),
              "0");
    EXPECT_TRUE(tool({"migrate"}).status.clean());
}

TEST_F(AdoptOwnColumns, AreWrittenWhenARunIsSettled) {
    make_table(5);
    adopt();
    std::vector<std::string> heard;
    const auto listening = connect_to(server().uri_as("studio", database()));
    const libpqxx::ChannelReceiver receiver(*listening, "runledger_settled",
                                            [&](std::string_view payload, int) { heard.emplace_back(payload); });
    as_application(
        "INSERT INTO public.generations (user_id, metadata) VALUES ('me', '{\"run_id\": \"new\", \"telegramChatId\": "
        "7, "
        "\"costRate\": {\"amount\": 0.000337, \"currency\": \"USD\", \"unit\": \"second\"}}')");

    end_run("new", "success");

    EXPECT_EQ(
        value("SELECT status || ' ' || cost_usd || ' ' || duration_ms FROM public.generations WHERE user_id = 'me'"),
        "success 0.000674 2000");
    EXPECT_EQ(value("SELECT status || ' ' || cost_usd || ' ' || duration_ms || ' ' || application_status FROM "
                    "runledger.generations WHERE run_id = 'new'"),
              "completed 0.000674000000 2000.000 success");
    const std::string key = value("SELECT id FROM public.generations WHERE user_id = 'me'");
    EXPECT_EQ(value("SELECT payload ->> 'generation_id' FROM runledger.notifications WHERE run_id = 'new'"), key);
    EXPECT_EQ(
        value("SELECT application_id || ' ' || application_status FROM runledger.run_costs_v1 WHERE run_id = 'new'"),
        key + " success");
    while (listening->await_notification(1, 0) > 0) {
    }
    EXPECT_THAT(heard, testing::ElementsAre(fmt::format(
                           R"({{"generation_id" : "{}", "run_id" : "new", "status" : "completed"}})", key)));
}

// A run ends whatever the application's columns can hold, and what they can't hold is NULL there.
TEST_F(AdoptOwnColumns, HoldWhatTheyHaveRoomForAndStopNoSettlement) {
    make_table(5);
    run("DROP VIEW public.dear; ALTER TABLE public.generations ALTER COLUMN cost_usd TYPE numeric(3,2), "
        "ALTER COLUMN duration_ms TYPE smallint USING 1, ADD COLUMN response_payload varchar(3), "
        "ADD COLUMN response_timestamp bigint");
    adopt();
    as_application(
        "INSERT INTO public.generations (user_id, metadata, cost_usd) VALUES ('me', '{\"run_id\": \"dear\", "
        "\"costRate\": {\"amount\": 11, \"currency\": \"USD\", \"unit\": \"run\"}}', 0)");

    end_run("dear", "success");
    run("UPDATE runledger.runs SET running_boottime_us = 1, finished_boottime_us = 40000001 WHERE run_id = 'dear';"
        "SET ROLE ledger_daemon; SELECT 1 / count(*) FROM runledger.settle_run('dear', '0', '7 days') "
        "WHERE outcome = 'resettled'");

    EXPECT_EQ(value("SELECT concat_ws(' ', status, cost_usd, duration_ms, response_payload IS NOT NULL, "
                    "response_timestamp IS NOT NULL) FROM runledger.generations WHERE run_id = 'dear'"),
              "completed 11.000000000000 40000.000 t t");
    EXPECT_EQ(value("SELECT concat_ws(' ', status, num_nonnulls(cost_usd, duration_ms, response_payload, "
                    "response_timestamp)) FROM public.generations WHERE user_id = 'me'"),
              "success 0");
}

// The application writes its words and its own columns; the ledger's are hidden from it.
TEST_F(AdoptOwnColumns, AreGivenToAnotherRunInTheSameRow) {
    make_table(5);
    adopt();
    int number = 0;
    for (const char* changes : {"status = 'queued'", "status = 'queued', cost_usd = NULL, duration_ms = NULL",
                                "status = 'processing', cost_usd = 7"}) {
        for (const char* ending : {"success", "failed"}) {
            const std::string first = fmt::format("first-{}", ++number);
            const std::string second = fmt::format("second-{}", number);
            as_application(
                fmt::format("INSERT INTO public.generations (user_id, metadata) VALUES ('{0}', '{{\"run_id\": \"{0}\", "
                            "\"costRate\": "
                            "{{\"amount\": 0.5, \"currency\": \"USD\", \"unit\": \"run\"}}}}')",
                            first));
            end_run(first, ending);

            as_application(
                fmt::format("UPDATE public.generations SET {}, metadata = metadata || '{{\"run_id\": \"{}\"}}' WHERE "
                            "user_id = '{}'",
                            changes, second, first));
            run(
                fmt::format("SET ROLE ledger_daemon; SELECT runledger.settle_run('{}', '0', '7 days'), "
                            "runledger.settle_run('{}', '0', '7 days')",
                            first, second));
            EXPECT_EQ(value(fmt::format("SELECT concat_ws(' ', status, duration_ms, cost_usd, cost_note) FROM "
                                        "runledger.generations WHERE user_id = '{}'",
                                        first)),
                      "pending")
                << changes << " after " << ending;
            end_run(second, "success");

            EXPECT_EQ(value(fmt::format("SELECT concat_ws(' ', status, duration_ms, cost_usd) FROM public.generations "
                                        "WHERE user_id = '{}'",
                                        first)),
                      "success 2000 0.5")
                << changes << " after " << ending;
            EXPECT_EQ(value(fmt::format("SELECT string_agg(run_id, ', ') FROM runledger.billed_runs_v1 WHERE run_id IN "
                                        "('{}', '{}')",
                                        first, second)),
                      second);
        }
    }
}

// Of rows of before, whose run ends after the adoption.
TEST_F(AdoptOwnColumns, KeepACostThatTheLedgerDoesNotKnow) {
    make_table(5);
    adopt();
    const auto row = [this](int number) {
        return value(
            fmt::format("SELECT concat_ws(' ', g.status, g.cost_usd, g.duration_ms, g.cost_note, 'its own', "
                        "v.cost_usd, v.duration_ms) FROM runledger.generations AS g JOIN public.generations "
                        "AS v USING (number) WHERE number = {}",
                        number));
    };

    end_run("run-1", "success");
    end_run("run-4", "failed");

    EXPECT_EQ(row(1), "completed 0.1 2000.000 its own 0.1 2000") << "nothing gives a rate";
    EXPECT_EQ(row(4), "completed 2000.000 not_charged its own 0.4 2000") << "a failure is not charged";
}

// Each column that is generated elsewhere: of rows of before, of new ones, and after their metadata has changed.
TEST_F(AdoptOwnColumns, HaveWhatMetadataSaysOfGroupsAccountsToolsAndChats) {
    make_table(50);
    run("ALTER TABLE public.generations ADD COLUMN group_key text DEFAULT 'theirs', ADD COLUMN tool_key integer;"
        "UPDATE public.generations SET metadata = metadata || '{\"groupId\": \"old\", \"groupSize\": 2, "
        "\"accountId\": \"acme\", \"tool\": \"portrait\", \"telegramChatId\": [\"@news\", 70, \"71\"]}' "
        "WHERE number IN (1, 5)");
    const auto kept = [this](std::string_view which) {
        return value(
            fmt::format("SELECT concat_ws(' ', group_key, group_size, account_key, tool_key, telegram_chat_id) FROM "
                        "runledger.generations WHERE {}",
                        which));
    };
    const auto queued = [this] {
        return value("SELECT string_agg(DISTINCT group_key || ' ' || opens, ', ') FROM runledger.group_queue");
    };

    adopt();

    EXPECT_EQ(kept("number = 1"), "old 2 acme portrait 70");
    EXPECT_EQ(kept("number = 2"), "2");
    EXPECT_EQ(queued(), "NULL");
    EXPECT_EQ(value("SELECT string_agg(DISTINCT group_key, ' ') || ' ' || count(tool_key) FROM public.generations"),
              "theirs 0");
    EXPECT_EQ(value("SELECT runs || ' ' || completed FROM runledger.group_costs_v1 WHERE group_id = 'old'"), "2 1");

    as_application(
        "INSERT INTO public.generations (user_id, metadata) VALUES ('me', '{\"run_id\": \"new\", \"groupId\": \"g\", "
        "\"groupSize\": \"1\", \"accountId\": \"acme\", \"tool\": \"poster\", \"notificationContext\": {\"chatId\": "
        "9}}')");
    EXPECT_EQ(kept("run_id = 'new'"), "g 1 acme poster 9");
    EXPECT_EQ(queued(), "g true");
    run("DELETE FROM runledger.group_queue");
    end_run("new", "success");
    EXPECT_EQ(queued(), "g false");
    EXPECT_EQ(value("SELECT told FROM runledger.tell_groups('0', 100)"), "1");
    as_application(
        "UPDATE public.generations SET metadata = metadata || '{\"groupId\": \"h\", \"accountId\": null, "
        "\"groupSize\": 3}' WHERE user_id = 'me'");
    EXPECT_EQ(kept("run_id = 'new'"), "h 3 poster 9");
    EXPECT_EQ(queued(), "g false, h true");
    // An open row of before ends.
    run("DELETE FROM runledger.group_queue");
    end_run("run-5", "success");
    EXPECT_EQ(queued(), "old false");
}

TEST_F(AdoptOwnColumns, AreNamedByTheirKeyInBillsQuotesNewsAndProgress) {
    make_table(5);
    adopt();
    as_application(
        "INSERT INTO public.generations (user_id, metadata) VALUES ('me', '{\"run_id\": \"new\", \"telegramChatId\": "
        "7, \"gpuu\": 1, \"groupId\": 1, \"tool\": \"portrait\", "
        "\"costRate\": {\"amount\": 0.5, \"currency\": \"USD\", \"unit\": \"run\"}}'), "
        "('open', '{\"run_id\": \"open\"}')");
    const std::string key = value("SELECT id FROM public.generations WHERE user_id = 'me'");
    const std::string open_key = value("SELECT id FROM public.generations WHERE user_id = 'open'");
    std::vector<std::string> heard;
    const auto listening = connect_to(server().uri_as("studio", database()));
    const libpqxx::ChannelReceiver news(*listening, "runledger_news",
                                        [&](std::string_view payload, int) { heard.emplace_back(payload); });
    const libpqxx::ChannelReceiver progress(*listening, "runledger_progress",
                                            [&](std::string_view payload, int) { heard.emplace_back(payload); });

    end_run("new", "success", "(now() - interval '40 days')");

    EXPECT_EQ(value("SELECT \"x_GenerationId\" FROM runledger.focus_costs_v1 WHERE \"ResourceId\" = 'new'"), key);
    EXPECT_EQ(value("SELECT count(*) || ' ' || count(\"x_GenerationId\") FROM runledger.focus_costs_v1"), "3 3");
    EXPECT_EQ(value(fmt::format("SELECT count(*) FROM runledger.completed_runs_v1 WHERE application_id = '{}'", key)),
              "1");
    EXPECT_EQ(value("SELECT runs FROM runledger.run_estimates(60) WHERE kind = 'tool' AND name = 'portrait'"), "1");
    for (const char* view : {"misspelt_metadata_v1", "unusable_metadata_v1"}) {
        EXPECT_EQ(value(fmt::format("SELECT application_id FROM runledger.{} WHERE run_id = 'new'", view)), key)
            << view;
    }
    const std::string month = value("SELECT to_char((now() - interval '40 days') AT TIME ZONE 'UTC', 'YYYY-MM')");
    run(fmt::format("DELETE FROM runledger.settle_queue; SELECT runledger.close_period('{}')", month));
    const Finished lines = tool({"statement", month, "--csv"});
    EXPECT_THAT(lines.output, HasSubstr("run," + month + "," + key + ",new,"));
    end_run("new", "failed");
    EXPECT_EQ(value("SELECT string_agg(kind || ' ' || amount_usd || ' ' || application_id, ', ' ORDER BY kind DESC) "
                    "FROM runledger.statement_lines_v1"),
              fmt::format("run 0.500000000000 {0}, correction -0.500000000000 {0}", key));
    EXPECT_EQ(value("SELECT count(*) || ' ' || string_agg(DISTINCT \"x_GenerationId\", ' ') FROM "
                    "runledger.focus_costs_v1 WHERE \"ResourceId\" = 'new'"),
              "2 " + key);
    for (const char* view : {"closed_runs_v1", "corrections_v1"}) {
        EXPECT_EQ(value(fmt::format("SELECT string_agg(application_id, ' ') FROM runledger.{}", view)), key) << view;
    }
    run("SET ROLE ledger_daemon; UPDATE runledger.notifications SET state = 'dead', last_error = 'refused' "
        "WHERE id = (SELECT min(id) FROM runledger.notifications WHERE run_id = 'new')");
    EXPECT_EQ(value("SELECT kind || ' ' || application_id FROM runledger.application_news_v1"), "message_dead " + key);
    run("INSERT INTO runledger.runs (run_id, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, "
        "latest_digest, latest_status, first_received_at, event_count) SELECT 'open', now(), gen_random_uuid(), 1, "
        "false, "
        "1, 'running', now(), 1; SET ROLE ledger_daemon; SELECT runledger.tell_progress('0', 10)");
    while (listening->await_notification(1, 0) > 0) {
    }
    EXPECT_THAT(heard, testing::ElementsAre(HasSubstr(fmt::format("\"generation_id\" : \"{}\"", key)),
                                            HasSubstr(fmt::format("\"generation_id\" : \"{}\"", open_key))));
}

// Each word of the application's, and what stands there after a run has ended so.
TEST_F(AdoptOwnColumns, KeepAWordThatMeansTheSameOrIsToBeKept) {
    make_table(5);
    adopt();
    for (const auto& [word, ending, then, status] :
         std::vector<std::array<const char*, 4>>{{"queued", "success", "success", "completed"},
                                                 {"queued", "failed", "failed", "failed"},
                                                 {"queued", "cancelled", "cancelled_by_user", "cancelled"},
                                                 {"processing", "timeout", "failed", "failed"},
                                                 {"completed", "success", "completed", "completed"},
                                                 {"timeout", "failed", "timeout", "failed"},
                                                 {"cancelled_by_user", "success", "cancelled_by_user", "cancelled"},
                                                 {"payment_failed", "failed", "payment_failed", "completed"}}) {
        as_application(
            fmt::format("INSERT INTO public.generations (user_id, metadata) VALUES ('me', '{{\"run_id\": "
                        "\"{0}-{1}\"}}'); UPDATE public.generations SET status = '{0}' WHERE metadata ->> "
                        "'run_id' = '{0}-{1}'",
                        word, ending));

        end_run(fmt::format("{}-{}", word, ending), ending);

        EXPECT_EQ(
            value(fmt::format("SELECT application_status || ' ' || status FROM runledger.generations WHERE run_id = "
                              "'{}-{}'",
                              word, ending)),
            fmt::format("{} {}", then, status));
    }
}

TEST_F(AdoptOwnColumns, MayGetAKeptWordAfterTheSettlement) {
    make_table(5);
    adopt();
    as_application("INSERT INTO public.generations (user_id, metadata) VALUES ('me', '{\"run_id\": \"new\"}')");
    end_run("new", "success");
    as_application("UPDATE public.generations SET status = 'payment_failed' WHERE user_id = 'me'");

    end_run("new", "failed");

    EXPECT_EQ(value("SELECT status FROM public.generations WHERE user_id = 'me'"), "payment_failed");
    EXPECT_EQ(value("SELECT status FROM runledger.generations WHERE run_id = 'new'"), "failed");
    EXPECT_EQ(value("SELECT string_agg(outcome, ' ' ORDER BY id) FROM runledger.settlements WHERE run_id = 'new'"),
              "settled resettled");
}

TEST_F(AdoptOwnColumns, ShowAWordThatNobodyHasExplained) {
    make_table(5);
    adopt();
    run("ALTER TABLE runledger.generations DROP CONSTRAINT generations_status_check");
    as_application("INSERT INTO public.generations (user_id, status) VALUES ('me', 'refunded')");

    EXPECT_EQ(value("SELECT status FROM public.generations WHERE user_id = 'me'"), "refunded");
    EXPECT_EQ(value("SELECT status FROM runledger.generations WHERE application_status = 'refunded'"), "pending");
    EXPECT_EQ(value("SELECT string_agg(word || ' ' || generations, ', ') FROM runledger.status_words_v1 "
                    "WHERE status IS NULL"),
              "refunded 1");
    // As docs/dba.md has it.
    run("INSERT INTO runledger.status_words (word, status, is_kept) VALUES ('refunded', 'completed', true);"
        "UPDATE runledger.generations SET status = 'completed' WHERE application_status = 'refunded' AND status = "
        "'pending'");
    EXPECT_EQ(value("SELECT status FROM public.generations WHERE user_id = 'me'"), "refunded");
}

TEST_F(AdoptOwnColumns, AreAdoptedByTheOwnersLoginAfterThePlansStatements) {
    make_table(5);
    run("REVOKE studio FROM ledger_owner; GRANT CREATE ON DATABASE " + database() + " TO ledger_owner");
    Finished planned = tool(words({}), "ledger_owner");
    EXPECT_EQ(planned.status.code, 1);
    EXPECT_THAT(planned.output, HasSubstr("its owner is studio, which ledger_owner is not"));
    for (std::size_t at = planned.output.find("\n        "); at != std::string::npos;
         at = planned.output.find("\n        ", at + 1)) {
        run(planned.output.substr(at, planned.output.find('\n', at + 1) - at));
    }

    planned = tool(words({}), "ledger_owner");
    EXPECT_EQ(planned.status.code, 3) << planned.output;
    const Finished adopted = tool(words({"--yes"}), "ledger_owner");

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    // The application was the owner of all that the table has.
    as_application(
        "INSERT INTO public.generations (user_id) VALUES ('me'); DELETE FROM public.generations WHERE number = 1");
    EXPECT_EQ(value("SELECT count(*) FROM public.likes"), "4");
    EXPECT_EQ(value("SELECT count(*) FROM public.dear"), "0");
}

TEST_F(AdoptOwnColumns, AreFilledWhenTheApplicationLetsTheirRowsGo) {
    make_table(2000);
    const auto application = connect_to(server().uri_as("studio", database()));
    std::jthread lets_go([&](const std::stop_token& stop) {
        // Once the table is adopted, some rows are locked for a second.
        while (!stop.stop_requested() && value("SELECT to_regclass('runledger.generations') IS NULL") == "t") {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        pqxx::work lock(*application);
        lock.exec(
            "SET TRANSACTION READ WRITE; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT FROM "
            "public.generations WHERE number > 1500 FOR UPDATE");
        std::this_thread::sleep_for(std::chrono::seconds{1});
        lock.abort();
    });

    const Finished adopted = tool(words({"--yes"}));
    lets_go.join();

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE id IS NULL OR run_id IS NULL OR "
                    "status = 'pending' AND application_status <> 'queued'"),
              "0");
}

TEST_F(AdoptOwnColumns, ListTheWordsThatTheFileDoesNotHave) {
    make_table(5);
    run("ALTER TABLE public.generations DROP CONSTRAINT generations_status_check;"
        "UPDATE public.generations SET status = 'refunded' WHERE number < 3");

    const Finished refused = tool(words({}));

    EXPECT_EQ(refused.status.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("status has words that --status-words does not have: refunded (2 rows)"));
}

struct KeyType {
    const char* name;
    const char* type;
    const char* default_key;
};
class AdoptOwnKey : public AdoptOwnColumns, public testing::WithParamInterface<KeyType> {};

TEST_P(AdoptOwnKey, NamesARowByIt) {
    make_table(50, GetParam().type, GetParam().default_key);

    adopt();

    EXPECT_EQ(value("SELECT count(*) FROM runledger.run_costs_v1 AS c JOIN public.generations AS g ON g.id::text = "
                    "c.application_id WHERE c.generation_id > 0"),
              "50");
    as_application("INSERT INTO public.likes SELECT id, 'me' FROM public.generations WHERE number = 50");
    as_application(
        "INSERT INTO public.generations (id, user_id) SELECT id, 'x' FROM public.generations WHERE number = 1 "
        "ON CONFLICT (id) DO UPDATE SET user_id = 'y'");
    EXPECT_EQ(value("SELECT count(*) FROM public.generations WHERE user_id = 'y'"), "1");
}

TEST_P(AdoptOwnKey, FindsARowByIt) {
    make_table(50, GetParam().type, GetParam().default_key);
    adopt();
    end_run("run-5", "success");
    const auto of_row = [this](std::string_view column) {
        return value(fmt::format("SELECT {} FROM runledger.generations WHERE run_id = 'run-5'", column));
    };
    const std::string key = of_row("application_id");
    const std::string number = of_row("id");
    const std::string name = fmt::format("{} ({} in the ledger)", key, number);

    for (const std::string& named : {key, number}) {
        const Finished explained = tool({"explain", named});
        EXPECT_TRUE(explained.status.clean()) << explained.output;
        EXPECT_THAT(explained.output, testing::StartsWith("Generation " + name + " names run run-5.\n"));
        EXPECT_THAT(explained.output, HasSubstr("The row of generation " + name));
        EXPECT_EQ(value(fmt::format("SELECT application_id FROM runledger.generations_by_key('{}')", named)), key);
    }
    EXPECT_THAT(tool({"explain", "run-5", "--json"}).output, HasSubstr(fmt::format(R"("application_id":"{}")", key)));
    EXPECT_EQ(tool({"explain", "no-such-key"}).status.code, 3);
    for (const std::string view : {"settlements_v1", "notifications_v1", "failed_notifications_v1", "run_timeline_v1",
                                   "billed_runs_v1", "run_costs_v1"}) {
        EXPECT_EQ(value(fmt::format("SELECT string_agg(DISTINCT application_id, ' ') FROM runledger.{} WHERE run_id = "
                                    "'run-5' AND generation_id IS NOT NULL",
                                    view)),
                  key)
            << view;
    }
    EXPECT_EQ(value("SELECT count(application_id) = count(*) FROM runledger.stuck_runs_v1"), "t");
    EXPECT_THAT(plan_of(fmt::format("SELECT FROM runledger.generation_keys_v1 WHERE application_id = CAST ('{}' AS {})",
                                    key, GetParam().type)),
                HasSubstr("Index"));
    run("SET ROLE runledger_reader; SELECT 1 / count(*) FROM runledger.generations_by_key('" + key + "')");

    EXPECT_EQ(tool({"forget", "--generation", "no-such-key"}).status.code, 3);
    EXPECT_EQ(tool({"forget", "--application-id", number}).status.code, 3);
    EXPECT_EQ(tool({"forget", "--generation-number", key}).status.code, 3);
    const Finished forgotten = tool({"forget", "--generation", key});
    EXPECT_TRUE(forgotten.status.clean()) << forgotten.output;
    EXPECT_EQ(value("SELECT string_agg(application_id::text, ' ') FROM runledger.generations WHERE run_id LIKE "
                    "'forgotten-%'"),
              key);
}

// A key of the application that is another row's number for the ledger.
TEST_F(AdoptOwnColumns, AreNotForgottenByAKeyThatIsOfTwo) {
    make_table(50, "text", "'g-' || gen_random_uuid()");
    run("UPDATE public.generations SET id = '2' WHERE number = 20");
    adopt();
    const std::string theirs = value("SELECT id FROM runledger.generations WHERE application_id = '2'");
    const std::string other = value("SELECT application_id FROM runledger.generations WHERE id = 2");
    ASSERT_NE(theirs, "2");
    const auto forgotten = [this] {
        return value(
            "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), 'none') FROM runledger.generations "
            "WHERE run_id LIKE 'forgotten-%'");
    };

    const Finished refused = tool({"forget", "--generation", "2"});

    EXPECT_EQ(refused.status.code, 2);
    EXPECT_THAT(refused.output, HasSubstr(fmt::format("\"2\" is a key of two generations, and nothing was forgotten; "
                                                      "--application-id 2 is generation 2 ({} in the ledger); "
                                                      "--generation-number 2 is generation {} (2 in the ledger)",
                                                      theirs, other)));
    EXPECT_EQ(forgotten(), "none");
    const std::string explained = tool({"explain", "2"}).output;
    EXPECT_THAT(explained, testing::StartsWith(fmt::format("Generation 2 ({} in the ledger) names run", theirs)));
    EXPECT_THAT(explained, HasSubstr(fmt::format("\nGeneration {} (2 in the ledger) names run", other)));

    EXPECT_TRUE(tool({"forget", "--application-id", "2"}).status.clean());
    EXPECT_EQ(forgotten(), theirs);
    EXPECT_TRUE(tool({"forget", "--generation-number", "2"}).status.clean());
    EXPECT_EQ(forgotten(), "2 " + theirs);
}

INSTANTIATE_TEST_SUITE_P(Types, AdoptOwnKey,
                         testing::Values(KeyType{"uuid", "uuid", "gen_random_uuid()"},
                                         KeyType{"text", "text", "'g-' || gen_random_uuid()"},
                                         KeyType{"varchar", "varchar(40)", "gen_random_uuid()::text"}),
                         [](const auto& key) { return key.param.name; });

struct WrongWords {
    const char* name;
    const char* file;
    const char* says;
};
class AdoptWrongWords : public Dba, public testing::WithParamInterface<WrongWords> {};

TEST_P(AdoptWrongWords, AreNamed) {
    const auto file = folder().write_file("words.toml", GetParam().file);

    const Finished refused = tool({"migrate", "--adopt", "--status-words", file});

    EXPECT_EQ(refused.status.code, 2) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Files, AdoptWrongWords,
    testing::Values(WrongWords{"no_toml", "completed = [", "words.toml: "},
                    WrongWords{"no_status", "done = [\"success\"]", "done is none of pending, processing"},
                    WrongWords{"no_list", "completed = \"success\"", "completed is not a list of words"},
                    WrongWords{"no_word", "completed = [1]", "completed has something that is no word"},
                    WrongWords{"twice", "completed = [\"ok\"]\nfailed = [\"ok\"]", "ok stands there twice"},
                    WrongWords{"kept_alone", "completed = [\"ok\"]\nkept = [\"paid\"]", "paid is to be kept"},
                    WrongWords{"none", "", "it has no words"}),
    [](const auto& words) { return words.param.name; });

}  // namespace
}  // namespace runledger::test
