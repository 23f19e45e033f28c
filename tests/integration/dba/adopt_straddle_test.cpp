// What the triggers of an adopted table take from a setting: also in a transaction of the application that sees no
// commit since its first statement, and in a session that has kept its plans.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

// A transaction of a connection of its own. It has its snapshot.
class OldSnapshot {
public:
    explicit OldSnapshot(const std::string& uri, std::string_view isolation = "REPEATABLE READ")
        : connection_(connect_to(uri)), work_(std::make_unique<pqxx::work>(*connection_)) {
        work_->exec(fmt::format("SET TRANSACTION ISOLATION LEVEL {}, READ WRITE", isolation));
        work_->exec("SELECT count(*) FROM pg_catalog.pg_class");
    }

    void run(const std::string& statements) { work_->exec(statements); }
    [[nodiscard]] std::string value(const std::string& query) {
        return libpqxx::run1(*work_, query)[0].as<std::string>();
    }
    void commit() { work_->commit(); }

private:
    std::unique_ptr<pqxx::connection> connection_;
    std::unique_ptr<pqxx::work> work_;
};

class AdoptStraddle : public Dba {
protected:
    // Some rows of an application that calls the ledger's five statuses by its own words.
    void make_table() const {
        run(R"(
            CREATE TABLE public.generations (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text UNIQUE, metadata jsonb NOT NULL DEFAULT '{}',
                status text NOT NULL DEFAULT 'queued', cost_usd double precision, done_at timestamp);
            INSERT INTO public.generations (name) SELECT 'old-' || i FROM generate_series(1, 10) AS i)");
    }
    [[nodiscard]] Finished adopt() const {
        const auto words = folder().write_file("words.toml", R"(pending = ["queued"]
processing = ["working"]
completed = ["success", "paid"]
failed = ["broken"]
kept = ["paid"]
)");
        return tool({"migrate", "--adopt", "--status-words", words, "--ended-at", "done_at", "--yes"});
    }
    // An adopted table. The isolation, and all else that a session can choose, is a test's own.
    void make_adopted() const {
        make_table();
        const Finished adopted = adopt();
        ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    }
    [[nodiscard]] std::string uri() const { return server().uri(database()); }
    [[nodiscard]] std::string row(std::string_view name) const {
        return value(fmt::format(
            "SELECT concat_ws(' ', status, application_status, cost_usd) FROM runledger.generations WHERE name = '{}'",
            name));
    }
    // In a session that has kept the plans of its statement and of the triggers, and in an old transaction.
    void other_keys_are_taken() const {
        const auto session = connect_to(uri());
        pqxx::nontransaction work(*session);
        const std::string insert =
            "INSERT INTO runledger.generations (metadata) VALUES ('{\"tool\": \"a\", \"model\": \"b\"}') RETURNING "
            "tool_key";
        work.exec("PREPARE kept AS " + insert);
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(libpqxx::run1(work, "EXECUTE kept")[0].as<std::string>(), "a");
        }
        OldSnapshot older(uri());

        run("SELECT runledger.use_metadata_keys('tool_key', 'model')");

        EXPECT_EQ(libpqxx::run1(work, "EXECUTE kept")[0].as<std::string>(), "b");
        EXPECT_EQ(older.value(insert), "b");
    }
};

TEST_F(AdoptStraddle, GivesEachRowTheStatusThatItsWordMeans) {
    make_table();
    OldSnapshot repeatable(uri(), "REPEATABLE READ");
    OldSnapshot serializable(uri(), "SERIALIZABLE");
    Finished adopted;
    std::jthread adopting([&] { adopted = adopt(); });
    while (value("SELECT to_regclass('runledger.generations') IS NULL") == "t") {
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }

    // The table is adopted. Its indexes, built concurrently, wait for these transactions.
    for (OldSnapshot* application : {&repeatable, &serializable}) {
        const std::string name = application == &repeatable ? "repeatable" : "serializable";
        application->run(
            fmt::format("INSERT INTO public.generations (name) VALUES ('{0} waits'), ('{0} works');"
                        "INSERT INTO public.generations (name, status, cost_usd, done_at) VALUES ('{0} ended', "
                        "'success', 0.25, now());"
                        "UPDATE public.generations SET status = 'working' WHERE name = '{0} works'",
                        name));
        application->commit();
    }
    adopting.join();

    ASSERT_TRUE(adopted.status.clean()) << adopted.output;
    for (const std::string name : {"repeatable", "serializable"}) {
        EXPECT_EQ(row(name + " waits"), "pending queued");
        EXPECT_EQ(row(name + " works"), "processing working");
        EXPECT_EQ(row(name + " ended"), "completed success 0.25");
    }
}

TEST_F(AdoptStraddle, TakesAWordThatComesLater) {
    make_adopted();
    OldSnapshot application(uri());

    run("SET ROLE runledger_owner; INSERT INTO runledger.status_words (word, status, is_kept) VALUES ('refunded', "
        "'completed', true)");
    application.run("INSERT INTO public.generations (name, status) VALUES ('new', 'refunded')");
    application.commit();

    EXPECT_EQ(row("new"), "completed refunded");
}

// A session keeps its plans, with what they have taken from a function.
TEST_F(AdoptStraddle, TakesEachChangeOfTheWordsInASessionThatHasWrittenBefore) {
    make_adopted();
    const auto session = connect_to(uri());
    int number = 0;
    const auto insert = [&](std::string_view word) {
        const std::string name = fmt::format("row-{}", ++number);
        pqxx::work work(*session);
        work.exec(fmt::format("INSERT INTO public.generations (name, status) VALUES ('{}', '{}')", name, word));
        work.commit();
        return row(name);
    };
    const auto given = [&](std::string_view status) {
        const std::string name = fmt::format("row-{}", ++number);
        pqxx::work work(*session);
        work.exec(
            fmt::format("INSERT INTO public.generations (name, status) VALUES ('{0}', 'paid');"
                        "UPDATE runledger.generations SET status = '{1}' WHERE name = '{0}'",
                        name, status));
        work.commit();
        return row(name);
    };
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(insert("refunded"), "pending refunded");
        ASSERT_EQ(given("failed"), "failed paid");
    }

    run("INSERT INTO runledger.status_words (word, status) VALUES ('refunded', 'completed'), ('it''s \"gone\"\\', "
        "'failed')");
    EXPECT_EQ(insert("refunded"), "completed refunded");
    EXPECT_EQ(insert("it''s \"gone\"\\"), "failed it's \"gone\"\\");
    run("UPDATE runledger.status_words SET is_kept = false WHERE word = 'paid'");
    EXPECT_EQ(given("failed"), "failed broken");
    run("UPDATE runledger.status_words SET status = 'cancelled' WHERE word = 'refunded'");
    EXPECT_EQ(insert("refunded"), "cancelled refunded");
    run("DELETE FROM runledger.status_words WHERE word = 'refunded'");
    EXPECT_EQ(insert("refunded"), "pending refunded");
    OldSnapshot(uri(), "READ COMMITTED").run("TRUNCATE runledger.status_words");  // Not committed.
    EXPECT_EQ(insert("success"), "completed success");
    run("TRUNCATE runledger.status_words");
    EXPECT_EQ(insert("success"), "pending success");
}

TEST_F(AdoptStraddle, LosesNoWordOfTwoWhoChangeThemAtOnce) {
    make_adopted();
    OldSnapshot first(uri(), "READ COMMITTED");
    OldSnapshot older(uri());
    first.run("INSERT INTO runledger.status_words (word, status) VALUES ('one', 'failed')");
    std::atomic<bool> has_ended{false};
    std::string failure;
    std::jthread second([&] {
        try {
            run("INSERT INTO runledger.status_words (word, status) VALUES ('two', 'cancelled')");
        } catch (const std::exception& error) {
            failure = error.what();
        }
        has_ended = true;
    });
    while (!has_ended && value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }

    first.commit();
    second.join();
    EXPECT_EQ(failure, "");
    // It does not see them, so it could not put them in force.
    EXPECT_THROW(older.run("INSERT INTO runledger.status_words (word, status) VALUES ('three', 'completed')"),
                 pqxx::serialization_failure);

    run("INSERT INTO public.generations (name, status) VALUES ('one', 'one'), ('two', 'two'), ('three', 'three')");
    EXPECT_EQ(row("one"), "failed one");
    EXPECT_EQ(row("two"), "cancelled two");
    EXPECT_EQ(row("three"), "pending three");
}

// `migrate` puts in force what the table says, whatever was changed while the trigger was not there.
TEST_F(AdoptStraddle, KeepsTheWordsOverAnUpgrade) {
    make_adopted();
    run("DROP TRIGGER status_words_come_into_force ON runledger.status_words;"
        "INSERT INTO runledger.status_words (word, status) VALUES ('refunded', 'completed');"
        "UPDATE runledger.schema_definitions SET digest = 'of another build'");

    migrate();

    run("INSERT INTO public.generations (name, status) VALUES ('new', 'refunded'), ('old', 'broken')");
    EXPECT_EQ(row("new"), "completed refunded");
    EXPECT_EQ(row("old"), "failed broken");
}

TEST_F(AdoptStraddle, TakesOtherKeysOfMetadataInASessionThatHasWrittenBefore) {
    make_adopted();
    other_keys_are_taken();
}

TEST_F(AdoptStraddle, TakesThemLikewiseWhereTheColumnsAreGenerated) {
    migrate();
    other_keys_are_taken();
}

}  // namespace
}  // namespace runledger::test
