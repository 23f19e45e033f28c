#include <gmock/gmock.h>

#include <exception>
#include <thread>

#include "daemon/database/schema.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

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

    EXPECT_THAT(mismatch_of(db()), HasSubstr("runledger --config FILE migrate"));
}

TEST_F(Ledger, RefusesAMissingSchema) {
    {
        pqxx::work work(db());
        work.exec("DROP SCHEMA runledger CASCADE");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), HasSubstr("has version 0"));
}

TEST_F(Ledger, RefusesANewerSchema) {
    {
        pqxx::work work(db());
        work.exec("INSERT INTO runledger.schema_migrations (version, name) VALUES (9999, '9999_from_the_future')");
        work.commit();
    }

    EXPECT_THAT(mismatch_of(db()), HasSubstr("newer than this build"));
    EXPECT_THROW(migrate(db(), [](std::string_view) {}), SchemaMismatch);
}

TEST_F(Ledger, MigratesAgainWithoutDoingAnything) {
    std::vector<std::string> said;

    migrate(db(), [&](std::string_view sentence) { said.emplace_back(sentence); });

    EXPECT_EQ(said.size(), 1U) << said.front();
}

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
