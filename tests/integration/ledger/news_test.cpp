// What the application hears beside its settlements: each once, under numbers that become visible in their order, and
// nothing of anybody who was forgotten.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <thread>

#include "daemon/database/libpqxx.hpp"
#include "daemon/database/transaction.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/ledger/listening.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class News : public Ledger {
protected:
    void execute(const std::string& sql) { execute(db(), sql); }
    static void execute(pqxx::connection& as, const std::string& sql) {
        pqxx::work work(as);
        begin_durably(work, {});
        work.exec(sql);
        work.commit();
    }
    // As the application.
    [[nodiscard]] std::vector<std::string> news(const std::string& columns = "kind, run_id, chat_id, detail") {
        pqxx::work work(*application_);
        begin_durably(work, {});
        std::vector<std::string> lines;
        for (const auto& row : work.exec("SELECT concat_ws(' ', " + columns +
                                         ") FROM runledger.application_news_v1 "
                                         "ORDER BY news_id")) {
            lines.push_back(row[0].c_str());
        }
        return lines;
    }
    [[nodiscard]] std::vector<std::string> heard() { return listening_.take(); }
    // A message for chat 42 that waits; the number of its run is its id.
    void there_is_a_message(int run) {
        execute(fmt::format(
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) "
            "VALUES ({0}, 'run-{0}', 'ending', '', 42, '{{}}')",
            run));
    }
    static std::string becomes_dead(int run) {
        return fmt::format(
            "UPDATE runledger.notifications SET state = 'dead', last_error = 'refused {0}' "
            "WHERE run_id = 'run-{0}'",
            run);
    }
    void end(const std::string& run_id) {
        apply_events(
            {{event_text({.run_id = run_id}), 0}, {event_text({.run_id = run_id, .status = "success"}), 1'000'000}});
    }
    void somebody_waits_for_a_lock(const std::string& kind = "advisory") {
        eventually("somebody waits for the lock", [&] {
            return value("SELECT count(*) FROM pg_locks WHERE locktype = '" + kind + "' AND NOT granted") == "1";
        });
    }

    std::unique_ptr<pqxx::connection> daemon_{connect_to(daemon_uri())};

private:
    std::unique_ptr<pqxx::connection> application_{another_connection_as_application()};
    Listening listening_{listeners_uri(), "runledger_news"};
};

TEST_F(News, TellOfAMessageThatIsDeadUncertainOrExpired) {
    for (int run = 1; run <= 5; ++run) {
        there_is_a_message(run);
    }

    execute(*daemon_, becomes_dead(1));
    execute(*daemon_,
            "UPDATE runledger.notifications SET state = 'uncertain', last_error = 'no answer' WHERE run_id = 'run-2'");
    execute(*daemon_,
            "UPDATE runledger.notifications SET state = 'skipped', last_error = 'waited past not_after: 502' "
            "WHERE run_id = 'run-3'");
    execute(*daemon_,
            "UPDATE runledger.notifications SET state = 'skipped', last_error = 'dropped by an operator' "
            "WHERE run_id = 'run-4'");
    execute(*daemon_, "UPDATE runledger.notifications SET state = 'sent', sent_at = now() WHERE run_id = 'run-5'");
    execute(*daemon_, "UPDATE runledger.notifications SET last_error = 'changed' WHERE run_id = 'run-1'");

    EXPECT_THAT(news(), ElementsAre("message_dead run-1 42 refused 1", "message_uncertain run-2 42 no answer",
                                    "message_expired run-3 42 waited past not_after: 502"));
    const auto said = heard();
    ASSERT_THAT(said, SizeIs(3));
    EXPECT_EQ(said.front(),
              fmt::format(R"({{"news_id" : {}, "kind" : "message_dead", "generation_id" : 1, "run_id" : "run-1", )"
                          R"("chat_id" : 42, "group_id" : null}})",
                          news("news_id").front()));
}

TEST_F(News, TellOfAWebhookThatIsDeadButNotOfProgress) {
    for (const auto* const kind : {"settlement", "progress"}) {
        execute(
            fmt::format("INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, "
                        "webhook_id, webhook_host, webhook_url, payload) "
                        "VALUES (1, 'run-1', '{0}', '{0}', 'webhook', 'msg_{0}', 'hooks.example', "
                        "'https://hooks.example/', '{{}}')",
                        kind));
    }

    execute(*daemon_, "UPDATE runledger.notifications SET state = 'dead', last_error = 'HTTP 410'");

    EXPECT_THAT(news("kind, run_id, detail"), ElementsAre("webhook_dead run-1 hooks.example: HTTP 410"));
    EXPECT_THAT(heard(), SizeIs(1));
}

TEST_F(News, TellOnceThatTheApplicationRefusesASettlement) {
    execute("ALTER TABLE runledger.generations ADD CONSTRAINT not_too_dear CHECK (cost_usd < 0.0001)");
    const auto id = insert_generation("dear");
    end("dear");
    const RunningSettlers settlers{daemon_uri()};

    eventually("it was tried again and again",
               [&] { return count("settle_queue WHERE run_id = 'dear' AND attempts >= 3") > 0; });

    EXPECT_THAT(news("kind, generation_id, run_id"), ElementsAre(fmt::format("settlement_refused {} dear", id)));
    EXPECT_THAT(news().front(), HasSubstr("violates check constraint \"not_too_dear\""));
    EXPECT_THAT(heard(), SizeIs(1));

    execute(
        "ALTER TABLE runledger.generations DROP CONSTRAINT not_too_dear, "
        "ADD CONSTRAINT never_done CHECK (status <> 'completed')");
    eventually(
        "another refusal is told, too", [&] { return news().size() == 2; }, std::chrono::seconds{30});
}

TEST_F(News, TellOnceThatARowWasEditedByHand) {
    const auto id = insert_generation("edited");
    end("edited");
    ASSERT_EQ(settle("edited"), "settled");
    execute("UPDATE runledger.generations SET cost_usd = 5");

    apply_events({{event_text({.run_id = "edited"}), -1'000'000}});
    ASSERT_EQ(settle("edited"), "edited_by_hand");
    ASSERT_EQ(settle("edited"), "edited_by_hand");

    EXPECT_THAT(news("kind, generation_id, run_id, detail"),
                ElementsAre(fmt::format(
                    "edited_by_hand {} edited the row no longer says what was settled; it is left as it is", id)));
    EXPECT_THAT(heard(), SizeIs(1));
}

TEST_F(News, SayNothingOfARowThatIsOnlyLocked) {
    insert_generation("locked");
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("UPDATE runledger.generations SET request_payload = '{}'");
    end("locked");
    const RunningSettlers settlers{daemon_uri()};

    eventually("the row is found locked", [&] { return count("settle_queue WHERE last_error LIKE 'locked%'") > 0; });

    EXPECT_THAT(news(), IsEmpty());
}

// Whoever has seen a number misses none below it.
TEST_F(News, BecomeVisibleInTheOrderOfTheirNumbers) {
    there_is_a_message(1);
    there_is_a_message(2);
    const auto other_daemon = connect_to(daemon_uri());
    pqxx::work first(*daemon_);
    begin_durably(first, {});
    first.exec("SET CONSTRAINTS ALL IMMEDIATE");
    first.exec(becomes_dead(1));
    std::thread second([&] { execute(*other_daemon, becomes_dead(2)); });
    somebody_waits_for_a_lock();
    EXPECT_THAT(news(), IsEmpty());

    first.commit();
    second.join();

    EXPECT_THAT(news("run_id"), ElementsAre("run-1", "run-2"));
}

// Not from a sequence, which a restore to an earlier point sets back.
TEST_F(News, HaveHigherNumbersAfterARestore) {
    there_is_a_message(1);
    execute(*daemon_, becomes_dead(1));
    const std::string seen = news("news_id").front();
    execute("DELETE FROM runledger.application_news");  // It came after the backup.
    there_is_a_message(2);

    execute(*daemon_, becomes_dead(2));

    EXPECT_THAT(news("run_id, news_id > " + seen), ElementsAre("run-2 t"));
}

TEST_F(News, HaveHigherNumbersThoughTheClockWasSetBack) {
    execute("INSERT INTO runledger.application_news (id, kind, detail) VALUES (8000000000000000, 'chat_refused', '')");
    there_is_a_message(1);

    execute(*daemon_, becomes_dead(1));

    EXPECT_THAT(news("news_id").back(), "8000000000000001");
}

TEST_F(News, ShowNoLinkAndAreShort) {
    there_is_a_message(1);

    execute(*daemon_, fmt::format("UPDATE runledger.notifications SET state = 'dead', last_error = "
                                  "'at https://h.example/a.png?token=secret {}' WHERE run_id = 'run-1'",
                                  std::string(5000, 'x')));

    EXPECT_THAT(news("length(detail)"), ElementsAre("500"));
    EXPECT_THAT(news("detail").front(), AllOf(HasSubstr("https://h.example/a.png"), testing::Not(HasSubstr("secret"))));
}

TEST_F(News, FitIntoANotificationWhateverTheRun) {
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, "
        "last_error) VALUES (1, repeat(chr(1), 128), 'ending', '', 42, '{}', 'skipped', 'x')");

    execute(*daemon_, "UPDATE runledger.notifications SET state = 'dead'");

    const auto said = heard();
    ASSERT_THAT(said, SizeIs(1));
    EXPECT_LT(said.front().size(), 1000U);
}

TEST_F(News, FitIntoANotificationWhateverTheKey) {
    insert_generation("run-1");
    execute("UPDATE runledger.generations SET application_id = repeat('x', 7890)");
    there_is_a_message(1);

    execute(*daemon_, becomes_dead(1));

    EXPECT_THAT(heard(), ElementsAre(HasSubstr(R"("generation_id" : 1, "run_id" : "run-1")")));
}

// A refusal whose transaction began before and ends behind the forgetting.
TEST_F(News, AreForgottenThoughTheyComeWhileSomebodyIsForgotten) {
    const auto id = insert_generation("gone");
    end("gone");
    execute("UPDATE runledger.settle_queue SET attempts = 1, last_error = 'locked'");
    pqxx::work refusal(*daemon_);
    begin_durably(refusal, {});
    refusal.exec(
        "SELECT runledger.settle_run('no-run', '0', '7 days')");  // As it is in a turn: constraints are immediate.
    refusal.exec("INSERT INTO runledger.settle_queue (run_id, attempts, last_error) VALUES ('gone', 1, 'locked')");
    refusal.exec(
        "UPDATE runledger.settle_queue SET last_error = 'failed: no' WHERE last_error = 'locked' "
        "AND queued_in = pg_current_xact_id()");
    const auto owner = connect_to(owner_uri());
    std::thread forgetting([&] { execute(*owner, fmt::format("SELECT runledger.forget_generation({})", id)); });
    somebody_waits_for_a_lock();

    refusal.commit();
    forgetting.join();
    EXPECT_THAT(news(), IsEmpty());

    execute(*owner, fmt::format("SELECT runledger.add_news('message_dead', {}, 'gone', NULL, 'late')", id));
    EXPECT_THAT(news(), IsEmpty());
}

// Each holds what the other waits for, unless both take the news last.
TEST_F(News, OfARefusedChatDoNotMeetItsForgettingHalfway) {
    const auto id = insert_generation("run-1");
    execute(*daemon_, "INSERT INTO runledger.telegram_chats (chat_id, last_error) VALUES (42, 'none')");
    pqxx::work refusal(*daemon_);
    begin_durably(refusal, {});
    refusal.exec("UPDATE runledger.telegram_chats SET refused_at = now(), last_error = 'blocked' WHERE chat_id = 42");
    const auto owner = connect_to(owner_uri());
    std::string refused;
    std::thread forgetting([&] {
        try {
            execute(*owner, fmt::format("SELECT runledger.forget_generation({})", id));
        } catch (const std::exception& error) {
            refused = error.what();
        }
    });
    somebody_waits_for_a_lock("transactionid");

    EXPECT_NO_THROW(refusal.commit());
    forgetting.join();

    EXPECT_EQ(refused, "");
    EXPECT_THAT(news(), IsEmpty());
}

// Everybody else who has news waits meanwhile, so no table of a year may be read as a whole.
TEST_F(News, OfAChatAreLookedForByIndexes) {
    const auto tables_read = [this](const std::string& statement) {
        pqxx::work work(db());
        work.exec("SET LOCAL enable_seqscan = off");
        work.exec(statement);
        work.exec("SET CONSTRAINTS ALL IMMEDIATE");
        return std::string(work.exec("SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') "
                                     "FROM pg_stat_xact_user_tables WHERE schemaname = 'runledger' AND seq_scan > 0 "
                                     "AND relname IN ('notifications', 'generations', 'application_news')")[0][0]
                               .c_str());
    };
    there_is_a_message(1);

    EXPECT_EQ(tables_read("INSERT INTO runledger.telegram_chats (chat_id, refused_at, last_error) VALUES (43, now(), "
                          "'of nobody')"),
              "");
    // Messages are looked for before the lock is taken.
    EXPECT_EQ(tables_read("SELECT runledger.forget_chat(43)"), "notifications");
}

// By the name of a channel no generation has a column.
TEST_F(News, TellOfAChatThatIsRefusedThoughNoGenerationHasItFirst) {
    for (const auto* const state : {"pending", "leased", "dead", "uncertain"}) {
        execute(fmt::format(
            "DELETE FROM runledger.notifications; DELETE FROM runledger.telegram_chats; "
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, "
            "lease_until, lease_owner, sending_at, last_error) SELECT 1, 'run-1', 'ending', '', 42, '{{}}', '{0}', "
            "leased_at, CASE WHEN leased_at IS NOT NULL THEN 'a daemon' END, leased_at, 'x' FROM "
            "(SELECT CASE '{0}' WHEN 'leased' THEN now() END) AS l (leased_at)",
            state));
        execute("INSERT INTO runledger.telegram_chats (chat_id, refused_at, last_error) VALUES (42, now(), 'blocked')");
    }

    EXPECT_THAT(news("kind, chat_id"), testing::Each("chat_refused 42"));
    EXPECT_THAT(news(), SizeIs(4));
}

TEST_F(News, OfAChatAreForgottenWithIt) {
    insert_generation("run-1");
    execute(*daemon_,
            "INSERT INTO runledger.telegram_chats (chat_id, refused_at, last_error) VALUES (42, now(), 'blocked')");
    execute(*daemon_,
            "INSERT INTO runledger.telegram_chats (chat_id, refused_at, last_error) VALUES (43, now(), 'of nobody')");
    EXPECT_THAT(news(), ElementsAre("chat_refused 42 blocked"));

    execute("SELECT runledger.forget_chat(42)");

    EXPECT_THAT(news(), IsEmpty());
}

}  // namespace
}  // namespace runledger::test
