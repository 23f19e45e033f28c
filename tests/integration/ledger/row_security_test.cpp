// Row-level security that the application turns on for the table that it shares with the daemon.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class RowSecurity : public Ledger {
protected:
    void SetUp() override {
        if (cluster_kind().has_row_security) {
            GTEST_SKIP() << "the daemon's role has BYPASSRLS in such a cluster";
        }
    }
    void dba_does(const std::string& sql) {
        pqxx::nontransaction work(db());
        work.exec(sql);
    }
};

TEST_F(RowSecurity, KeepsARunInTheQueueWithTheReasonUntilTheDaemonMaySeeItsRow) {
    dba_does("ALTER TABLE runledger.generations ENABLE ROW LEVEL SECURITY");
    dba_does("CREATE POLICY tenants ON runledger.generations TO runledger_application USING (true) WITH CHECK (true)");
    const RunningSettlers settlers(daemon_uri());

    insert_generation("rls-1");
    apply_events(
        {{event_text({.run_id = "rls-1"}), 0}, {event_text({.run_id = "rls-1", .status = "success"}), 1'000'000}});

    const auto reason = [&] {
        return value("SELECT coalesce(max(last_error), '') FROM runledger.unsettled_v1 WHERE run_id = 'rls-1'");
    };
    eventually("unsettled_v1 has the reason", [&] { return !reason().empty(); });
    EXPECT_THAT(reason(), HasSubstr("row-level security"));
    EXPECT_EQ(value("SELECT status FROM runledger.generations"), "pending");
    EXPECT_GT(count("settle_queue"), 0);
    dba_does("ALTER TABLE runledger.generations DISABLE ROW LEVEL SECURITY");
    eventually(
        "it is settled", [&] { return count("generations WHERE status = 'completed'") == 1; },
        std::chrono::seconds{60});
    EXPECT_EQ(count("settle_queue"), 0);
}

}  // namespace
}  // namespace runledger::test
