// What the application's locks, triggers and constraints can delay: their own row, and no other.
#include <fmt/format.h>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::steady_clock;

class SettleDelay : public Ledger {
protected:
    // A run that has ended, and its record: what the application does to it comes after or before.
    void arrive(const std::string& run_id) {
        insert_generation(run_id);
        apply_events(
            {{event_text({.run_id = run_id}), 0}, {event_text({.run_id = run_id, .status = "success"}), 1'000'000}});
    }
    [[nodiscard]] bool is_settled(const std::string& run_id) {
        return count(fmt::format("generations WHERE run_id = '{}' AND status = 'completed'", run_id)) == 1;
    }
    // The "within a second", from the later of the two commits.
    void expect_settled_soon(const std::string& run_id) {
        eventually(
            run_id + " is settled within a second", [&] { return is_settled(run_id); },
            std::chrono::seconds{1} * patience_factor,
            [&] { return value("SELECT coalesce(max(last_error), 'no error') FROM runledger.settle_queue"); });
    }
    // One more run after another, each within a second, for as long as the hindrance is to last.
    void expect_others_settle_soon(std::chrono::milliseconds as_long_as) {
        const auto end = steady_clock::now() + as_long_as;
        do {
            const std::string run_id = fmt::format("other-{}", ++others_);
            arrive(run_id);
            expect_settled_soon(run_id);
        } while (steady_clock::now() < end);
    }
    void application_does(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    void make_trigger(const char* when, const char* body) {
        application_does(fmt::format(
            "CREATE FUNCTION hinder() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$ "
            "BEGIN {} RETURN "
            "NEW; "
            "END $$; CREATE {} UPDATE ON runledger.generations {} FOR EACH ROW "
            "WHEN (NEW.metadata ->> 'run_id' LIKE 'hindered%') EXECUTE FUNCTION hinder()",
            body, std::string_view{when} == "BEFORE" ? "TRIGGER hinder BEFORE" : "CONSTRAINT TRIGGER hinder AFTER",
            std::string_view{when} == "BEFORE" ? "" : "DEFERRABLE INITIALLY DEFERRED"));
    }
    [[nodiscard]] std::string last_error_of(const std::string& run_id) {
        return value(fmt::format(
            "SELECT coalesce(max(last_error), '-') FROM runledger.settle_queue WHERE run_id = '{}'", run_id));
    }
    [[nodiscard]] static std::chrono::milliseconds hindrance() {
        return std::chrono::seconds{from_environment("RUNLEDGER_LOCK_SECONDS", 2)};
    }

private:
    RunningSettlers settlers_{daemon_uri()};
    int others_{0};
};

TEST_F(SettleDelay, ByALockStaysWithTheLockedRow) {
    insert_generation("hindered");
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations FOR UPDATE");
    apply_events({{event_text({.run_id = "hindered", .status = "success"}), 0}});

    expect_others_settle_soon(hindrance());

    EXPECT_FALSE(is_settled("hindered"));
    EXPECT_NE(last_error_of("hindered").find("locked"), std::string::npos);
    lock.abort();
    expect_settled_soon("hindered");
}

TEST_F(SettleDelay, ByATriggerThatRaisesStaysWithTheRowItRefuses) {
    make_trigger("BEFORE", "RAISE EXCEPTION 'not on my watch';");
    arrive("hindered");

    expect_others_settle_soon(std::chrono::seconds{1});

    EXPECT_FALSE(is_settled("hindered"));
    EXPECT_NE(last_error_of("hindered").find("not on my watch"), std::string::npos);
    EXPECT_EQ(count("settlements WHERE run_id = 'hindered'"), 0);
    EXPECT_EQ(count("notifications WHERE run_id = 'hindered'"), 0);
}

TEST_F(SettleDelay, ByATriggerThatRaisesAtCommitStaysWithTheRowItRefuses) {
    make_trigger("AFTER", "RAISE EXCEPTION 'not at the end';");
    arrive("hindered");

    expect_others_settle_soon(std::chrono::seconds{1});

    EXPECT_FALSE(is_settled("hindered"));
    EXPECT_NE(last_error_of("hindered").find("not at the end"), std::string::npos);
}

TEST_F(SettleDelay, ByACheckStaysWithTheRowItRefuses) {
    application_does(
        "ALTER TABLE runledger.generations ADD CONSTRAINT never_done CHECK (status <> 'completed' OR run_id NOT LIKE "
        "'hindered%')");
    arrive("hindered");

    expect_others_settle_soon(std::chrono::seconds{1});

    EXPECT_FALSE(is_settled("hindered"));
    EXPECT_NE(last_error_of("hindered").find("never_done"), std::string::npos);

    application_does("ALTER TABLE runledger.generations DROP CONSTRAINT never_done");
    application_does("UPDATE runledger.settle_queue SET due_at = now()");  // Its delay has grown meanwhile.
    expect_settled_soon("hindered");
}

// Apply never waits for the application either: its transaction commits while the trigger hangs.
TEST_F(SettleDelay, ByTriggersThatHangStaysWithTheirRows) {
    make_trigger("BEFORE", "PERFORM pg_sleep(600);");
    arrive("hindered-1");
    arrive("hindered-2");
    eventually(
        "both are known to be slow",
        [&] { return value("SELECT count(DISTINCT run_id) FROM runledger.settle_queue WHERE is_slow") == "2"; },
        std::chrono::seconds{60});

    expect_others_settle_soon(std::chrono::seconds{2});

    EXPECT_FALSE(is_settled("hindered-1"));
    EXPECT_NE(last_error_of("hindered-1").find("statement timeout"), std::string::npos);
}

// Each is met once by the prompt lane, and one of them once more: in the attempt to settle them together.
TEST_F(SettleDelay, ByTriggersThatHangIsNotPaidTwiceForEachRow) {
    application_does("CREATE SEQUENCE hangs");  // A sequence counts on though the statement is rolled back.
    make_trigger("BEFORE",
                 "IF current_setting('application_name') = 'runledgerd settle' THEN PERFORM nextval('hangs'); END IF; "
                 "PERFORM pg_sleep(600);");
    for (int i = 1; i <= 4; ++i) {
        arrive(fmt::format("hindered-{}", i));
    }

    eventually("all are known to be slow",
               [&] { return value("SELECT count(DISTINCT run_id) FROM runledger.settle_queue WHERE is_slow") == "4"; });

    EXPECT_EQ(value("SELECT last_value FROM hangs"), "5");
}

// Each row by itself takes a time that nobody minds.
TEST_F(SettleDelay, OfManyRowsWithASlowTriggerIsNotTheSumOfThem) {
    make_trigger("BEFORE", "PERFORM pg_sleep(0.15);");
    std::vector<Incoming> events;
    for (int i = 0; i < 40; ++i) {
        const std::string run_id = fmt::format("hindered-{:02}", i);
        insert_generation(run_id);
        events.push_back({event_text({.run_id = run_id, .status = "success"}), i});
    }
    const auto application = another_connection();
    apply_events(events);

    // As the application does meanwhile, in one row after another: the longest that it waits.
    auto longest = steady_clock::duration::zero();
    for (int i = 39; count("generations WHERE status = 'completed'") < 40; i = (i + 39) % 40) {
        const auto began = steady_clock::now();
        pqxx::work work(*application);
        work.exec(
            fmt::format("SELECT FROM runledger.generations WHERE run_id = 'hindered-{:02}' FOR NO KEY UPDATE", i));
        work.commit();
        longest = std::max(longest, steady_clock::now() - began);
    }

    EXPECT_LT(longest, std::chrono::seconds{2} * patience_factor);
}

// With a BEFORE trigger PostgreSQL itself locks the key, since the trigger might change what run_id is generated from.
TEST_F(SettleDelay, NeverHoldsUpAForeignKey) {
    make_trigger("AFTER", "PERFORM pg_advisory_xact_lock_shared(7);");
    application_does("CREATE TABLE likes (generation_id bigint REFERENCES runledger.generations)");
    const std::int64_t id = insert_generation("hindered");
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("SELECT pg_advisory_xact_lock(7)");
    apply_events({{event_text({.run_id = "hindered", .status = "success"}), 0}});
    eventually("settle holds the row", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd settle%' "
                   "AND wait_event = 'advisory'") != "0";
    });

    for (int i = 0; i < 20; ++i) {
        application_does(fmt::format("SET LOCAL lock_timeout = 1; INSERT INTO likes VALUES ({})", id));
    }
    lock.commit();
    expect_settled_soon("hindered");
}

// The trigger wants what another transaction holds, which in turn wants a row that settle holds.
TEST_F(SettleDelay, NeverMakesTheApplicationsTransactionADeadlocksVictim) {
    application_does("CREATE TABLE tally (n integer); INSERT INTO tally VALUES (0)");
    make_trigger("BEFORE", "UPDATE tally SET n = n + 1;");
    insert_generation("hindered");
    const auto application = another_connection();
    pqxx::work work(*application);
    work.exec("UPDATE tally SET n = 7");
    apply_events({{event_text({.run_id = "hindered", .status = "success"}), 0}});
    // Settle holds the row now, and waits for the tally.
    eventually("settle waits for the tally", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd settle%' "
                   "AND wait_event_type = 'Lock'") != "0";
    });

    EXPECT_NO_THROW(work.exec("UPDATE runledger.generations SET request_payload = '{}'"));
    work.commit();

    eventually("it is settled after all", [&] { return is_settled("hindered"); });
    EXPECT_EQ(value("SELECT n FROM tally"), "9") << "7, and once each for the two updates of the row";
}

}  // namespace
}  // namespace runledger::test
