// NOTIFY runledger_progress: how far runs are, at most once a run and interval, of all daemons together.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <future>

#include "daemon/tell/tell.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/listening.hpp"
#include "tests/integration/ledger/open_transaction.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ProgressNews : public Ledger {
protected:
    ProgressNews() : Ledger(DatabaseOf::the_suite) {}

    // An event that came just now.
    void event_comes(const std::string& run_id, const std::string& status, const std::string& progress) {
        apply_events(
            {{event_text({.run_id = run_id, .status = status, .live_status = "\"Sampling\"", .progress = progress}),
              ++time_us_}});
        // The edge's clock is that of a year ago.
        execute(
            fmt::format("UPDATE runledger.runs SET latest_at = clock_timestamp(), latest_progress = {} "
                        "WHERE run_id = '{}'",
                        progress, run_id));
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    [[nodiscard]] std::vector<std::string> heard_after_a_turn() { return heard_after_a_turn_of(teller_); }
    [[nodiscard]] std::vector<std::string> heard_after_a_turn_of(Teller& teller) {
        (void)teller.turn();
        return listening_.take();
    }
    // As if the last notifications had been sent so long ago.
    void time_passes() { execute("UPDATE runledger.progress_news SET told_at = told_at - interval '1 hour'"); }

    Wakeup stop_;
    TellCounters counters_;
    Teller teller_{{.progress_interval = std::chrono::minutes{30}}, daemon_uri(), stop_, counters_};

private:
    std::int64_t time_us_{0};
    Listening listening_{listeners_uri(), "runledger_progress"};
};

std::string progress(const std::string& run_id, const std::string& share) {
    return fmt::format(
        R"({{"generation_id" : 1, "run_id" : "{}", "status" : "running", "progress" : {}, "live_status" : "Sampling"}})",
        run_id, share);
}

TEST_F(ProgressNews, AreToldAtMostOnceInTheInterval) {
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(progress("r-1", "0.25")));

    event_comes("r-1", "running", "0.5");
    event_comes("r-1", "running", "0.75");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    time_passes();
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(progress("r-1", "0.75")));
    time_passes();
    EXPECT_THAT(heard_after_a_turn(), IsEmpty()) << "there is nothing new";

    EXPECT_EQ(counters_.progress_told, 2U);
}

TEST_F(ProgressNews, OfSeveralDaemonsKeepToTheIntervalTogether) {
    Teller other{{.progress_interval = std::chrono::minutes{30}}, daemon_uri(), stop_, counters_};
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    EXPECT_THAT(heard_after_a_turn(), SizeIs(1));

    event_comes("r-1", "running", "0.5");

    EXPECT_THAT(heard_after_a_turn_of(other), IsEmpty());
}

TEST_F(ProgressNews, AreToldByOneOfTwoDaemonsThatLookAtOnce) {
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    std::future<bool> beside;
    Open other(connect_to(daemon_uri()));
    ASSERT_EQ(other.value("SELECT runledger.tell_progress('30 minutes', 1000)"), "1");
    beside = std::async(std::launch::async, [this] { return teller_.turn(); });
    eventually("it waits for the other", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = "
                   "'transactionid'") == "1";
    });

    other.commit();
    (void)beside.get();

    EXPECT_THAT(heard_after_a_turn(), SizeIs(1));
}

TEST_F(ProgressNews, AreOffUnlessTheyAreAskedFor) {
    Teller off{{}, daemon_uri(), stop_, counters_};
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    EXPECT_THAT(heard_after_a_turn_of(off), IsEmpty());
    EXPECT_EQ(count("progress_news"), 0);

    off.use({.progress_interval = milliseconds{1}});

    EXPECT_THAT(heard_after_a_turn_of(off), SizeIs(1));
}

TEST_F(ProgressNews, AreOfRunsInFlightThatAGenerationNames) {
    event_comes("nobody-s", "running", "0.25");
    insert_generation("ended");
    event_comes("ended", "success", "1");
    insert_generation("silent");
    event_comes("silent", "running", "0.25");
    execute("UPDATE runledger.runs SET latest_at = now() - interval '2 hours' WHERE run_id = 'silent'");

    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
}

TEST_F(ProgressNews, AreToldOfARunWhoseGenerationHasAKeyThatFitsIntoNone) {
    insert_generation("r-1");
    execute("UPDATE runledger.generations SET application_id = repeat('x', 9000)");
    event_comes("r-1", "running", "0.25");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(progress("r-1", "0.25")));
}

TEST_F(ProgressNews, AreToldThoughGroupsAreRefused) {
    insert_generation("r-1");
    execute(R"(
        UPDATE runledger.generations SET metadata = metadata || '{"groupId": "g"}';
        ALTER TABLE runledger.generation_groups ADD CONSTRAINT no_group CHECK (group_key <> 'g'))");
    event_comes("r-1", "running", "0.25");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(progress("r-1", "0.25")));
    EXPECT_EQ(counters_.turns_failed, 1U);
    EXPECT_GT(teller_.heartbeat().failing_for(Heartbeat::Clock::now()), Heartbeat::Clock::duration::zero());
    execute("ALTER TABLE runledger.generation_groups DROP CONSTRAINT no_group");
}

TEST_F(ProgressNews, FitIntoANotificationWhateverTheSenderSays) {
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    execute(
        "UPDATE runledger.runs SET latest_live_status = repeat(chr(1), 60000), latest_status = repeat(chr(1), 9000)");

    const auto said = heard_after_a_turn();

    ASSERT_THAT(said, SizeIs(1));
    EXPECT_LT(said.front().size(), 3000U);
}

TEST_F(ProgressNews, AreNotRememberedForEver) {
    insert_generation("r-1");
    event_comes("r-1", "running", "0.25");
    EXPECT_THAT(heard_after_a_turn(), SizeIs(1));

    execute("UPDATE runledger.progress_news SET told_at = now() - interval '4 hours'");

    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    EXPECT_EQ(count("progress_news"), 0);
}

}  // namespace
}  // namespace runledger::test
