// What PostgreSQL refuses in a way that could be the server's fault as well: nothing waits behind it, and it is set
// aside only if the server stores other events meanwhile.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "tests/integration/ledger/appliers_fixture.hpp"

namespace runledger::test {
namespace {

// How a trigger of the application's on `table` treats the row of run "bad".
struct OddTrigger {
    const char* name;
    const char* table;
    const char* kind;  // CREATE … TRIGGER odd …
    const char* when;
    const char* statement;
    const char* reason;  // Of the row in quarantine.
};

void PrintTo(const OddTrigger& odd, std::ostream* out) { *out << odd.name; }

class RefusedEvents : public Ledger {
protected:
    void execute(const std::string& statements) {
        pqxx::work work(db());
        work.exec(statements);
        work.commit();
    }

    void make_trigger(const OddTrigger& odd) {
        execute(fmt::format(
            "CREATE FUNCTION public.odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.run_id = 'bad' THEN {}; "
            "END IF; RETURN NEW; END $$; CREATE {} odd {} ON runledger.{} {} FOR EACH ROW EXECUTE FUNCTION "
            "public.odd()",
            odd.statement, odd.kind, odd.when, odd.table,
            std::string_view(odd.kind) == "TRIGGER" ? "" : "DEFERRABLE INITIALLY DEFERRED"));
    }

    MadeBatch batch_of(std::string_view run_id) {
        return MadeBatch({segment(1), next_++},
                         {{event_text({.run_id = std::string(run_id), .status = "success"}), 0}});
    }

private:
    std::uint64_t next_{0};
};

// As a daemon's, in less time.
const ApplyTuning hasty = [] {
    ApplyTuning tuning;
    tuning.turn.statement_timeout = tuning.narrowed.statement_timeout = std::chrono::seconds{1};
    tuning.turn.lock_timeout = std::chrono::seconds{1};
    tuning.refused_for_min = std::chrono::milliseconds{500};
    tuning.set_back_min = std::chrono::milliseconds{50};
    tuning.set_back_max = std::chrono::seconds{1};
    return tuning;
}();

class OddTriggers : public RefusedEvents, public testing::WithParamInterface<OddTrigger> {};

TEST_P(OddTriggers, CostOnlyTheEventThatTheyRefuse) {
    make_trigger(GetParam());
    Appliers appliers(daemon_uri(), 1, hasty);
    const MadeBatch bad = batch_of("bad");
    const MadeBatch with_it = batch_of("a");
    const MadeBatch later = batch_of("b");

    appliers.offer(bad);
    appliers.offer(with_it);
    eventually("the others of its turn are stored", [&] { return count("runs WHERE run_id = 'a'") == 1; });
    appliers.offer(later);
    eventually("what comes later is stored", [&] { return count("runs WHERE run_id = 'b'") == 1; });

    appliers.wait_for(3);
    EXPECT_EQ(value("SELECT string_agg(run_id, ' ' ORDER BY run_id) FROM runledger.runs"), "a b");
    EXPECT_EQ(value("SELECT string_agg(scope || ' ' || run_id || ' ' || split_part(reason, ': ', 2), ',') "
                    "FROM runledger.quarantine"),
              fmt::format("event bad {}", GetParam().reason));
    EXPECT_EQ(appliers.counters().events_quarantined, 1U);
    EXPECT_EQ(appliers.counters().set_back, 0U);
}

INSTANTIATE_TEST_SUITE_P(Ledger, OddTriggers,
                         testing::Values(OddTrigger{"raises", "runs", "TRIGGER", "BEFORE INSERT OR UPDATE",
                                                    "RAISE EXCEPTION 'run % is not allowed here', NEW.run_id", "P0001"},
                                         OddTrigger{"raises_at_commit", "runs", "CONSTRAINT TRIGGER",
                                                    "AFTER INSERT OR UPDATE", "RAISE EXCEPTION 'not allowed'", "P0001"},
                                         OddTrigger{"calls_what_is_not_there", "webhook_events", "TRIGGER",
                                                    "BEFORE INSERT", "PERFORM public.no_such_function()", "42883"},
                                         OddTrigger{"lacks_a_right", "runs", "TRIGGER", "BEFORE INSERT OR UPDATE",
                                                    "RAISE insufficient_privilege", "42501"},
                                         OddTrigger{"hangs", "runs", "TRIGGER", "BEFORE INSERT",
                                                    "PERFORM pg_sleep(3600)", "57014"}),
                         [](const auto& odd) { return std::string(odd.param.name); });

TEST_F(RefusedEvents, OfABatchWithOthersAreFoundWithoutAnyOtherTraffic) {
    make_trigger({.name = "",
                  .table = "runs",
                  .kind = "TRIGGER",
                  .when = "BEFORE INSERT",
                  .statement = "RAISE EXCEPTION 'not allowed'",
                  .reason = ""});
    Appliers appliers(daemon_uri(), 1, hasty);
    const MadeBatch batch(
        {segment(1), 0},
        {{event_text({.run_id = "a"}), 0}, {event_text({.run_id = "bad"}), 1}, {event_text({.run_id = "c"}), 2}});

    appliers.offer(batch);
    appliers.wait_for(1);

    EXPECT_EQ(value("SELECT string_agg(run_id, ' ' ORDER BY run_id) FROM runledger.runs"), "a c");
    EXPECT_EQ(count("quarantine WHERE scope = 'event' AND run_id = 'bad'"), 1);
}

// As where a grant is missing: no event is set aside, however long it lasts.
TEST_F(RefusedEvents, WaitIfTheServerRefusesAll) {
    execute("ALTER TABLE runledger.webhook_events RENAME TO elsewhere");
    Appliers appliers(daemon_uri(), 2, hasty);
    std::deque<MadeBatch> batches;
    for (int i = 0; i < 40; ++i) {
        batches.push_back(batch_of(fmt::format("run-{}", i)));
        appliers.offer(batches.back());
    }
    eventually("they have been refused for longer than poison is",
               [&] { return appliers.counters().turns_failed > 40 * hasty.refusals_min * 2; });

    execute("ALTER TABLE runledger.elsewhere RENAME TO webhook_events");

    appliers.wait_for(40);
    EXPECT_EQ(count("quarantine"), 0);
    EXPECT_EQ(count("webhook_events"), 40);
    EXPECT_EQ(appliers.counters().set_back, 0U);
    EXPECT_EQ(appliers.counters().batches_refused, 0U);
}

// Fresh turns are refused alike: one line says so, with the cure.
TEST_F(RefusedEvents, AreSaidOnceIfTheServerRefusesAll) {
    std::ostringstream log;
    const auto logger_before = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
    execute("ALTER TABLE runledger.webhook_events RENAME TO elsewhere");
    Appliers appliers(daemon_uri(), 1, hasty);
    std::deque<MadeBatch> batches;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        batches.push_back(batch_of(fmt::format("run-{}", i)));
        appliers.offer(batches.back());
        eventually("it waits apart", [&] { return appliers.counters().set_back == i; });
    }
    execute("ALTER TABLE runledger.elsewhere RENAME TO webhook_events");
    appliers.wait_for(3);
    appliers.stop();
    spdlog::set_default_logger(logger_before);

    std::map<std::string, int> said;
    std::istringstream lines(log.str());
    for (std::string line; std::getline(lines, line);) {
        for (const char* words : {"stage=\"apply\" sqlstate=42P01", "refused by the database", "accepts"}) {
            said[words] += line.find(words) != std::string::npos ? 1 : 0;
        }
    }
    EXPECT_THAT(said, testing::ElementsAre(testing::Pair("accepts", 1), testing::Pair("refused by the database", 0),
                                           testing::Pair("stage=\"apply\" sqlstate=42P01", 1)))
        << log.str();
}

TEST_F(RefusedEvents, DoNotWaitApartAnyMoreOnceTheDaemonHasEnded) {
    execute("ALTER TABLE runledger.webhook_events RENAME TO elsewhere");
    const MadeBatch a = batch_of("a");
    const MadeBatch b = batch_of("b");
    Appliers appliers(daemon_uri(), 1, hasty, {&a, &b});
    eventually("both wait apart", [&] { return appliers.counters().set_back == 2; });

    appliers.stop();

    EXPECT_EQ(appliers.counters().set_back, 0U);
}

// One applier's turn goes on after the batch was set back, and ends while the other has it.
TEST_F(RefusedEvents, AreDecidedByTheApplierThatHasThemLast) {
    make_trigger({.name = "",
                  .table = "runs",
                  .kind = "TRIGGER",
                  .when = "BEFORE INSERT",
                  .statement = "PERFORM pg_sleep(0.4); RAISE EXCEPTION 'not allowed'; "
                               "ELSIF NEW.run_id = 'slow' THEN PERFORM pg_sleep(0.2)",
                  .reason = ""});
    const MadeBatch bad = batch_of("bad");
    const MadeBatch slow = batch_of("slow");
    Appliers appliers(daemon_uri(), 2, hasty, {&bad, &slow});

    appliers.wait_for(2);

    EXPECT_EQ(count("quarantine WHERE run_id = 'bad'"), 1);
    EXPECT_EQ(appliers.counters().set_back, 0U);
}

TEST_F(RefusedEvents, DoNotKeepASingleApplierFromNewOnesWhileTheyHang) {
    execute(
        "CREATE FUNCTION public.odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.run_id LIKE 'bad%' THEN "
        "PERFORM pg_sleep(3600); END IF; RETURN NEW; END $$; CREATE TRIGGER odd BEFORE INSERT ON runledger.runs FOR "
        "EACH ROW EXECUTE FUNCTION public.odd()");
    ApplyTuning tuning = hasty;
    tuning.refused_for_min = std::chrono::hours{1};  // As if no other event were stored.
    // They are due again before a turn with them is over.
    tuning.narrowed.statement_timeout = std::chrono::milliseconds{300};
    tuning.set_back_max = std::chrono::milliseconds{100};
    const MadeBatch first = batch_of("bad-1");
    const MadeBatch second = batch_of("bad-2");
    const MadeBatch third = batch_of("bad-3");
    Appliers appliers(daemon_uri(), 1, tuning, {&first, &second, &third});
    eventually("they wait apart", [&] { return appliers.counters().set_back == 3; });
    const MadeBatch next = batch_of("a");

    appliers.offer(next);

    appliers.wait_for(1, std::chrono::seconds{30});
    EXPECT_EQ(count("runs WHERE run_id = 'a'"), 1);
}

// A lock passes by itself: the event waits for it, and nothing waits for the event.
TEST_F(RefusedEvents, OfALockedRunWaitForTheLock) {
    const MadeBatch first = batch_of("bad");
    apply({&first});
    const auto other = another_connection();
    pqxx::work holder(*other);
    holder.exec("SELECT FROM runledger.runs WHERE run_id = 'bad' FOR UPDATE");
    Appliers appliers(daemon_uri(), 1, hasty);
    const MadeBatch locked = batch_of("bad");
    const MadeBatch next = batch_of("a");

    appliers.offer(locked);
    appliers.offer(next);
    eventually("the other is stored", [&] { return count("runs WHERE run_id = 'a'") == 1; });
    holder.commit();

    appliers.wait_for(2);
    EXPECT_EQ(count("quarantine"), 0);
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs WHERE run_id = 'bad'"), "2");
}

TEST_F(RefusedEvents, BatchWhoseOwnRowIsRefusedStaysAtTheEdge) {
    execute(
        "CREATE FUNCTION public.odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.batch_number = 0 THEN "
        "RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$; CREATE TRIGGER odd BEFORE INSERT ON "
        "runledger.ingested_batches FOR EACH ROW EXECUTE FUNCTION public.odd()");
    ApplyCounters counters;
    IntakeQueue queue;
    Wakeup stop;
    Wakeup settle;
    Applier applier(daemon_uri(), queue, stop, settle, counters, hasty);
    std::thread thread([&] { applier.run(); });
    const MadeBatch bad = batch_of("a");
    const MadeBatch good = batch_of("b");

    for (const MadeBatch* batch : {&bad, &good}) {
        ASSERT_EQ(queue.offer({.peer = "edge", .frame = batch->frame(), .key = batch->batch().name}),
                  IntakeQueue::Offer::queued);
    }

    std::map<BatchNumber, wire::Verdict> verdicts;
    eventually("both are answered", [&] {
        for (const auto& [peer, answer] : queue.take_answers()) {
            verdicts[answer.batch.number] = answer.verdict;
        }
        return verdicts.size() == 2;
    });
    EXPECT_EQ(verdicts[0], wire::Verdict::refused);
    EXPECT_EQ(verdicts[1], wire::Verdict::committed);
    EXPECT_EQ(count("quarantine"), 0);
    queue.close();
    stop.stop();
    thread.join();
}

}  // namespace
}  // namespace runledger::test
