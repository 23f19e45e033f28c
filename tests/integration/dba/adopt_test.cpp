// `runledger migrate --adopt` on a table that an application has lived with, and goes on writing to.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <sstream>
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
                                                'groupId', 'group-' || i % 1000, 'accountId', i, 'tool', 'portrait',
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
              "OR telegram_chat_id IS DISTINCT FROM runledger.chat_id_of(metadata) "
              "OR group_key IS DISTINCT FROM runledger.group_key_of(metadata) "
              "OR account_key IS DISTINCT FROM runledger.account_key_of(metadata) "
              "OR tool_key IS DISTINCT FROM runledger.tool_key_of(metadata)"),
        "0");
    EXPECT_EQ(value("SELECT count(DISTINCT group_key) || ' ' || count(account_key) || ' ' || min(tool_key) "
                    "FROM runledger.generations"),
              "900 0 portrait");
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

TEST_F(Adopt, TellsNobodyOfGroupsThatHadEnded) {
    make_legacy_table(60);
    run("UPDATE public.generations SET status = 'completed', metadata = metadata || '{\"groupId\": \"of-before\"}' "
        "WHERE id < 10");
    ASSERT_TRUE(tool({"migrate", "--adopt", "--yes"}).status.clean());
    const auto told = [this] { return value("SELECT told FROM runledger.tell_groups('0', 10000)"); };
    EXPECT_EQ(told(), "0");

    run("DELETE FROM runledger.generations WHERE id = 1");
    EXPECT_EQ(told(), "0");
    // As an interrupted adoption goes on.
    run("ALTER TABLE runledger.generations DROP CONSTRAINT generations_run_id_unique;"
        "ALTER TABLE runledger.generations DISABLE TRIGGER USER;"
        "UPDATE runledger.generations SET run_id = NULL, group_key = NULL;"
        "ALTER TABLE runledger.generations ENABLE TRIGGER USER;"
        "UPDATE runledger.adoption SET finished_at = NULL");
    ASSERT_TRUE(tool({"migrate"}).status.clean());

    EXPECT_EQ(value("SELECT runs FROM runledger.group_costs_v1 WHERE group_id = 'of-before'"), "8");
    EXPECT_EQ(told(), "0");
}

TEST_F(Adopt, GivesATableWithoutAPrimaryKeyAReplicaIdentity) {
    make_legacy_table(10);
    run("ALTER TABLE public.generations DROP CONSTRAINT generations_pkey; "
        "CREATE UNIQUE INDEX ON public.generations (id)");

    ASSERT_TRUE(tool({"migrate", "--adopt", "--yes"}).status.clean());

    EXPECT_EQ(value("SELECT relreplident FROM pg_class WHERE oid = 'runledger.generations'::regclass"), "f");
}

TEST_F(Adopt, FinishesAtTheNextMigrateWhatWasInterrupted) {
    make_legacy_table(20'000);
    ASSERT_TRUE(tool({"migrate", "--adopt", "--yes"}).status.clean());
    // As after a kill in the middle of filling.
    run("ALTER TABLE runledger.generations DROP CONSTRAINT generations_run_id_unique;"
        "ALTER TABLE runledger.generations DISABLE TRIGGER USER;"
        "UPDATE runledger.generations SET run_id = NULL WHERE id > 100;"
        "ALTER TABLE runledger.generations ENABLE TRIGGER USER;"
        "UPDATE runledger.adoption SET finished_at = NULL");

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

// What no statement cures.
INSTANTIATE_TEST_SUITE_P(
    Tables, AdoptUnfit,
    testing::Values(
        Unfit{"no_table", "DROP TABLE public.generations", "there is no such table"},
        Unfit{"no_plain_table",
              "ALTER TABLE public.generations RENAME TO g; CREATE VIEW public.generations AS SELECT * FROM g",
              "it is no plain table"},
        Unfit{"partitioned",
              "DROP TABLE public.generations; CREATE TABLE public.generations (id bigint, metadata jsonb) PARTITION BY "
              "RANGE (id)",
              "but a partitioned one"},
        Unfit{"other_words", "UPDATE public.generations SET status = 'done' WHERE id < 3",
              "status has words that are not the ledger's: done (2 rows)"},
        Unfit{"enum",
              "CREATE TYPE public.state AS ENUM ('pending', 'completed'); ALTER TABLE public.generations ALTER COLUMN "
              "status DROP DEFAULT, ALTER COLUMN status TYPE public.state USING status::public.state",
              "its column status is public.state, not text: say with --status-words"}),
    [](const auto& unfit) { return unfit.param.name; });

// The statements of a refusal: each on a line of its own, below its reason.
std::vector<std::string> statements_in(const std::string& refusal) {
    constexpr std::string_view indent = "        ";
    std::vector<std::string> statements;
    std::istringstream lines(refusal);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(indent)) {
            statements.push_back(line.substr(indent.size()));
        }
    }
    return statements;
}

struct Curable {
    const char* name;
    const char* change;  // To the legacy table.
    const char* says;
};
class AdoptAdvice : public Adopt, public testing::WithParamInterface<Curable> {
protected:
    // As a DBA runs it, in psql: each statement on its own.
    void run_alone(const std::string& statement) const {
        const auto connection = server().connect(database());
        pqxx::nontransaction session(*connection);
        session.exec(statement);
    }
};

constexpr auto curable = std::to_array<Curable>({
    {"no_key", "ALTER TABLE public.generations DROP CONSTRAINT generations_pkey",
     "no primary key or unique index on id"},
    {"key_that_may_be_null",
     "ALTER TABLE public.generations DROP CONSTRAINT generations_pkey, ALTER COLUMN id DROP NOT NULL; CREATE UNIQUE "
     "INDEX ON public.generations (id)",
     "its column id may be NULL"},
    {"no_metadata", "ALTER TABLE public.generations DROP COLUMN metadata", "it has no column metadata"},
    {"varchar",
     "ALTER TABLE public.generations ALTER COLUMN status TYPE varchar(20); ALTER TABLE public.generations ADD COLUMN "
     "status_reason varchar(255)",
     "its column status_reason is character varying(255), not text; this statement rewrites nothing"},
    {"no_status", "UPDATE public.generations SET status = NULL WHERE id = 1", "in 1 of its rows status is NULL"},
    {"generated_status",
     "ALTER TABLE public.generations DROP COLUMN status; ALTER TABLE public.generations ADD COLUMN status text "
     "GENERATED ALWAYS AS (CASE WHEN note IS NULL THEN 'pending' ELSE 'failed' END) STORED",
     "its column status is generated"},
    {"status_check", "ALTER TABLE public.generations ADD CHECK (status IN ('pending', 'completed', 'failed'))",
     "its constraint generations_status_check refuses the words processing, cancelled"},
    {"status_reference",
     "CREATE TABLE public.states (word text PRIMARY KEY); INSERT INTO public.states VALUES ('pending'), ('completed'); "
     "ALTER TABLE public.generations ADD FOREIGN KEY (status) REFERENCES public.states",
     "its constraint generations_status_fkey refuses the words processing, failed, cancelled"},
    {"never_unknown", "ALTER TABLE public.generations ADD COLUMN cost_usd double precision NOT NULL DEFAULT 0",
     "its column cost_usd is NOT NULL"},
    {"negative",
     "ALTER TABLE public.generations ADD COLUMN duration_ms numeric; UPDATE public.generations SET duration_ms = -1",
     "in 10 of its rows duration_ms is negative"},
    {"no_number",
     "ALTER TABLE public.generations ADD COLUMN cost_usd numeric; UPDATE public.generations SET cost_usd = 'NaN'",
     "in 10 of its rows cost_usd is NaN, Infinity or 1e30 or more"},
    {"no_time",
     "ALTER TABLE public.generations ADD COLUMN response_timestamp timestamptz; "
     "UPDATE public.generations SET response_timestamp = '-infinity' WHERE id < 3",
     "in 2 of its rows response_timestamp is before 1970 or after 9999"},
    {"no_time_that_must_be_there",
     "ALTER TABLE public.generations ADD COLUMN request_timestamp timestamptz NOT NULL DEFAULT now(); "
     "UPDATE public.generations SET request_timestamp = 'infinity' WHERE id < 3",
     "in 2 of its rows request_timestamp is before 1970 or after 9999"},
    {"shared_run", "UPDATE public.generations SET metadata = '{\"run_id\": \"same\"}' WHERE id < 4",
     "1 run_ids stand in more than one of its rows, such as same"},
    {"row_security", "ALTER TABLE public.generations ENABLE ROW LEVEL SECURITY", "it has row security"},
    {"rule", "CREATE RULE quiet AS ON DELETE TO public.generations DO INSTEAD NOTHING", "its rule quiet"},
    {"unlogged", "ALTER TABLE public.generations SET UNLOGGED", "it is unlogged"},
    {"heir",
     "CREATE TABLE public.things (id bigint, metadata jsonb); ALTER TABLE public.generations INHERIT public.things",
     "inherits from it"},
    {"parent", "CREATE TABLE public.older () INHERITS (public.generations)", "public.older inherits from it"},
    {"partition",
     "CREATE TABLE public.whole (LIKE public.generations) PARTITION BY RANGE (id); ALTER TABLE public.whole ATTACH "
     "PARTITION public.generations FOR VALUES FROM (0) TO (1000)",
     "it is a partition of public.whole"},
    {"trigger",
     "ALTER TABLE public.generations ADD COLUMN cost_usd real; CREATE FUNCTION public.rounded() RETURNS trigger "
     "LANGUAGE plpgsql AS $$ BEGIN NEW.cost_usd := round(NEW.cost_usd::numeric, 2); RETURN NEW; END $$; CREATE TRIGGER "
     "rounded BEFORE UPDATE ON public.generations FOR EACH ROW EXECUTE FUNCTION public.rounded()",
     "its trigger rounded runs public.rounded()"},
});

TEST_P(AdoptAdvice, IsAStatementThatMakesTheTableFit) {
    make_legacy_table(10);
    run(GetParam().change);

    const Finished refused = tool({"migrate", "--adopt", "--yes"});
    ASSERT_EQ(refused.status.code, 1) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(GetParam().says));
    const auto statements = statements_in(refused.output);
    ASSERT_FALSE(statements.empty()) << refused.output;
    for (const std::string& statement : statements) {
        ASSERT_NO_THROW(run_alone(statement)) << statement;
    }
    const Finished adopted = tool({"migrate", "--adopt", "--yes"});

    EXPECT_TRUE(adopted.status.clean()) << adopted.output;
}

INSTANTIATE_TEST_SUITE_P(Tables, AdoptAdvice, testing::ValuesIn(curable),
                         [](const auto& row) { return row.param.name; });

class AdoptAllAdvice : public AdoptAdvice {};

TEST_P(AdoptAllAdvice, IsInOnePlan) {
    make_legacy_table(10);
    for (const Curable& one : curable) {
        // Those that leave room for one another.
        if (const std::string_view name = one.name;
            name == "no_key" || name == "varchar" || name == "status_check" || name == "never_unknown" ||
            name == "negative" || name == "shared_run" || name == "row_security" || name == "rule" || name == "heir") {
            run(one.change);
        }
    }

    const Finished refused = tool({"migrate", "--adopt", "--yes"});
    const auto statements = statements_in(refused.output);
    EXPECT_EQ(statements.size(), 10U) << refused.output;
    for (const std::string& statement : statements) {
        ASSERT_NO_THROW(run_alone(statement)) << statement;
    }
    const Finished adopted = tool({"migrate", "--adopt", "--yes"});

    EXPECT_TRUE(adopted.status.clean()) << adopted.output;
}

INSTANTIATE_TEST_SUITE_P(Tables, AdoptAllAdvice, testing::Values(curable[0]),
                         [](const auto&) { return std::string("many"); });

struct OtherType {
    const char* name;
    const char* column;
    const char* definition;  // Of the column in the legacy table.
    const char* value;       // In each of its rows, all of which have ended.
    const char* then;        // In the ledger, after the adoption.
    const char* kept;        // Through the view.
};
class AdoptBeside : public Adopt, public testing::WithParamInterface<OtherType> {};

TEST_P(AdoptBeside, KeepsAColumnOfAnotherTypeAndHasItsOwn) {
    make_legacy_table(3);
    const OtherType& other = GetParam();
    run("CREATE TYPE public.price AS (amount numeric, currency text)");
    run(fmt::format(
        "ALTER TABLE public.generations DROP COLUMN IF EXISTS {0}; ALTER TABLE public.generations ADD COLUMN "
        "{0} {1}; UPDATE public.generations SET {0} = {2}; UPDATE public.generations SET status = 'completed'",
        other.column, other.definition, other.value));
    const std::string file = file_of_table("public.generations");
    const std::string type = value(fmt::format("SELECT pg_typeof({}) FROM public.generations LIMIT 1", other.column));

    const Finished adopted = tool({"migrate", "--adopt", "--yes"});

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    EXPECT_EQ(file_of_table("runledger.generations"), file) << "the table was rewritten";
    EXPECT_EQ(value(fmt::format("SELECT {} FROM runledger.generations ORDER BY id LIMIT 1", other.column)), other.then);
    EXPECT_EQ(value(fmt::format("SELECT {} FROM public.generations ORDER BY id LIMIT 1", other.column)), other.kept);
    EXPECT_EQ(value(fmt::format("SELECT pg_typeof({}) FROM public.generations LIMIT 1", other.column)), type);
}

INSTANTIATE_TEST_SUITE_P(
    Types, AdoptBeside,
    testing::Values(
        OtherType{"json", "metadata", "json DEFAULT '{}'", "'{\"a\":  1}'", R"({"a": 1})", R"({"a":  1})"},
        OtherType{"text_as_jsonb", "metadata", "text DEFAULT '{}'", "'{\"a\":  1}'", R"({"a": 1})", R"({"a":  1})"},
        OtherType{"text_that_is_no_json", "metadata", "text", "'{'", "NULL", "{"},
        OtherType{"varchar_as_jsonb", "request_payload", "varchar(200)", "'[]'", "[]", "[]"},
        OtherType{"json_as_jsonb", "response_payload", "json", "'[1]'", "[1]", "[1]"},
        OtherType{"bounded_numeric", "cost_usd", "numeric(10,2) DEFAULT 0", "1.25", "1.25", "1.25"},
        OtherType{"float", "duration_ms", "double precision DEFAULT 0", "2012.345678901234", "2012.345678901234",
                  "2012.345678901234"},
        OtherType{"float_of_many_digits", "cost_usd", "double precision", "0.1::float8 + 0.2::float8",
                  "0.30000000000000004", "0.30000000000000004"},
        OtherType{"float_that_is_no_number", "cost_usd", "double precision", "'NaN'", "NULL", "NaN"},
        OtherType{"text_as_numeric", "cost_usd", "text DEFAULT '0'", "'0.000678160265'", "0.000678160265",
                  "0.000678160265"},
        OtherType{"integer", "duration_ms", "integer", "7", "7", "7"},
        OtherType{"generated", "duration_ms", "numeric GENERATED ALWAYS AS (length(metadata ->> 'run_id')) STORED",
                  "DEFAULT", "NULL", "5"},
        OtherType{"interval", "duration_ms", "interval", "'00:00:40'", "NULL", "00:00:40"},
        OtherType{"epoch", "response_timestamp", "bigint", "1756434938214", "NULL", "1756434938214"},
        OtherType{"composite", "cost_usd", "public.price", "ROW(1, 'USD')", "NULL", "(1,USD)"},
        OtherType{"too_large", "cost_usd", "double precision", "9e15", "NULL", "9e+15"},
        OtherType{"no_time", "response_timestamp", "text", "'infinity'", "NULL", "infinity"},
        OtherType{"a_word_for_a_time", "response_timestamp", "text", "'now'", "NULL", "now"},
        OtherType{"no_time_without_zone", "request_timestamp", "timestamp", "'-infinity'", "NULL", "-infinity"},
        OtherType{"far_date", "request_timestamp", "date", "'10000-01-01'", "NULL", "10000-01-01"},
        OtherType{"time_without_zone", "request_timestamp", "timestamp DEFAULT now()", "'2025-08-29 02:35:38'",
                  "2025-08-29 02:35:38+00", "2025-08-29 02:35:38"},
        OtherType{"text_as_time", "response_timestamp", "text", "'2025-08-29T04:35:38+02:00'", "2025-08-29 02:35:38+00",
                  "2025-08-29T04:35:38+02:00"},
        OtherType{"a_run_id_of_its_own", "run_id", "integer", "7", "run-1", "7"},
        OtherType{"a_group_of_its_own", "group_key", "integer", "7", "group-1", "7"},
        OtherType{"a_note_of_its_own", "cost_note", "text", "'dear'", "NULL", "dear"},
        OtherType{"a_name_of_ours", "application_id", "text", "'studio'", "NULL", "studio"}),
    [](const auto& row) { return row.param.name; });

// What an application, a DBA or an ORM's migration may do to the table by its old name.
struct Statement {
    const char* name;
    const char* sql;
    const char* refusal;  // Empty: it works.
};
class AdoptedView : public Adopt {};

TEST_F(AdoptedView, TakesWhatTheDocumentSaysAndRefusesTheRest) {
    make_legacy_table(5);
    run("CREATE TABLE public.pictures (generation_id bigint REFERENCES public.generations ON DELETE CASCADE);"
        "INSERT INTO public.pictures VALUES (1)");
    ASSERT_TRUE(tool({"migrate", "--adopt", "--yes"}).status.clean());
    const std::string document = read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "docs/dba.md");

    const bool merges_into_views = value("SELECT current_setting('server_version_num')::int >= 170000") == "t";
    for (const Statement& statement : std::vector<Statement>{
             {"INSERT … RETURNING", "INSERT INTO public.generations (metadata) VALUES ('{}') RETURNING id", ""},
             {"ON CONFLICT (column)",
              "INSERT INTO public.generations (id, metadata) VALUES (1, '{}') ON CONFLICT (id) DO UPDATE SET note = "
              "'x'",
              ""},
             {"SELECT … FOR UPDATE", "SELECT 1 FROM public.generations WHERE id = 1 FOR UPDATE", ""},
             {"COPY (SELECT …) TO", "COPY (SELECT * FROM public.generations) TO '/dev/null'", ""},
             {"COPY … TO", "COPY public.generations TO '/dev/null'", "cannot copy from view"},
             {"COPY … FROM", "COPY public.generations (metadata) FROM '/dev/null'", "cannot copy to view"},
             {"TRUNCATE", "TRUNCATE public.generations CASCADE", "is not a table"},
             {"ON CONFLICT ON CONSTRAINT",
              "INSERT INTO public.generations (id) VALUES (1) ON CONFLICT ON CONSTRAINT generations_pkey DO NOTHING",
              "does not exist"},
             {"MERGE",
              "MERGE INTO public.generations AS g USING (VALUES (1)) AS s (id) ON g.id = s.id "
              "WHEN MATCHED THEN UPDATE SET note = 'm'",
              merges_into_views ? "" : "MERGE"},
             {"REFERENCES", "CREATE TABLE public.likes (generation_id bigint REFERENCES public.generations (id))",
              "is not a table"},
             {"ALTER TABLE … ADD COLUMN", "ALTER TABLE public.generations ADD COLUMN colour text",
              "cannot be performed"},
             {"CREATE INDEX", "CREATE INDEX ON public.generations (note)", "cannot create index"},
             {"CREATE TRIGGER … FOR EACH ROW",
              "CREATE TRIGGER t AFTER INSERT ON public.generations FOR EACH ROW EXECUTE FUNCTION "
              "suppress_redundant_updates_trigger()",
              "is a view"},
             {"DROP TABLE", "DROP TABLE public.generations", "is not a table"},
             {"nextval", "SELECT nextval('public.generations_id_seq')", "does not exist"},
         }) {
        std::string refusal;
        try {
            run(statement.sql);
        } catch (const std::exception& error) {
            refusal = error.what();
        }
        EXPECT_EQ(refusal.empty(), std::string_view(statement.refusal).empty()) << statement.name << ": " << refusal;
        EXPECT_THAT(refusal, HasSubstr(statement.refusal)) << statement.name;
        EXPECT_NE(document.find(fmt::format("`{}`", statement.name)), std::string::npos)
            << "docs/dba.md does not say what becomes of " << statement.name;
    }

    run("DELETE FROM public.generations WHERE id = 1");
    EXPECT_EQ(value("SELECT count(*) FROM public.pictures"), "0") << "a foreign key that was there follows the table";
    // As docs/dba.md has a column added.
    run("ALTER TABLE runledger.generations ADD COLUMN colour text;"
        "CREATE OR REPLACE VIEW public.generations AS "
        "SELECT id, metadata, status, note, created_at, colour FROM runledger.generations;"
        "UPDATE public.generations SET colour = 'red' WHERE id = 2");
    EXPECT_TRUE(tool({"migrate"}).status.clean());
}

TEST_F(Adopt, SaysWhatTheViewRefusesAndWhichEndingsHaveNoTime) {
    make_legacy_table(9);
    run("ALTER TABLE public.generations ADD COLUMN cost_usd numeric; UPDATE public.generations SET cost_usd = 2 WHERE "
        "status = 'completed'");

    const Finished planned = tool({"migrate", "--adopt"});
    ASSERT_EQ(planned.status.code, 3) << planned.output;
    EXPECT_THAT(planned.output, HasSubstr("COPY, TRUNCATE, MERGE, ON CONFLICT ON CONSTRAINT, new foreign keys, ALTER "
                                          "TABLE, CREATE INDEX and DROP TABLE"));
    EXPECT_THAT(planned.output, HasSubstr("3 of its rows have ended but have no response_timestamp"));
    ASSERT_TRUE(tool({"migrate", "--adopt", "--requested-at", "created_at", "--ended-at", "created_at", "--yes"})
                    .status.clean());

    EXPECT_EQ(value("SELECT sum(cost_usd) FROM runledger.day_costs_v1"), "6");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE request_timestamp IS DISTINCT FROM created_at"),
              "0");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.settle_queue"), "0");
}

TEST_F(Adopt, IsRefusedOnceThereIsALedger) {
    migrate();
    make_legacy_table(10);

    const Finished refused = tool({"migrate", "--adopt", "--yes"});

    EXPECT_EQ(refused.status.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("there is a runledger.generations already"));
}

}  // namespace
}  // namespace runledger::test
