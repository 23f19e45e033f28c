// The settlement race, forced both ways with a real Settler: whichever side commits last is seen.
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class SettleRace : public Ledger {
protected:
    // From the later commit: the issue's "within a second".
    void expect_settled() {
        eventually(
            "the run is settled", [&] { return value("SELECT status FROM runledger.generations") == "completed"; },
            std::chrono::seconds{1} * patience_factor);
        eventually("the queue is empty", [&] { return count("settle_queue") == 0; });
        EXPECT_EQ(count("settlements"), 1);
        EXPECT_EQ(count("notifications"), 1);
    }

    void queue_is_worked_off() {
        eventually("the queue is empty", [&] { return count("settle_queue") == 0; });
    }

    void insert_generation_in(pqxx::work& work) {
        work.exec(
            R"(INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "run-1", "telegramChatId": 42}'))");
    }

    TurnResult apply_in(pqxx::work& work) {
        const wire::Batch* view = &ending_.batch();
        return write_turn(work, {&view, 1}, ApplyMode::together);
    }

private:
    MadeBatch ending_{{segment(1), 0},
                      {{event_text({.status = "running"}), 0},
                       {event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 1'000'000}}};
    RunningSettlers settlers_{daemon_uri()};
};

TEST_F(SettleRace, SeesTheApplicationThatCommitsLast) {
    const auto application = another_connection();
    pqxx::work application_work(*application);
    insert_generation_in(application_work);
    const auto daemon = another_connection();
    pqxx::work apply_work(*daemon);
    apply_in(apply_work);

    apply_work.commit();
    queue_is_worked_off();  // With the application's transaction still open.
    EXPECT_EQ(count("settlements"), 0);
    application_work.commit();

    expect_settled();
}

TEST_F(SettleRace, SeesTheApplyThatCommitsLast) {
    const auto daemon = another_connection();
    pqxx::work apply_work(*daemon);
    apply_in(apply_work);
    const auto application = another_connection();
    pqxx::work application_work(*application);
    insert_generation_in(application_work);

    application_work.commit();
    queue_is_worked_off();  // With apply's transaction still open.
    EXPECT_EQ(count("settlements"), 0);
    apply_work.commit();

    expect_settled();
}

TEST_F(SettleRace, SeesARunIdThatIsWrittenLater) {
    {
        pqxx::work work(db());
        work.exec(R"(INSERT INTO runledger.generations (metadata) VALUES ('{"telegramChatId": 42}'))");
        apply_in(work);
        work.commit();
    }
    queue_is_worked_off();

    {
        pqxx::work work(db());
        work.exec(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "run-1"}')");
        work.commit();
    }

    expect_settled();
}

TEST_F(SettleRace, SettlesALockedRowOnceItsLockIsGone) {
    {
        pqxx::work work(db());
        insert_generation_in(work);
        work.commit();
    }
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("UPDATE runledger.generations SET request_payload = '{}'");
    {
        pqxx::work work(db());
        apply_in(work);
        work.commit();
    }
    eventually("the row is found locked", [&] { return count("settle_queue WHERE last_error LIKE 'locked%'") > 0; });

    lock.commit();

    expect_settled();
}

}  // namespace
}  // namespace runledger::test
