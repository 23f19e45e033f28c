// The outbox wakes its daemons by itself: LISTEN on a real PostgreSQL, with a poll that never comes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/notify/outbox_listener.hpp"
#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/pgbouncer.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

class NotifyListen : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        tuning_.poll_interval = std::chrono::hours{1};
        listener_ = std::make_unique<OutboxListener>(direct_daemon_uri(), wakeup_,
                                                     [this](int backend) { return backend == told_backend_.load(); });
        listens();
        // Sent once the listener's thread knows that it listens; the server knows it a little earlier.
        eventually("the notice that it begins with has come", [this] { return wakeup_.take_notice(); });
    }

    void TearDown() override {
        listener_.reset();
        NotifyFixture::TearDown();
    }

    void listens() {
        eventually("somebody listens", [&] {
            return value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd listen' "
                       "AND query LIKE '%LISTEN%' AND state = 'idle' AND datname = current_database()") == "1";
        });
    }

    Wakeup wakeup_;
    std::atomic<int> told_backend_{0};
    std::unique_ptr<OutboxListener> listener_;
};

TEST_F(NotifyListen, HearsOfASettlementOfAnotherDaemon) {
    EXPECT_FALSE(wakeup_.take_notice());

    settle_somewhere();

    eventually("the notice comes", [&] { return wakeup_.take_notice(); });
}

TEST_F(NotifyListen, PassesByWhatTheOutboxIsWokenOfAnyway) {
    const auto ours = connect_to(uri_);
    told_backend_ = ours->backendpid();
    pqxx::nontransaction(*ours).exec("NOTIFY runledger_outbox");
    pqxx::nontransaction(*ours).exec("NOTIFY runledger_settled");
    const auto theirs = connect_to(uri_);
    EXPECT_FALSE(wakeup_.take_notice());

    pqxx::nontransaction(*theirs).exec("NOTIFY runledger_outbox");  // Behind ours, in their order of commit.

    eventually("the notice comes", [&] { return wakeup_.take_notice(); });
    EXPECT_FALSE(wakeup_.take_notice());
}

TEST_F(NotifyListen, ListensAgainAfterItsConnectionIsLost) {
    execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runledgerd listen'");
    eventually("it is back, and wakes for what it did not hear", [&] { return wakeup_.take_notice(); });
    listens();

    settle_somewhere();

    eventually("the notice comes", [&] { return wakeup_.take_notice(); });
}

// A session of the pooler's would go on listening for whoever has it next.
TEST_F(NotifyListen, IsNotTriedThroughAPooler) {
    const TempFolder folder;
    const PgBouncer pooler(folder, postgres(), {.mode = PoolMode::transaction, .size = 2});
    Wakeup wakeup;
    const std::string database = value("SELECT current_database()");

    const OutboxListener listener(pooler.uri(database, Logins::daemon), wakeup);

    eventually("it says so", [&] { return !log_.lines_with("LISTEN is not possible").empty(); });
    EXPECT_EQ(log_.lines_with("direct_uri").size(), 1U);
    EXPECT_EQ(value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND application_name NOT LIKE "
                    "'%listen' AND datname = current_database()"),
              "0");
}

}  // namespace
}  // namespace runledger::test
