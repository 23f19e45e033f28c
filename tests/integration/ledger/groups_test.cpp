// NOTIFY runledger_group: once when all of a group have ended, never before, and again after it was open again; however
// the transactions of its members and of several daemons overlap.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "daemon/tell/tell.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/listening.hpp"
#include "tests/integration/ledger/open_transaction.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Groups : public Ledger {
protected:
    Groups() : Ledger(DatabaseOf::the_suite) {}

    void insert_member(const std::string& run_id, const std::string& group = "g", const std::string& more = "") {
        insert_metadata(fmt::format(R"({{"run_id": "{}", "groupId": "{}"{}}})", run_id, group, more));
    }
    void end(const std::string& run_id, const std::string& status = "success") {
        apply_events(
            {{event_text({.run_id = run_id}), 0}, {event_text({.run_id = run_id, .status = status}), 1'000'000}});
    }
    void end_and_settle(const std::string& run_id, const std::string& status = "success") {
        end(run_id, status);
        ASSERT_EQ(settle(run_id), "settled");
    }
    [[nodiscard]] Open as_daemon() const { return Open(connect_to(daemon_uri())); }
    static std::string settled_in(Open& open, const std::string& run_id) {
        return open.value("SELECT outcome FROM runledger.settle_run('" + run_id + "', '0', '7 days')");
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    [[nodiscard]] std::vector<std::string> heard() { return listening_.take(); }
    [[nodiscard]] std::vector<std::string> heard_after_a_turn() {
        (void)teller_.turn();
        return heard();
    }

    Wakeup stop_;
    TellCounters counters_;
    Teller teller_{{}, daemon_uri(), stop_, counters_};

private:
    Listening listening_{listeners_uri(), "runledger_group"};
};

std::string ended(int runs, int completed, int failed = 0, int cancelled = 0, const std::string& group = "g") {
    return fmt::format(R"({{"group_id" : "{}", "runs" : {}, "completed" : {}, "failed" : {}, "cancelled" : {}}})",
                       group, runs, completed, failed, cancelled);
}

TEST_F(Groups, AreToldOnceTheLastMemberIsSettled) {
    insert_member("r-1");
    insert_member("r-2");
    insert_member("r-3");
    insert_member("other", "h");
    end_and_settle("r-1");
    end_and_settle("r-2", "failed");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    end_and_settle("r-3", "cancelled");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(3, 1, 1, 1)));
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    EXPECT_EQ(counters_.groups_told, 1U);
    EXPECT_EQ(count("group_queue"), 0);
    EXPECT_EQ(value("SELECT told_at IS NOT NULL FROM runledger.group_costs_v1 WHERE group_id = 'g'"), "t");
    EXPECT_EQ(value("SELECT told_at IS NOT NULL FROM runledger.group_costs_v1 WHERE group_id = 'h'"), "f");
}

class TwoAtOnce : public Groups, public testing::WithParamInterface<bool> {};

// Neither sees the other's member ended while it is open.
TEST_P(TwoAtOnce, AreToldByTheOneThatCommitsLast) {
    insert_member("r-1");
    insert_member("r-2");
    end("r-1");
    end("r-2");
    Open first = as_daemon();
    Open second = as_daemon();
    ASSERT_EQ(settled_in(first, "r-1"), "settled");
    ASSERT_EQ(settled_in(second, "r-2"), "settled");
    Open& commits_first = GetParam() ? first : second;
    Open& commits_last = GetParam() ? second : first;

    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    commits_first.commit();
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    commits_last.commit();

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Ledger, TwoAtOnce, testing::Bool(),
                         [](const auto& order) { return order.param ? "first_first" : "second_first"; });

// The last member ends while a late one is not committed yet: it is told of what there is, and again.
TEST_F(Groups, AreToldAgainOnceALateMemberHasEnded) {
    insert_member("r-1");
    end("r-1");
    end("late");
    Open application(connect_to(uri()));
    application.run(R"(INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "late", "groupId": "g"}'))");
    ASSERT_EQ(settle("r-1"), "settled");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));

    application.commit();
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    EXPECT_EQ(value("SELECT told_at IS NULL FROM runledger.generation_groups"), "t");
    ASSERT_EQ(settle("late"), "settled");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(Groups, AreToldAgainEvenIfNobodyLookedWhileTheyWereOpen) {
    insert_member("r-1");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));

    insert_member("late");
    end_and_settle("late");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
    EXPECT_EQ(value("SELECT told_count FROM runledger.generation_groups"), "2");
}

TEST_F(Groups, AreToldAgainOnceAMemberJoinsThatHasEnded) {
    insert_member("r-1");
    insert_member("joins", "h");
    end_and_settle("r-1");
    end_and_settle("joins");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1), ended(1, 1, 0, 0, "h")));

    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"groupId": "g"}' WHERE run_id = 'joins')");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(Groups, WaitForAsManyMembersAsTheyWillHave) {
    insert_member("r-1", "g", R"(, "groupSize": 2)");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    insert_member("r-2", "g", R"(, "groupSize": "2")");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    end_and_settle("r-2");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(Groups, AreToldIfTheyTurnOutToBeSmaller) {
    insert_member("r-1", "g", R"(, "groupSize": 2)");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"groupSize": 1}')");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));
}

TEST_F(Groups, AreToldIfTheirOpenMemberLeaves) {
    insert_member("r-1");
    insert_member("moves");
    insert_member("goes");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"groupId": "h"}' WHERE run_id = 'moves')");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    execute("DELETE FROM runledger.generations WHERE run_id = 'goes'");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));
    execute("DELETE FROM runledger.generations");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    EXPECT_EQ(count("generation_groups"), 0);
}

TEST_F(Groups, AreToldOfWhatTheApplicationHasEndedItself) {
    execute(R"(INSERT INTO runledger.generations (metadata, status) VALUES ('{"groupId": "g"}', 'failed'))");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 0, 1)));
}

// As an adopted table has them: the rows are older than the triggers.
class GroupsOfBefore : public Groups {
protected:
    void SetUp() override {
        Groups::SetUp();
        execute(R"(
            ALTER TABLE runledger.generations DISABLE TRIGGER USER;
            INSERT INTO runledger.generations (metadata, status, adopted_at)
            SELECT jsonb_build_object('run_id', run, 'groupId', 'g'), status, now()
            FROM (VALUES ('r-1', 'completed'), ('r-2', 'failed'), ('r-3', 'completed')) AS before (run, status);
            INSERT INTO runledger.generations (metadata, status, adopted_at)
            SELECT jsonb_build_object('run_id', run, 'groupId', 'open'), status, now()
            FROM (VALUES ('o-1', 'completed'), ('o-2', 'pending')) AS before (run, status);
            ALTER TABLE runledger.generations ENABLE TRIGGER USER;)");
    }
};

TEST_F(GroupsOfBefore, AreNotToldIfTheyHadEnded) {
    const std::vector<std::string> touches{
        "UPDATE runledger.generations SET metadata = metadata",
        "UPDATE runledger.generations SET status = 'completed' WHERE run_id = 'r-2'",
        "DELETE FROM runledger.generations WHERE run_id = 'r-1'",
        "SELECT runledger.forget_generation(id) FROM runledger.generations WHERE run_id = 'r-2'",
    };
    for (const std::string& touch : touches) {
        execute(touch);
        EXPECT_THAT(heard_after_a_turn(), IsEmpty()) << touch;
    }
    EXPECT_EQ(count("generation_groups"), 0);

    insert_member("late");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    end_and_settle("late");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(GroupsOfBefore, AreToldIfTheyEndNow) {
    end_and_settle("o-2");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2, 0, 0, "open")));
}

TEST_F(Groups, AreNotToldBecauseTheirKeyIsTakenAnewFromOldRows) {
    execute(R"(
        INSERT INTO runledger.generations (metadata, status) VALUES ('{"cast": "g"}', 'completed'), ('{"cast": "h"}', 'completed'),
            ('{"run_id": "r-1", "cast": "h"}', 'pending');
        SELECT runledger.use_metadata_keys('group_key', 'cast');
        UPDATE runledger.generations SET metadata = metadata;)");
    EXPECT_EQ(count("generations WHERE group_key IS NOT NULL"), 3);
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    end_and_settle("r-1");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2, 0, 0, "h")));
    execute("SELECT runledger.use_metadata_keys('group_key', 'groupId', 'parentRunId')");
}

// A document that comes as ended is history; one that ends after it came is not.
TEST_F(Groups, AreNotToldOfDocumentsThatAreImportedAsEnded) {
    const auto import = [this](const std::string& run, const std::string& group, const std::string& status) {
        execute(fmt::format(
            R"(SELECT runledger.import_document('{{"_id": "{0}", "metadata": {{"run_id": "{0}", "groupId": "{1}"}},
                   "requestTimestamp": "2025-08-29T02:35:38Z", "status": "{2}"}}'))",
            run, group, status));
    };
    import("r-1", "g", "completed");
    import("r-2", "g", "failed");
    import("o-1", "h", "completed");
    import("o-2", "h", "processing");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());

    import("o-2", "h", "completed");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2, 0, 0, "h")));
}

TEST_F(Groups, AreToldAgainIfAMemberIsWithdrawnAndSettledWithAnotherRun) {
    insert_member("r-1");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));

    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "r-2"}')");
    end("r-2");
    (void)settle("r-1");
    (void)settle("r-2");

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));
}

TEST_F(Groups, AreNotToldAgainIfAMemberIsOnlySettledAgain) {
    insert_member("r-1");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));

    apply_events(
        {{event_text({.run_id = "r-1", .status = "success", .outputs = "[" + picture("a") + "]"}), 1'000'001}});
    ASSERT_EQ(settle("r-1"), "resettled");

    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
}

TEST_F(Groups, AreNotToldAgainIfAMemberLeavesOrTheirSizeChanges) {
    insert_member("r-1");
    insert_member("r-2");
    end_and_settle("r-1");
    end_and_settle("r-2");
    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));

    execute("DELETE FROM runledger.generations WHERE run_id = 'r-2'");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"groupSize": 1}')");

    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    EXPECT_EQ(value("SELECT members || ' ' || told_count FROM runledger.generation_groups"), "1 1");
}

TEST_F(Groups, AreLeftToADaemonThatIsLookingAndComeBackIfItDies) {
    insert_member("r-1");
    end_and_settle("r-1");
    {
        Open other = as_daemon();
        ASSERT_EQ(other.value("SELECT told FROM runledger.tell_groups('0', 1000)"), "1");
        EXPECT_FALSE(teller_.turn()) << "something is left";
        EXPECT_THAT(heard(), IsEmpty());
    }  // Rolled back.

    EXPECT_TRUE(teller_.turn());

    EXPECT_THAT(heard(), ElementsAre(ended(1, 1)));
}

// Both would read that they were not told yet, and remove the entries one after the other.
TEST_F(Groups, AreToldByOneOfTwoDaemonsThatLookAtOnce) {
    insert_member("r-1");
    insert_member("r-2");
    end_and_settle("r-1");
    EXPECT_THAT(heard_after_a_turn(), IsEmpty());
    end_and_settle("r-2");
    Teller other{{}, daemon_uri(), stop_, counters_};
    std::future<bool> one;
    std::future<bool> two;
    Open holding(connect_to(uri()));
    holding.run("LOCK TABLE runledger.group_queue IN SHARE MODE");  // Entries can be read, and not removed.
    const auto waiting = [this] {
        return value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'");
    };
    one = std::async(std::launch::async, [this] { return teller_.turn(); });
    eventually("it is about to remove the entries", [&] { return waiting() == "1"; });
    two = std::async(std::launch::async, [&other] { return other.turn(); });
    eventually("the other leaves them, or is about to",
               [&] { return two.wait_for(std::chrono::seconds{0}) == std::future_status::ready || waiting() == "2"; });

    holding.commit();
    (void)one.get();
    (void)two.get();

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(Groups, WhoseEntriesAreOfATransactionOlderThanTheLastLookAreStillSeen) {
    insert_member("r-1");
    end("r-1");
    Open slow = as_daemon();
    ASSERT_EQ(settled_in(slow, "r-1"), "settled");
    for (int i = 0; i < 3; ++i) {
        const auto name = fmt::format("h-{}", i);
        insert_member(name, name);
        end_and_settle(name);
        EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1, 0, 0, name)));
    }

    slow.commit();

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(1, 1)));
}

// What is committed between the count and the removal of entries would be in neither.
TEST_F(Groups, AreToldThoughTheirLastMemberEndsWhileTheyAreCounted) {
    insert_member("r-1");
    insert_member("r-2");
    end("r-2");
    end_and_settle("r-1");
    std::future<bool> looking;
    Open settling(connect_to(uri()));
    settling.run("LOCK TABLE runledger.group_queue IN SHARE MODE");  // Entries can be read, and not removed.
    looking = std::async(std::launch::async, [this] { return teller_.turn(); });
    eventually("it is about to remove the entries", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = "
                   "'relation'") == "1";
    });

    ASSERT_EQ(settled_in(settling, "r-2"), "settled");
    settling.commit();
    (void)looking.get();

    EXPECT_THAT(heard_after_a_turn(), ElementsAre(ended(2, 2)));
}

TEST_F(Groups, FitIntoANotificationWhateverTheirName) {
    std::string name;
    for (int i = 0; i < 128; ++i) {
        name += "\\u0001";
    }
    insert_metadata(fmt::format(R"({{"run_id": "r-1", "groupId": "{}"}})", name));
    end_and_settle("r-1");

    const auto said = heard_after_a_turn();

    ASSERT_EQ(said.size(), 1U);
    EXPECT_LT(said.front().size(), 1000U);
}

// Two daemons: each group once, by one of them.
TEST_F(Groups, AreToldExactlyOnceByTwoDaemonsWhileTheirMembersAreSettled) {
    constexpr int groups = 40;
    for (int member = 0; member < 3; ++member) {
        for (int group = 0; group < groups; ++group) {
            insert_member(fmt::format("r-{}-{}", group, member), fmt::format("g-{}", group), R"(, "groupSize": 3)");
            end(fmt::format("r-{}-{}", group, member));
        }
    }
    Teller other{{}, daemon_uri(), stop_, counters_};
    {
        const RunningSettlers settlers{daemon_uri()};
        const RunningSettlers other_settlers{daemon_uri()};
        std::atomic<bool> is_over{false};
        std::thread beside([&] {
            while (!is_over) {
                (void)other.turn();
            }
        });
        const bool are_told = comes_true(
            [&] {
                (void)teller_.turn();
                return counters_.groups_told >= groups;
            },
            std::chrono::seconds{30} * patience_factor);
        is_over = true;
        beside.join();
        EXPECT_TRUE(are_told);
    }
    EXPECT_TRUE(teller_.turn());

    std::vector<std::string> expected;
    for (int group = 0; group < groups; ++group) {
        expected.push_back(ended(3, 3, 0, 0, fmt::format("g-{}", group)));
    }
    EXPECT_THAT(heard(), testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace runledger::test
