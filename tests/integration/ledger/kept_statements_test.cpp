// A session that is ours alone keeps the statements that it is asked again and again; one behind a pooler does not.
#include "daemon/database/transaction.hpp"
#include "queries/notify.hpp"
#include "queries/settle.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/pgbouncer.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

class KeptStatements : public Ledger {
protected:
    // Asks as settle does; returns how many statements the session holds then.
    static int kept_after_asking(Database& database) {
        Transaction work(database, {});
        EXPECT_EQ(ask(work, queries::settle::take_new, 1, "0", 0).size(), 0U);
        EXPECT_TRUE(ask1(work, queries::notify::next_due)[0].is_null());
        const int kept = work.run1("SELECT count(*) FROM pg_prepared_statements")[0].as<int>();
        database.commit(work);
        return kept;
    }
};

TEST_F(KeptStatements, AreOneForEachQueryHoweverOftenItIsAsked) {
    Database database(direct_daemon_uri(), "test");

    EXPECT_EQ(kept_after_asking(database), 2);
    EXPECT_EQ(kept_after_asking(database), 2);
}

TEST_F(KeptStatements, ArePreparedAnewInTheNextSession) {
    Database database(direct_daemon_uri(), "test");
    EXPECT_EQ(kept_after_asking(database), 2);

    database.disconnect();

    EXPECT_EQ(kept_after_asking(database), 2);
}

TEST_F(KeptStatements, AreNoneBehindAPooler) {
    const TempFolder folder;
    const PgBouncer pooler(folder, server(), {.mode = PoolMode::transaction, .size = 2});
    const std::string name = value("SELECT current_database()");
    Database one(pooler.uri(name, Logins::daemon), "test");
    Database other(pooler.uri(name, Logins::daemon), "test");
    Transaction work(one, {});  // Holds one of the two sessions.
    EXPECT_EQ(ask(work, queries::settle::take_new, 1, "0", 0).size(), 0U);

    EXPECT_EQ(kept_after_asking(other), 0);

    one.commit(work);
    EXPECT_EQ(kept_after_asking(other), 0);
}

TEST_F(KeptStatements, SurviveATransactionThatFailed) {
    Database database(direct_daemon_uri(), "test");
    try {
        Transaction work(database, {});
        EXPECT_EQ(ask(work, queries::settle::take_new, 1, "0", 0).size(), 0U);
        work.run("SELECT 1 / 0");
        ADD_FAILURE() << "a division by zero was taken";
    } catch (const pqxx::sql_error&) {
        // As a turn fails that meets a trigger of the application's.
    }

    EXPECT_EQ(kept_after_asking(database), 2);
}

}  // namespace
}  // namespace runledger::test
