// `runledger outbox …` as an operator uses it, on a real PostgreSQL.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <pqxx/pqxx>

#include "daemon/database/libpqxx.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OutboxTool : public testing::Test {
protected:
    // One cluster for all, a database for each.
    static void SetUpTestSuite() {
        postgres_ = std::make_unique<PostgresServer>(PostgresOptions{.fsync = false, .settings = {}});
    }
    static void TearDownTestSuite() { postgres_.reset(); }

    void SetUp() override {
        static int count = 0;
        const std::string database = fmt::format("outbox_{}", ++count);
        uri_ = postgres_->create_database(database);
        daemon_ =
            std::make_unique<DaemonProcess>(folder_, DaemonConf{.postgres_uri = postgres_->daemon_uri(database),
                                                                .direct_uri = postgres_->direct_daemon_uri(database),
                                                                .owner_uri = postgres_->owner_uri(database)});
        daemon_->migrate();
        connection_ = connect_to(uri_);
        execute(R"(
            INSERT INTO runledger.notifications
                (generation_id, run_id, kind, for_status, chat_id, payload, state, attempts, last_error, created_at,
                 sending_at, lease_owner, lease_until)
            SELECT id, 'run-' || id, 'ending', '', chat, '{"status": "completed", "outputs": [{"url":
                   "https://h/a?X-Amz-Signature=sesame"}]}', state, 3, error, now() - age, now(),
                   CASE state WHEN 'leased' THEN 'd' END, CASE state WHEN 'leased' THEN now() + interval '1 hour' END
            FROM (VALUES
                (1, 42, 'dead', '403 Forbidden: bot was blocked by the user', interval '3 hours'),
                (2, 42, 'uncertain', 'may have arrived: Timeout was reached', interval '1 minute'),
                (3, 43, 'pending', NULL, interval '2 days'),
                (4, 43, 'leased', NULL, interval '0'),
                (5, 44, 'dead', '400 Bad Request: chat not found', interval '5 days')
            ) AS rows (id, chat, state, error, age))");
    }

    void execute(const std::string& sql) {
        pqxx::work work(*connection_);
        work.exec(sql);
        work.commit();
    }

    std::string states() {
        pqxx::work work(*connection_);
        return libpqxx::run1(work, "SELECT string_agg(state, ' ' ORDER BY id) FROM runledger.notifications")[0]
            .as<std::string>();
    }

    Finished outbox(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "outbox");
        return daemon_->tool(std::move(arguments));
    }

    TempFolder folder_;
    static inline std::unique_ptr<PostgresServer> postgres_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::unique_ptr<pqxx::connection> connection_;
    std::string uri_;
};

TEST_F(OutboxTool, ListsByChatErrorStateAndAge) {
    const Finished all = outbox({"list"});
    EXPECT_EQ(all.status.code, 0) << all.output;
    EXPECT_THAT(all.output, AllOf(HasSubstr("5 notifications"), HasSubstr("run-4"), Not(HasSubstr("sesame"))));

    EXPECT_THAT(outbox({"list", "--chat", "42"}).output, AllOf(HasSubstr("2 notifications"), HasSubstr("run-2")));
    EXPECT_THAT(outbox({"list", "--error", "BLOCKED"}).output, AllOf(HasSubstr("1 notifications"), HasSubstr("run-1")));
    EXPECT_THAT(outbox({"list", "--older-than", "1d"}).output, AllOf(HasSubstr("2 notifications"), HasSubstr("run-3")));
    EXPECT_THAT(outbox({"list", "--state", "dead", "--state", "uncertain", "--older-than", "2h"}).output,
                AllOf(HasSubstr("2 notifications"), HasSubstr("run-5"), Not(HasSubstr("run-2"))));
    EXPECT_THAT(
        outbox({"list", "--json", "--chat", "44"}).output,
        HasSubstr(
            R"({"id":5,"state":"dead","kind":"ending","run_id":"run-5","generation_id":5,"chat_id":44,"recipient":"",)"));
    EXPECT_THAT(outbox({"list", "--older-than", "1w"}).output, HasSubstr("write a number and s, m, h or d"));
}

TEST_F(OutboxTool, KnowsAChannelByItsNameAndWhatIsAnotherPlatforms) {
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, "
        "recipient) "
        "VALUES (6, 'run-6', 'ending', '', runledger.chat_named('@some_channel'), '{}', 'pending', '@some_channel'), "
        "(7, 'run-7', 'ending', '', NULL, '{}', 'elsewhere', 'platform discord')");

    const Finished channels = outbox({"list", "--chat", "@Some_Channel"});
    EXPECT_THAT(channels.output,
                AllOf(HasSubstr("1 notifications"), HasSubstr("  @some_channel "), HasSubstr("run-6")));
    EXPECT_THAT(outbox({"list", "--state", "elsewhere"}).output,
                AllOf(HasSubstr("1 notifications"), HasSubstr("platform discord "), HasSubstr("run-7")));
    EXPECT_THAT(outbox({"list", "--chat", "some_channel"}).output,
                HasSubstr("some_channel is neither a chat's number nor @channelname"));
    EXPECT_THAT(outbox({"retry", "--chat", "@some_channel"}).output, HasSubstr("0 notifications"));
    EXPECT_THAT(outbox({"drop", "--chat", "@some_channel"}).output, HasSubstr("1 notifications dropped"));
}

TEST_F(OutboxTool, ShowsOneWithoutItsLinks) {
    const Finished shown = outbox({"show", "1"});
    EXPECT_EQ(shown.status.code, 0);
    EXPECT_THAT(shown.output, AllOf(HasSubstr("bot was blocked"), HasSubstr("completed"), Not(HasSubstr("sesame"))));

    EXPECT_EQ(outbox({"show", "99"}).status.code, 3);
}

TEST_F(OutboxTool, HasGivenUpOnesTriedAgain) {
    execute(
        "UPDATE runledger.notifications SET waits_since = now() - interval '9 days', uncertain_attempts = 2 WHERE id = "
        "2");

    const Finished retried = outbox({"retry", "--chat", "42"});

    EXPECT_EQ(retried.status.code, 0) << retried.output;
    EXPECT_THAT(retried.output, HasSubstr("2 notifications are tried again"));
    EXPECT_EQ(states(), "pending pending pending leased dead");
    pqxx::work work(*connection_);
    const auto row = libpqxx::run1(
        work,
        "SELECT attempts, uncertain_attempts, waits_since > now() - interval '1 minute' FROM runledger.notifications "
        "WHERE id = 2");
    EXPECT_EQ(row[0].as<int>(), 0);
    EXPECT_EQ(row[1].as<int>(), 2) << "it still says that it may be a duplicate";
    EXPECT_TRUE(row[2].as<bool>()) << "or it would be skipped at once";
}

// What something newer has replaced is not sent again, by whichever option it is chosen.
TEST_F(OutboxTool, TriesNothingAgainThatSomethingNewerHasReplaced) {
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, chat_id, payload, "
        "state, last_error, webhook_id, webhook_host, webhook_url) VALUES "
        "(6, 'run-6', 'progress', 'progress', 'webhook', NULL, '{}', 'skipped', 'HTTP 500', 'msg_6', 'h', "
        "'https://h'), "
        "(7, 'run-7', 'settlement', '1', 'webhook', NULL, '{}', 'skipped', 'not allowed', 'msg_7', 'h', 'https://h'), "
        "(8, 'run-8', 'ending', '', 'telegram', 45, '{}', 'skipped', runledger.withdrawn(), NULL, NULL, NULL), "
        "(9, 'run-9', 'ending', '', 'telegram', 45, '{}', 'skipped', 'dropped by an operator', NULL, NULL, NULL)");

    EXPECT_THAT(outbox({"retry", "--all"}).output, HasSubstr("5 notifications are tried again"));

    EXPECT_EQ(states(), "pending pending pending leased pending skipped pending skipped pending");
    const Finished by_id = outbox({"retry", "6"});
    EXPECT_EQ(by_id.status.code, 3);
    EXPECT_THAT(by_id.output, HasSubstr("replaced by something newer"));
}

// [webhooks] url has had its own.
TEST_F(OutboxTool, TriesNoWebhookAgainWhoseRecordNamesNoUrl) {
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, payload, state, "
        "last_error, webhook_id, webhook_host) VALUES "
        "(6, 'run-6', 'settlement', '1', 'webhook', '{}', 'skipped', 'metadata.webhookUrl is no string', 'msg_6', "
        "'metadata.webhookUrl'), "
        "(7, 'run-7', 'settlement', '1', 'webhook', '{}', 'dead', 'HTTP 410', 'msg_7', '[webhooks] url')");

    EXPECT_THAT(outbox({"retry", "--all"}).output, HasSubstr("4 notifications are tried again"));

    EXPECT_EQ(states(), "pending pending pending leased pending skipped pending");
    EXPECT_EQ(outbox({"retry", "6"}).status.code, 3);
}

TEST_F(OutboxTool, ListsTheEndOfAGroupByTheGroup) {
    execute(
        "INSERT INTO runledger.notifications (group_key, kind, for_status, channel, payload, webhook_id, webhook_host) "
        "VALUES ('batch-7', 'group', '1', 'webhook', '{}', 'msg_6', '[webhooks] url')");

    EXPECT_THAT(outbox({"list"}).output, AllOf(HasSubstr("6 notifications"), HasSubstr("  group batch-7 ")));
    EXPECT_THAT(outbox({"show", "6"}).output,
                AllOf(HasSubstr("group_id           batch-7"), HasSubstr("run_id             -")));
    EXPECT_THAT(outbox({"show", "6", "--json"}).output, HasSubstr(R"("group_id":"batch-7")"));
}

TEST_F(OutboxTool, DropsWhatNobodyWantsAndSaysWhoDidIt) {
    EXPECT_EQ(outbox({"drop", "3", "5"}).status.code, 0);
    EXPECT_EQ(states(), "dead uncertain skipped leased skipped");
    EXPECT_THAT(outbox({"list", "--chat", "44"}).output,
                HasSubstr("dropped by an operator: 400 Bad Request: chat not found"));

    const Finished leased = outbox({"drop", "4"});
    EXPECT_EQ(leased.status.code, 3) << "its daemon is sending it";
    EXPECT_EQ(states(), "dead uncertain skipped leased skipped");
}

TEST_F(OutboxTool, SendsWhatWasOnlyLogged) {
    execute(R"(
        INSERT INTO runledger.notifications
            (generation_id, run_id, kind, for_status, chat_id, payload, state, attempts, last_error, created_at,
             sending_at, logged_at, waits_since)
        SELECT id, 'run-' || id, 'ending', '', chat, '{"status": "completed"}', 'logged', 1, 'logged', now() - age,
               now(), now(), now() - age
        FROM (VALUES (6, 45, interval '3 days'), (7, 45, interval '2 hours'), (8, 46, interval '1 minute'))
            AS rows (id, chat, age))");
    const std::string others = "dead uncertain pending leased dead ";
    EXPECT_THAT(outbox({"list", "--state", "logged"}).output, HasSubstr("3 notifications"));

    EXPECT_EQ(outbox({"send-logged", "--all"}).status.code, 1) << "mode is log: they would be logged again";
    EXPECT_EQ(states(), others + "logged logged logged");

    daemon_ = std::make_unique<DaemonProcess>(
        folder_, DaemonConf{.postgres_uri = uri_, .telegram_api_url = "http://127.0.0.1:1"});
    EXPECT_EQ(outbox({"send-logged"}).status.code, 2) << "which?";
    EXPECT_EQ(outbox({"send-logged", "--all", "--chat", "45"}).status.code, 2);
    EXPECT_EQ(outbox({"send-logged", "1"}).status.code, 3) << "it was not logged, but refused";
    EXPECT_THAT(outbox({"send-logged", "--all", "--dry-run"}).output,
                HasSubstr("3 notifications would be sent, 0 stay logged"));
    EXPECT_EQ(states(), others + "logged logged logged");
    EXPECT_THAT(outbox({"send-logged", "--newer-than", "1d", "--limit", "1"}).output,
                HasSubstr("1 notifications are to be sent, 2 stay logged"));
    EXPECT_EQ(states(), others + "logged pending logged") << "of the last day, the oldest";
    EXPECT_THAT(outbox({"send-logged", "--all"}).output, HasSubstr("2 notifications are to be sent, 0 stay logged"));
    EXPECT_EQ(states(), others + "pending pending pending");

    pqxx::work work(*connection_);
    EXPECT_TRUE(libpqxx::run1(work,
                              "SELECT bool_and(attempts = 0 AND last_error IS NULL AND waits_since > now() - interval "
                              "'1 minute') FROM runledger.notifications WHERE id > 5")[0]
                    .as<bool>())
        << "or they would be skipped at once";
}

TEST_F(OutboxTool, SendsNoLoggedMessageAfterItsCorrection) {
    execute(R"(
        DELETE FROM runledger.notifications;
        INSERT INTO runledger.notifications
            (id, generation_id, run_id, kind, for_status, chat_id, payload, state, attempts, last_error, sending_at,
             logged_at, sent_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, generation, 'run-' || generation, kind, for_status, 45, '{"status": "completed"}', state, 1,
               CASE state WHEN 'logged' THEN 'logged' WHEN 'dead' THEN 'refused' END, now(),
               CASE state WHEN 'logged' THEN now() END, CASE state WHEN 'sent' THEN now() END
        FROM (VALUES (1, 1, 'ending', '', 'logged'), (2, 1, 'correction', 'failed', 'sent'),
                     (3, 2, 'follow_up', '', 'logged'), (4, 2, 'correction', 'failed', 'pending'),
                     (5, 3, 'ending', '', 'logged'), (6, 3, 'correction', 'failed', 'logged'),
                     (7, 4, 'ending', '', 'logged'), (8, 4, 'correction', 'failed', 'dead'),
                     (9, 5, 'correction', 'failed', 'sent'), (10, 5, 'correction', 'completed', 'logged'))
            AS rows (id, generation, kind, for_status, state))");
    daemon_ = std::make_unique<DaemonProcess>(
        folder_, DaemonConf{.postgres_uri = uri_, .telegram_api_url = "http://127.0.0.1:1"});

    const Finished sent = outbox({"send-logged", "--all"});

    EXPECT_EQ(sent.status.code, 0) << sent.output;
    EXPECT_THAT(sent.output,
                AllOf(HasSubstr("4 notifications are to be sent, 0 stay logged"),
                      HasSubstr("2 notifications are skipped, because a later correction was sent or is to be sent")));
    EXPECT_EQ(states(), "skipped sent skipped pending pending pending pending dead sent pending");
    EXPECT_THAT(outbox({"list", "--state", "skipped"}).output, HasSubstr("a later correction"));

    EXPECT_THAT(outbox({"retry", "--all"}).output, HasSubstr("1 notifications are tried again"));
    EXPECT_EQ(states(), "skipped sent skipped pending pending pending pending pending sent pending");
}

TEST_F(OutboxTool, ChangesNothingUnlessItIsToldWhich) {
    EXPECT_EQ(outbox({"retry"}).status.code, 2);
    EXPECT_EQ(outbox({"drop"}).status.code, 2);
    EXPECT_EQ(outbox({"drop", "--all", "--chat", "42"}).status.code, 2);
    EXPECT_EQ(states(), "dead uncertain pending leased dead");

    EXPECT_EQ(outbox({"retry", "--all"}).status.code, 0);
    EXPECT_EQ(states(), "pending pending pending leased pending");
}

}  // namespace
}  // namespace runledger::test
