// The look at the queue: what it finds, and what it passes to find it.
#include <fmt/format.h>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class SettleQueue : public Ledger {
protected:
    void execute(const std::string& statements) {
        pqxx::nontransaction work(db());
        work.exec(statements);
    }
    void eventually_is_empty() {
        eventually(
            "the queue is empty", [&] { return count("settle_queue") == 0; }, std::chrono::seconds{60});
    }
    // What ended sessions have read of the indexes that order the queue.
    std::int64_t entries_read() {
        execute("SELECT pg_stat_clear_snapshot()");
        return std::stoll(
            value("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'settle_queue' AND "
                  "indexrelname <> 'settle_queue_pkey'"));
    }
};

// By its name: the value of PostgreSQL's plan_cache_mode. A session that comes through a pooler makes a plan for each
// look, as by force_custom_plan.
class SettleQueuePlanned : public SettleQueue, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(By, SettleQueuePlanned, testing::Values("auto", "force_custom_plan"),
                         [](const auto& mode) { return std::string(mode.param); });

// As behind a pg_dump of hours: the entries that were settled stay in the index. And the table's statistics, which are
// of an empty queue, say nothing of those that wait.
TEST_P(SettleQueuePlanned, IsNotReadFromTheStartBehindALongSnapshot) {
    constexpr int entries = 10'000;
    execute(fmt::format("ALTER DATABASE {} SET plan_cache_mode = {}", db().dbname(), GetParam()));
    const auto dump = another_connection();
    pqxx::transaction<pqxx::isolation_level::repeatable_read> snapshot(*dump);
    snapshot.exec("SELECT count(*) FROM runledger.settle_queue");
    {
        const RunningSettlers settlers(daemon_uri());
        execute(fmt::format(
            "INSERT INTO runledger.settle_queue (run_id) SELECT 'none-' || i FROM generate_series(1, {}) i", entries));
        eventually_is_empty();
    }
    eventually("the sessions have ended", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd settle%' AND "
                   "datname = current_database()") == "0";
    });

    eventually("the reads are known", [&] { return entries_read() >= entries; });
    EXPECT_LT(entries_read(), 20 * entries);
}

// A transaction of the application's that began before others, and commits after them.
TEST_F(SettleQueue, FindsWhatAnOlderTransactionCommitsLate) {
    const RunningSettlers settlers(daemon_uri());
    const auto application = another_connection();
    pqxx::work late(*application);
    late.exec("INSERT INTO runledger.settle_queue (run_id) VALUES ('late')");
    for (int i = 0; i < 20; ++i) {
        execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('soon')");
        eventually_is_empty();
    }
    const auto rolled_back = another_connection();
    {
        pqxx::work gone(*rolled_back);
        gone.exec("INSERT INTO runledger.settle_queue (run_id) VALUES ('gone')");
    }

    late.commit();

    eventually_is_empty();
}

// Another daemon has taken an entry, and dies before it has settled it.
TEST_F(SettleQueue, FindsWhatAnotherDaemonHadTaken) {
    execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('held')");
    const auto other = another_connection();
    auto dying = std::make_unique<pqxx::work>(*other);
    dying->exec("DELETE FROM runledger.settle_queue");
    const RunningSettlers settlers(daemon_uri());
    for (int i = 0; i < 20; ++i) {
        execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('soon')");
        eventually("the other is settled", [&] { return count("settle_queue") == 1; });
    }

    dying.reset();

    eventually_is_empty();
}

}  // namespace
}  // namespace runledger::test
