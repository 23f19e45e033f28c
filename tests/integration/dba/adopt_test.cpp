// `runledger migrate --adopt` on a table that an application has lived with, and goes on writing to.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class Adopt : public Dba {
protected:
    // As applications make them: an old key, a trigger, privileges, rows with and without a run.
    void make_legacy_table(int rows) {
        run(fmt::format(R"(
            DO $$ BEGIN IF to_regrole('app') IS NULL THEN CREATE ROLE app LOGIN; END IF; END $$;
            CREATE TABLE public.generations (
                id bigserial PRIMARY KEY, metadata jsonb, status text DEFAULT 'pending', note text,
                created_at timestamptz DEFAULT now());
            CREATE INDEX generations_created_at ON public.generations (created_at);
            GRANT SELECT, INSERT, UPDATE ON public.generations TO app;
            GRANT USAGE ON SEQUENCE public.generations_id_seq TO app;
            INSERT INTO public.generations (metadata, status)
            SELECT CASE WHEN i % 10 = 0 THEN NULL
                        ELSE jsonb_build_object('run_id', 'run-' || i, 'telegramChatId', (i % 100)::text,
                                                'costRate', '{{"amount": "0.5", "currency": "USD", "unit": "run"}}'::jsonb) END,
                   CASE WHEN i % 3 = 0 THEN 'completed' ELSE 'pending' END
            FROM generate_series(1, {}) AS i)",
                        rows));
    }
    [[nodiscard]] std::string file_of_table(const std::string& name) const {
        return value("SELECT pg_relation_filenode('" + name + "')");
    }
};

TEST_F(Adopt, SaysWhatItWouldDoAndDoesNothingWithoutYes) {
    make_legacy_table(100);
    const std::string file = file_of_table("public.generations");

    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"migrate", "--adopt"}, {"migrate", "--adopt", "public.generations", "--dry-run"}}) {
        const Finished said = tool(words);

        EXPECT_EQ(said.status.code, 3) << said.output;
        EXPECT_THAT(said.output, HasSubstr("move \"public\".\"generations\""));
        EXPECT_THAT(said.output, HasSubstr("nothing was changed"));
    }
    EXPECT_EQ(file_of_table("public.generations"), file);
    EXPECT_EQ(value("SELECT to_regnamespace('runledger') IS NULL"), "t");
}

TEST_F(Adopt, TakesOverALargeTableWithoutRewritingItWhileTheApplicationWrites) {
    constexpr int rows = 200'000;
    make_legacy_table(rows);
    const std::string file = file_of_table("public.generations");
    std::atomic<bool> is_adopted{false};
    std::atomic<int> inserted{0};
    std::chrono::milliseconds longest{0};
    std::string failure;
    // The application's own connection and statements, to the name that it knows.
    std::thread application([&] {
        const auto connection = connect_to(server().uri_as("app", database()));
        while (!is_adopted) {
            try {
                const auto begun = std::chrono::steady_clock::now();
                pqxx::work work(*connection);
                work.exec("SET TRANSACTION READ WRITE; SET LOCAL lock_timeout = 0");
                work.exec(
                    fmt::format("INSERT INTO public.generations (metadata) VALUES ('{{\"run_id\": \"live-{}\"}}')",
                                inserted.load()));
                work.commit();
                ++inserted;
                longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::steady_clock::now() - begun));
            } catch (const std::exception& error) {
                failure = error.what();
                return;
            }
        }
    });

    const Finished adopted = tool({"migrate", "--adopt", "public.generations", "--yes"});
    is_adopted = true;
    application.join();

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    EXPECT_EQ(failure, "");
    RecordProperty("longest_insert_ms", static_cast<int>(longest.count()));
    EXPECT_GT(inserted, 50) << "longest " << longest.count() << " ms";
    EXPECT_LT(longest, std::chrono::seconds{3});
    EXPECT_EQ(file_of_table("runledger.generations"), file) << "the table was rewritten";
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations"), std::to_string(rows + inserted));
    EXPECT_EQ(
        value("SELECT count(*) FROM runledger.generations WHERE run_id IS DISTINCT FROM runledger.run_id_of(metadata) "
              "OR telegram_chat_id IS DISTINCT FROM runledger.chat_id_of(metadata)"),
        "0");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE adopted_at IS NULL AND run_id NOT LIKE 'live-%'"),
              "0");
    EXPECT_EQ(
        value("SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'runledger.generations'::regclass"),
        "t");
    EXPECT_EQ(value("SELECT count(*) FROM pg_constraint WHERE conname = 'generations_run_id_unique'"), "1");
    EXPECT_TRUE(tool({"migrate"}).status.clean());
}

TEST_F(Adopt, SettlesAdoptedAndNewRowsAndTellsOnlyOfTheNew) {
    make_legacy_table(5);
    const Finished adopted = tool({"migrate", "--adopt", "--yes"});
    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    run("SET ROLE app; INSERT INTO public.generations (metadata) VALUES "
        "('{\"run_id\": \"new\", \"telegramChatId\": 7, \"costRate\": {\"amount\": 1, \"currency\": \"USD\", \"unit\": "
        "\"run\"}}')");
    run(R"(INSERT INTO runledger.runs (run_id, terminal_status, finished_at, finished_boot_id, finished_boottime_us,
               finished_redelivered, finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered,
               latest_digest, latest_status, first_received_at, event_count)
           SELECT run_id, 'success', now(), boot, 1, false, 1, now(), boot, 1, false, 1, 'success', now(), 1
           FROM gen_random_uuid() AS boot, (VALUES ('run-1'), ('new')) AS r (run_id);
           SELECT runledger.settle_run(run_id, '0', '7 days') FROM runledger.runs)");

    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || status || ' ' || trim_scale(cost_usd), ', ' ORDER BY run_id) "
                    "FROM runledger.generations WHERE cost_usd IS NOT NULL"),
              "new completed 1, run-1 completed 0.5");
    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || state, ', ' ORDER BY run_id) FROM runledger.notifications"),
              "new pending, run-1 skipped");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.settle_queue WHERE run_id = 'new'"), "1");
    EXPECT_EQ(value("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute "
                    "WHERE attrelid = 'public.generations'::regclass AND attnum > 0"),
              "id metadata status note created_at");
}

TEST_F(Adopt, FinishesAtTheNextMigrateWhatWasInterrupted) {
    make_legacy_table(20'000);
    ASSERT_TRUE(tool({"migrate", "--adopt", "--yes"}).status.clean());
    // As after a kill in the middle of filling.
    run("ALTER TABLE runledger.generations DROP CONSTRAINT generations_run_id_unique;"
        "ALTER TABLE runledger.generations DISABLE TRIGGER USER;"
        "UPDATE runledger.generations SET run_id = NULL WHERE id > 100;"
        "ALTER TABLE runledger.generations ENABLE TRIGGER USER");

    const Finished finished = tool({"migrate"});

    EXPECT_TRUE(finished.status.clean()) << finished.output;
    EXPECT_EQ(
        value("SELECT count(*) FROM runledger.generations WHERE run_id IS DISTINCT FROM runledger.run_id_of(metadata)"),
        "0");
    EXPECT_EQ(value("SELECT count(*) FROM pg_constraint WHERE conname = 'generations_run_id_unique'"), "1");
}

struct Unfit {
    const char* name;
    const char* change;  // To the legacy table.
    const char* says;
};
class AdoptUnfit : public Adopt, public testing::WithParamInterface<Unfit> {};

TEST_P(AdoptUnfit, IsRefusedWithTheReasonAndNothingIsDone) {
    make_legacy_table(10);
    run(GetParam().change);

    const Finished refused = tool({"migrate", "--adopt", "--yes"});

    EXPECT_EQ(refused.status.code, 1) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(GetParam().says));
    EXPECT_EQ(
        value("SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('runledger') AND relname = 'runs'"),
        "0");
}

INSTANTIATE_TEST_SUITE_P(
    Tables, AdoptUnfit,
    testing::Values(
        Unfit{"no_table", "DROP TABLE public.generations", "there is no such table"},
        Unfit{"no_plain_table",
              "ALTER TABLE public.generations RENAME TO g; CREATE VIEW public.generations AS SELECT * FROM g",
              "it is no plain table"},
        Unfit{"no_key", "ALTER TABLE public.generations DROP CONSTRAINT generations_pkey",
              "no primary key or unique index on id"},
        Unfit{"json", "ALTER TABLE public.generations ALTER COLUMN metadata TYPE json",
              "its column metadata is json, not jsonb"},
        Unfit{"no_metadata", "ALTER TABLE public.generations DROP COLUMN metadata", "it has no column metadata"},
        Unfit{"varchar", "ALTER TABLE public.generations ALTER COLUMN status TYPE varchar(20)",
              "which rewrites nothing"},
        Unfit{"float", "ALTER TABLE public.generations ADD COLUMN cost_usd double precision",
              "its column cost_usd is double precision, not numeric"},
        Unfit{"its_own_run_id", "ALTER TABLE public.generations ADD COLUMN run_id text",
              "RENAME COLUMN run_id TO application_run_id"},
        Unfit{"other_words", "UPDATE public.generations SET status = 'done' WHERE id < 3",
              "in 2 of its rows status is none of"},
        Unfit{"shared_run", "UPDATE public.generations SET metadata = '{\"run_id\": \"same\"}' WHERE id < 3",
              "1 run_ids stand in more than one of its rows, such as same"}),
    [](const auto& unfit) { return unfit.param.name; });

TEST_F(Adopt, IsRefusedOnceThereIsALedger) {
    migrate();
    make_legacy_table(10);

    const Finished refused = tool({"migrate", "--adopt", "--yes"});

    EXPECT_EQ(refused.status.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("there is a runledger.generations already"));
}

}  // namespace
}  // namespace runledger::test
