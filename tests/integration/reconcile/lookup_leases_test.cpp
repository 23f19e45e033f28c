// Leases between daemons: a look-up that one daemon holds, another leaves alone.
#include "daemon/reconcile/lookups.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class LookupLeases : public Ledger {
protected:
    void execute(const std::string& statements) {
        pqxx::nontransaction work(db());
        work.exec(statements);
    }
    void there_is_a_silent_run() {
        apply_events({{event_text({.run_id = "silent", .status = "queued"}), 0}});
        execute(
            "UPDATE runledger.runs SET applied_at = now() - interval '1 hour', quiet_from = now() - interval '1 hour'");
    }
    void another_daemon_holds_it(std::string_view until = "1 hour") {
        execute("UPDATE runledger.reconcile_lookups SET lease_owner = 'other', lease_until = now() + interval '" +
                std::string(until) + "'");
    }
    [[nodiscard]] std::string the_row() { return value("SELECT l::text FROM runledger.reconcile_lookups AS l"); }

    Lookups lookups_{{.uri = daemon_uri(),
                      .lease_owner = "here",
                      .lease = std::chrono::hours{1},
                      .silence = {},
                      .lookback = std::chrono::hours{24 * 7}}};
};

TEST_F(LookupLeases, AreNotTakenBeforeTheyRunOut) {
    there_is_a_silent_run();
    ASSERT_EQ(lookups_.lease(8).size(), 1U);
    another_daemon_holds_it();

    EXPECT_EQ(lookups_.lease(8).size(), 0U);

    another_daemon_holds_it("-1 second");
    EXPECT_EQ(lookups_.lease(8).size(), 1U);
}

TEST_F(LookupLeases, LeaveTheRowToItsNewOwner) {
    there_is_a_silent_run();
    ASSERT_EQ(lookups_.lease(8).size(), 1U);
    another_daemon_holds_it();
    const std::string before = the_row();

    lookups_.postpone({.run_id = "silent", .delay = std::chrono::minutes{1}, .error = "late"});

    EXPECT_EQ(the_row(), before);
}

TEST_F(LookupLeases, KeepARunThatIsHeardOfUntilItsLookUpEnds) {
    there_is_a_silent_run();
    ASSERT_EQ(lookups_.lease(8).size(), 1U);
    another_daemon_holds_it();
    apply_events({{event_text({.run_id = "silent", .status = "running"}), 1}});

    (void)lookups_.lease(8);
    EXPECT_EQ(count("reconcile_lookups"), 1);

    another_daemon_holds_it("-1 second");
    (void)lookups_.lease(8);
    EXPECT_EQ(count("reconcile_lookups"), 0);
}

}  // namespace
}  // namespace runledger::test
