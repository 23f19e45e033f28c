#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <map>
#include <thread>

#include "daemon/database/schema.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/pgbouncer.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string mismatch_of(pqxx::connection& connection) {
    try {
        check_schema(connection);
    } catch (const SchemaMismatch& mismatch) {
        return mismatch.what();
    }
    return "none";
}

TEST_F(Ledger, RunsOnTheSchemaItKnows) { EXPECT_EQ(mismatch_of(db()), "none"); }

TEST_F(Ledger, RefusesAnOlderSchemaAndNamesTheCommand) {
    {
        pqxx::work work(db());
        work.exec("DELETE FROM runledger.schema_migrations WHERE version > 2");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), AllOf(HasSubstr("lacks the migrations 0003_index_generations, 0004_create_ledger"),
                                         HasSubstr("runledger --config FILE migrate")));
}

TEST_F(Ledger, RefusesAMissingSchema) {
    {
        pqxx::work work(db());
        work.exec("DROP SCHEMA runledger CASCADE");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), HasSubstr("has no schema runledger"));
}

// Its lock and its settings would stay with a session that is somebody else's next, as a second migrate's for ever.
TEST_F(Ledger, IsNotMigratedThroughAPooler) {
    const TempFolder folder;
    const PgBouncer pooler(folder, server(), {.mode = PoolMode::transaction, .size = 2});
    pqxx::connection pooled(pooler.uri(value("SELECT current_database()"), Logins::owner));

    EXPECT_THAT([&] { migrate(pooled, [](std::string_view) {}); },
                testing::ThrowsMessage<PoolerInTheWay>(HasSubstr("direct_uri")));
    EXPECT_EQ(value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
}

// Its text functions count bytes, and it takes bytes that are no text, so that the same event fails in one place only.
TEST_F(Ledger, RefusesADatabaseThatIsNotUtf8) {
    pqxx::nontransaction(db()).exec(
        "CREATE DATABASE plain_bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    pqxx::connection plain_bytes(server().uri("plain_bytes"));

    EXPECT_THAT([&] { migrate(plain_bytes, [](std::string_view) {}); },
                testing::ThrowsMessage<SchemaMismatch>(HasSubstr("encoding is SQL_ASCII")));
    EXPECT_THAT(mismatch_of(plain_bytes), HasSubstr("encoding is SQL_ASCII"));
}

TEST_F(Ledger, RefusesANewerSchema) {
    {
        pqxx::work work(db());
        work.exec(
            "INSERT INTO runledger.schema_migrations (version, name, digest) "
            "VALUES (9999, '9999_from_the_future', '')");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), AllOf(HasSubstr("newer than this build"), HasSubstr("9999_from_the_future")));
    EXPECT_THROW(migrate(db(), [](std::string_view) {}), SchemaMismatch);
}

TEST_F(Ledger, MigratesAgainWithoutDoingAnything) {
    std::vector<std::string> said;

    migrate(db(), [&](std::string_view sentence) { said.emplace_back(sentence); });

    EXPECT_EQ(said.size(), 1U) << said.front();
}

// This build's schema with one thing changed, as a later build's would be.
class ChangedSchema {
public:
    ChangedSchema()
        : migrations_(known_schema().migrations.begin(), known_schema().migrations.end()),
          functions_(known_schema().functions.begin(), known_schema().functions.end()),
          views_(known_schema().views.begin(), known_schema().views.end()) {}

    [[nodiscard]] SchemaSql schema() const {
        SchemaSql schema = known_schema();
        schema.migrations = migrations_;
        schema.functions = functions_;
        schema.views = views_;
        return schema;
    }
    void insert_migration(const schema_sql::Migration& migration) {
        migrations_.insert(
            std::ranges::lower_bound(migrations_, migration.version, {}, &schema_sql::Migration::version), migration);
    }
    void replace_in_migration(std::string_view name, std::string_view old_text, std::string_view new_text) {
        replace(migrations_, name, old_text, new_text);
    }
    void replace_in_function(std::string_view file, std::string_view old_text, std::string_view new_text) {
        replace(functions_, file, old_text, new_text);
    }
    void replace_in_view(std::string_view file, std::string_view old_text, std::string_view new_text) {
        replace(views_, file, old_text, new_text);
    }

private:
    template <class File>
    void replace(std::vector<File>& files, std::string_view file, std::string_view old_text,
                 std::string_view new_text) {
        const auto found = std::ranges::find(files, file, &File::name);
        ASSERT_NE(found, files.end()) << file;
        std::string& text = texts_.emplace_back(found->sql);
        const std::size_t at = text.find(old_text);
        ASSERT_NE(at, std::string::npos) << old_text;
        found->sql = text.replace(at, old_text.size(), new_text);
    }

    std::vector<schema_sql::Migration> migrations_;
    std::vector<schema_sql::Definition> functions_;
    std::vector<schema_sql::Definition> views_;
    std::deque<std::string> texts_;
};

std::vector<std::string> migrate_to(pqxx::connection& connection, const SchemaSql& schema) {
    std::vector<std::string> said;
    migrate(
        connection, [&](std::string_view sentence) { said.emplace_back(sentence); }, nullptr, schema);
    return said;
}

// Such as a build between two releases, whose migrations could still be edited.
TEST_F(Ledger, RefusesADatabaseOfAnotherBuildBeforeAnythingIsChanged) {
    ChangedSchema other;
    other.replace_in_migration("0002_create_generations", "CREATE TABLE", "CREATE  TABLE");
    other.insert_migration({9001, "9001_of_the_other_build", "CREATE TABLE runledger.of_the_other_build (a int)"});
    const auto names_it = testing::ThrowsMessage<SchemaMismatch>(
        AllOf(HasSubstr("made by another build"), HasSubstr("its migrations 0002_create_generations are not")));

    EXPECT_THAT([&] { migrate_to(db(), other.schema()); }, names_it);
    EXPECT_THAT([&] { check_schema(db(), other.schema()); }, names_it);

    EXPECT_EQ(value("SELECT to_regclass('runledger.of_the_other_build') IS NULL"), "t");
    EXPECT_EQ(mismatch_of(db()), "none");
}

TEST_F(Ledger, RefusesADatabaseWhoseBuildWroteNoDigestsDown) {
    {
        pqxx::work work(db());
        work.exec("ALTER TABLE runledger.schema_migrations DROP COLUMN digest");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), HasSubstr("its migrations 0001_create_schema, 0002_create_generations, 0003"));
}

// What each function, view and trigger of the schema says, by its name.
std::map<std::string, std::string> definitions_of(pqxx::connection& connection) {
    pqxx::work work(connection);
    std::map<std::string, std::string> definitions;
    for (const auto& row :
         work.exec("SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc AS p "
                   "WHERE p.pronamespace = 'runledger'::regnamespace UNION ALL "
                   "SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class AS c "
                   "WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind = 'v' UNION ALL "
                   "SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t WHERE NOT t.tgisinternal")) {
        definitions.emplace(row[0].as<std::string>(), row[1].as<std::string>());
    }
    return definitions;
}

TEST_F(Ledger, AppliesAMigrationThatIsNumberedBelowTheHighest) {
    ChangedSchema later;
    later.insert_migration({9002, "9002_from_another_branch", "CREATE TABLE runledger.from_another_branch (a int)"});
    migrate_to(db(), later.schema());
    later.insert_migration({9001, "9001_in_between", "CREATE TABLE runledger.in_between (a int)"});
    EXPECT_THROW(check_schema(db(), later.schema()), SchemaMismatch);

    const auto said = migrate_to(db(), later.schema());

    ASSERT_EQ(said.size(), 2U) << said.front();
    EXPECT_EQ(said.front(), "applied 9001_in_between");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.in_between"), "0");
    EXPECT_NO_THROW(check_schema(db(), later.schema()));
    EXPECT_EQ(migrate_to(db(), later.schema()).size(), 1U);
}

TEST_F(Ledger, ChangesTheFunctionThatChangedAndTheDigest) {
    const auto before = definitions_of(db());
    ChangedSchema later;
    later.replace_in_function("masked_links", "'?…'", "'?masked'");
    EXPECT_THROW(check_schema(db(), later.schema()), SchemaMismatch);

    const auto said = migrate_to(db(), later.schema());

    EXPECT_THAT(said, ElementsAre(HasSubstr("digest " + digest_of(later.schema())), HasSubstr("is this build's")));
    std::vector<std::string> changed;
    for (const auto& [name, definition] : definitions_of(db())) {
        if (before.at(name) != definition) {
            changed.push_back(name);
        }
    }
    EXPECT_THAT(changed, ElementsAre("runledger.masked_url(text)"));
    EXPECT_EQ(value("SELECT digest FROM runledger.schema_definitions"), digest_of(later.schema()));
    EXPECT_THAT(mismatch_of(db()), AllOf(HasSubstr("functions, views and triggers are not this build's"),
                                         HasSubstr(digest_of(later.schema())), HasSubstr(digest_of(known_schema()))));
    migrate_to(db(), known_schema());
    EXPECT_EQ(definitions_of(db()), before);
}

// CREATE OR REPLACE would refuse it; what others read it by, and the views made of it, stay.
TEST_F(Ledger, MakesAViewAnewWhoseColumnsChanged) {
    {
        pqxx::work work(db());
        work.exec("CREATE ROLE finance; GRANT SELECT ON runledger.report_days_v1 TO finance");
        work.commit();
    }
    ChangedSchema later;
    later.replace_in_view("report_days_v1", "SELECT day, begins_at, ends_at FROM days",
                          "SELECT day, ends_at, begins_at FROM days");

    migrate_to(db(), later.schema());

    EXPECT_EQ(value("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute "
                    "WHERE attrelid = 'runledger.report_days_v1'::regclass AND attnum > 0"),
              "day ends_at begins_at");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.day_costs_v1"), "0");
    EXPECT_EQ(value("SELECT string_agg(has_table_privilege(r, 'runledger.report_days_v1', 'SELECT')::text, ' ') "
                    "FROM unnest(ARRAY['finance', 'runledger_reader', 'runledger_application']) AS r"),
              "true true false");
    EXPECT_EQ(value("SELECT relowner::regrole FROM pg_class WHERE oid = 'runledger.report_days_v1'::regclass"),
              "runledger_owner");
}

// A later release's, which CREATE OR REPLACE refuses, or which would stay beside the old one.
struct ChangedFunction {
    const char* name;
    const char* file;
    const char* old_text;
    const char* new_text;
    const char* old_comment{""};
    const char* new_comment{""};
};

void PrintTo(const ChangedFunction& changed, std::ostream* out) { *out << changed.name; }

class ChangedSignature : public Ledger, public testing::WithParamInterface<ChangedFunction> {};

TEST_P(ChangedSignature, IsWhatTheSchemaHasAfterwards) {
    const auto before = definitions_of(db());
    {
        pqxx::work work(db());
        work.exec(
            "CREATE ROLE month_closer; GRANT EXECUTE ON FUNCTION runledger.close_period(text, boolean) TO month_closer;"
            "GRANT SELECT ON runledger.day_costs_v1 TO month_closer");
        work.commit();
    }
    ChangedSchema later;
    later.replace_in_function(GetParam().file, GetParam().old_text, GetParam().new_text);
    later.replace_in_function(GetParam().file, GetParam().old_comment, GetParam().new_comment);

    migrate_to(db(), later.schema());

    EXPECT_NO_THROW(check_schema(db(), later.schema()));
    EXPECT_NE(definitions_of(db()), before);
    EXPECT_EQ(definitions_of(db()).size(), before.size()) << "the old one is still there";
    EXPECT_EQ(value("SELECT concat_ws(' ', has_function_privilege('month_closer', "
                    "'runledger.close_period(text, boolean)', 'EXECUTE'), has_function_privilege('runledger_reader', "
                    "'runledger.close_period(text, boolean)', 'EXECUTE'), "
                    "has_table_privilege('month_closer', 'runledger.day_costs_v1', 'SELECT'))"),
              "t f t");
    migrate_to(db(), known_schema());
    EXPECT_EQ(definitions_of(db()), before);
    pqxx::work work(db());
    work.exec("DROP OWNED BY month_closer; DROP ROLE month_closer");
    work.commit();
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, ChangedSignature,
    testing::Values(ChangedFunction{"returns_more", "periods", "OUT restated_usd numeric)",
                                    "OUT restated_usd numeric, OUT of_a_later_build text)"},
                    ChangedFunction{"returns_another_type_to_views", "reports",
                                    "FUNCTION runledger.report_time_zone() RETURNS text",
                                    "FUNCTION runledger.report_time_zone() RETURNS varchar"},
                    ChangedFunction{"names_an_argument_anew", "periods", "runledger.check_is_month(p_period text)",
                                    "runledger.check_is_month(p_month text)"},
                    ChangedFunction{"has_one_more_argument", "periods", "runledger.next_period(period text)",
                                    "runledger.next_period(period text, of_a_later_build text DEFAULT '')",
                                    "ON FUNCTION runledger.next_period(text)",
                                    "ON FUNCTION runledger.next_period(text, text)"},
                    ChangedFunction{"is_called_otherwise", "periods",
                                    "FUNCTION runledger.check_sees_commits() RETURNS void",
                                    "FUNCTION runledger.check_that_commits_are_seen() RETURNS void",
                                    "ON FUNCTION runledger.check_sees_commits()",
                                    "ON FUNCTION runledger.check_that_commits_are_seen()"}),
    [](const testing::TestParamInfo<ChangedFunction>& changed) { return changed.param.name; });

TEST_F(Ledger, LetsTwoMigrationsAtOnceWaitForEachOther) {
    server().create_database("empty_for_two", "template1");
    const auto migrate_it = [] {
        const auto connection = connect_to(server().uri("empty_for_two"));
        migrate(*connection, [](std::string_view) {});
    };
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            migrate_it();
        } catch (...) {
            failure = std::current_exception();  // Told below, on the test's own thread.
        }
    });

    migrate_it();
    other.join();

    EXPECT_EQ(failure, nullptr);
    EXPECT_EQ(mismatch_of(*connect_to(server().uri("empty_for_two"))), "none");
}

TEST_F(Ledger, CommentsOnEverything) {
    EXPECT_EQ(
        value("SELECT coalesce(string_agg(c.relname || '.' || a.attname, ', '), '') FROM pg_class c "
              "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
              "WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
              "AND col_description(c.oid, a.attnum) IS NULL"),
        "");
    EXPECT_EQ(value("SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class WHERE relnamespace = "
                    "'runledger'::regnamespace "
                    "AND relkind IN ('r', 'p', 'v') AND obj_description(oid, 'pg_class') IS NULL"),
              "");
    EXPECT_EQ(value("SELECT coalesce(string_agg(proname, ', '), '') FROM pg_proc WHERE pronamespace = "
                    "'runledger'::regnamespace "
                    "AND obj_description(oid, 'pg_proc') IS NULL"),
              "");
}

}  // namespace
}  // namespace runledger::test
