// Many runs settled by one statement: the same as one by one, and none costs another anything.
#include <fmt/format.h>

#include <map>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class SettleTogether : public Ledger {
protected:
    void end_run(const std::string& run_id, const std::string& outputs = "[]") {
        apply_events({{event_text({.run_id = run_id}), 0},
                      {event_text({.run_id = run_id, .status = "success", .outputs = outputs}), 1'000'000}});
    }
    // runledger.settle_runs in a transaction of its own: outcomes by run.
    std::map<std::string, std::string> settle_together(const std::string& run_ids) {
        pqxx::work work(db());
        std::map<std::string, std::string> outcomes;
        for (const auto& row : libpqxx::run(work,
                                            "SELECT run_id, outcome FROM runledger.settle_runs($1::text[], "
                                            "interval '3 seconds', interval '7 days')",
                                            run_ids)) {
            outcomes.emplace(row[0].as<std::string>(), row[1].as<std::string>());
        }
        work.commit();
        return outcomes;
    }
    // What a settlement leaves, without what differs from one run to the next.
    [[nodiscard]] std::string trace_of(const std::string& run_id) {
        return value(fmt::format(
            "SELECT jsonb_build_object('row', to_jsonb(g) - array['id', 'run_id', 'metadata', 'created_at', "
            "'updated_at', 'request_timestamp'], 'audit', (SELECT jsonb_agg(to_jsonb(s) - array['id', "
            "'generation_id', 'run_id', 'settled_at'] ORDER BY s.id) FROM runledger.settlements AS s WHERE "
            "s.generation_id = g.id), 'told', (SELECT jsonb_agg(to_jsonb(n) - array['id', 'generation_id', 'run_id', "
            "'created_at', 'not_before', 'waits_since'] #- '{{payload,generation_id}}' ORDER BY n.id) FROM "
            "runledger.notifications AS n WHERE n.generation_id = g.id)) FROM runledger.generations AS g "
            "WHERE run_id = '{}'",
            run_id));
    }
    std::unique_ptr<pqxx::connection> other_{another_connection()};
};

TEST_F(SettleTogether, SaysOfEachRunWhatBecameOfIt) {
    for (const char* run_id : {"ended", "ended-too", "running", "waiting", "no-run"}) {
        insert_generation(run_id);
    }
    insert_metadata(R"({"run_id": "told-nobody", "telegramChatId": "x"})");
    end_run("ended", "[" + picture("a") + "]");
    end_run("ended-too");
    end_run("told-nobody");
    end_run("no-generation");
    apply_events({{event_text({.run_id = "running"}), 0}, {event_text({.run_id = "waiting", .status = "queued"}), 0}});

    EXPECT_EQ(settle_together("{ended,ended-too,running,waiting,no-run,no-generation,told-nobody}"),
              (std::map<std::string, std::string>{{"ended", "settled"},
                                                  {"ended-too", "settled"},
                                                  {"running", "processing"},
                                                  {"waiting", "not_ended"},
                                                  {"no-run", "no_run"},
                                                  {"no-generation", "no_generation"},
                                                  {"told-nobody", "settled"}}));

    EXPECT_EQ(value("SELECT string_agg(run_id || ' ' || status, ', ' ORDER BY id) FROM runledger.generations"),
              "ended completed, ended-too completed, running processing, waiting pending, no-run pending, "
              "told-nobody completed");
    EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', run_id, kind, state, not_before - now() > '0'), ', ' "
                    "ORDER BY run_id) FROM runledger.notifications"),
              "ended ending pending f, ended-too ending pending t, told-nobody ending skipped t");
    EXPECT_EQ(settle("ended"), "unchanged");
    EXPECT_EQ(settle("running"), "not_ended");
}

TEST_F(SettleTogether, LeavesWhatOneByOneLeaves) {
    for (const char* run_id : {"alone", "together", "kept-alone", "kept-together"}) {
        insert_generation(run_id);
        end_run(run_id, "[" + picture("a") + "]");
    }
    {
        pqxx::work application(db());
        application.exec("UPDATE runledger.generations SET status = 'failed' WHERE run_id LIKE 'kept%'");
        application.commit();
    }

    EXPECT_EQ(settle("alone"), "settled");
    EXPECT_EQ(settle("kept-alone"), "kept");
    EXPECT_EQ(settle_together("{kept-together,together}"),
              (std::map<std::string, std::string>{{"together", "settled"}, {"kept-together", "kept"}}));

    EXPECT_EQ(trace_of("together"), trace_of("alone"));
    EXPECT_EQ(trace_of("kept-together"), trace_of("kept-alone"));
}

TEST_F(SettleTogether, LeavesToSettleRunWhatWasSettledBeforeIsLockedOrBusy) {
    for (const char* run_id : {"before", "locked", "busy", "first"}) {
        insert_generation(run_id);
        end_run(run_id);
    }
    EXPECT_EQ(settle("before"), "settled");
    pqxx::work application(*other_);
    application.exec("SELECT FROM runledger.generations WHERE run_id = 'locked' FOR UPDATE");
    application.exec("SELECT pg_advisory_xact_lock(hashtextextended('runledger.settle_run busy', 0))");

    EXPECT_EQ(settle_together("{before,busy,first,locked}"),
              (std::map<std::string, std::string>{{"first", "settled"}}));

    EXPECT_EQ(settle("locked"), "locked");
    EXPECT_EQ(settle("busy"), "busy");
    application.abort();
    EXPECT_EQ(settle_together("{before,busy,first,locked}"),
              (std::map<std::string, std::string>{{"busy", "settled"}, {"locked", "settled"}}));
    EXPECT_EQ(count("settlements"), 4);
}

TEST_F(SettleTogether, LeavesToSettleRunARowThatAnotherRunHasSettled) {
    insert_generation("first");
    end_run("first");
    end_run("second");
    ASSERT_EQ(settle("first"), "settled");
    {
        pqxx::work application(db());
        application.exec(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "second"}')");
        application.commit();
    }

    EXPECT_TRUE(settle_together("{second}").empty()) << "what the first gave it has to be withdrawn";

    EXPECT_EQ(settle("second"), "settled");
    EXPECT_EQ(value("SELECT string_agg(outcome, ', ' ORDER BY id) FROM runledger.settlements"),
              "settled, reopened, settled");
}

TEST_F(SettleTogether, ChangesNothingWhereOneOfThemIsRefused) {
    for (const char* run_id : {"refused", "willing"}) {
        insert_generation(run_id);
        end_run(run_id);
    }
    {
        pqxx::work application(db());
        application.exec(
            "ALTER TABLE runledger.generations ADD CONSTRAINT never_done "
            "CHECK (metadata ->> 'run_id' <> 'refused' OR status <> 'completed')");
        application.commit();
    }

    EXPECT_TRUE(settle_together("{refused,willing}").empty());

    EXPECT_EQ(count("settlements"), 0);
    EXPECT_EQ(count("notifications"), 0);
    EXPECT_EQ(settle("refused"), "failed");
    EXPECT_EQ(settle("willing"), "settled");
}

// The application's own check that waits for COMMIT is asked before it, where it is known whose row it refuses.
TEST_F(SettleTogether, LearnsOfADeferredRefusalBeforeCommit) {
    for (const char* run_id : {"refused", "willing"}) {
        insert_generation(run_id);
        end_run(run_id);
    }
    {
        pqxx::work application(db());
        application.exec(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.run_id = 'refused' AND NEW.status = 'completed' THEN RAISE EXCEPTION 'not at the end'; END IF; "
            "RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON runledger.generations DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION public.refuse()");
        application.commit();
    }

    EXPECT_TRUE(settle_together("{refused,willing}").empty());
    EXPECT_EQ(settle("refused"), "failed");
    EXPECT_EQ(settle("willing"), "settled");
    EXPECT_EQ(count("settlements"), 1);
}

}  // namespace
}  // namespace runledger::test
