// What dies around a webhook: PostgreSQL's answers, the daemon, a second daemon beside it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "queries/webhooks.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/stand_ins/postgres_proxy.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class WebhookFaults : public WebhookFixture {
protected:
    // The daemon's URI, through the proxy.
    [[nodiscard]] std::string through(const PostgresProxy& proxy) {
        return proxy.uri(value("SELECT current_database()"));
    }
};

TEST_F(WebhookFaults, SendsAgainWhatADeadDaemonHadLeased) {
    start_sender();
    (void)settle();
    all_are_delivered();
    stop_sender();
    (void)settle();
    execute(
        "UPDATE runledger.notifications SET state = 'leased', lease_owner = 'dead', sending_at = now(), "
        "lease_until = now() - interval '1 second' WHERE channel = 'webhook' AND state = 'pending'");
    start_sender();
    all_are_delivered();

    EXPECT_THAT(receiver_.accepted(), SizeIs(2));
}

TEST_F(WebhookFaults, SendsEachOnceFromTwoDaemons) {
    start_sender();
    const auto other = another_sender("there:2:second");
    constexpr std::size_t runs = 60;
    for (std::size_t i = 0; i < runs; ++i) {
        (void)settle();
    }
    all_are_delivered();

    std::set<std::string> ids;
    for (const ReceivedWebhook& each : receiver_.received()) {
        ids.insert(each.id);
    }
    EXPECT_EQ(ids.size(), runs);
    EXPECT_THAT(receiver_.received(), SizeIs(runs));
    EXPECT_EQ(sent().delivered + other->counters().delivered, runs);
}

TEST_F(WebhookFaults, LosesNothingThoughItsSessionsAreEnded) {
    start_sender();
    for (int i = 0; i < 10; ++i) {
        (void)settle();
        execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%webhooks'");
    }
    all_are_delivered();

    std::set<std::string> ids;
    for (const ReceivedWebhook& each : receiver_.accepted()) {
        ids.insert(each.id);
    }
    EXPECT_THAT(ids, SizeIs(10));
}

// The answer of each COMMIT of the sender is lost once: of its settings, of a lease, of what an attempt came to.
TEST_F(WebhookFaults, LosesNothingThoughTheAnswerOfACommitIsLost) {
    using queries::webhooks::forget_hosts;
    using queries::webhooks::lease;
    using queries::webhooks::sent;
    const TempFolder folder;
    for (const auto fault : {StatementFault::lost_answer, StatementFault::cut_before}) {
        for (const auto& [name, query] :
             {std::pair{"forget_hosts", forget_hosts}, std::pair{"lease", lease}, std::pair{"sent", sent}}) {
            const std::string at = fmt::format("{}_{}", name, static_cast<int>(fault));
            PostgresProxy proxy({.socket_folder = postgres().socket_folder(), .port = postgres().port()},
                                folder.make_folder(at), [named = name, asked = query](std::string_view text) {
                                    return text == asked ? std::optional<std::string>(named) : std::nullopt;
                                });
            proxy.set({.at = {.stage = "webhooks", .name = fmt::format("COMMIT after {}", name)}, .fault = fault});
            const auto before = receiver_.received().size();
            sender_ = another_sender("here:1:" + at, through(proxy));
            eventually("webhooks are on",
                       [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == "1"; });
            const std::string run = settle();
            all_are_delivered();
            eventually("the fault has struck", [&] { return proxy.has_struck(); });
            stop_sender();

            EXPECT_THAT(told_of(run), Not(IsEmpty())) << at;
            EXPECT_LE(receiver_.received().size(), before + 1) << at << ": nothing but the record was lost";
            execute("DELETE FROM runledger.webhook_settings");
        }
    }
}

TEST_F(WebhookFaults, CountsAFailureOnceThoughTheAnswerOfItsCommitIsLost) {
    using queries::webhooks::host_failed;
    settings_.retry_delay_min = settings_.retry_delay_max = std::chrono::hours{1};
    const TempFolder folder;
    PostgresProxy proxy({.socket_folder = postgres().socket_folder(), .port = postgres().port()},
                        folder.make_folder("proxy"), [](std::string_view text) {
                            return text == host_failed ? std::optional<std::string>("host_failed") : std::nullopt;
                        });
    proxy.set({.at = {.stage = "webhooks", .name = "COMMIT after host_failed"}, .fault = StatementFault::lost_answer});
    receiver_.script({.answer = {.status = 500}, .times = -1});
    sender_ = another_sender("here:1:first", through(proxy));
    eventually("webhooks are on", [&] { return value("SELECT count(*) FROM runledger.webhook_settings") == "1"; });
    (void)settle();

    eventually("it is stored again", [&] {
        return std::ranges::any_of(
            log_.lines(), [](const std::string& line) { return line.find("lease was lost") != std::string::npos; });
    });
    EXPECT_TRUE(proxy.has_struck());
    EXPECT_EQ(value("SELECT failures FROM runledger.webhook_hosts"), "1");
}

// What an attempt came to is said by the daemon that has the webhook then.
TEST_F(WebhookFaults, SaysNothingOfWhatAnotherDaemonHasTakenOver) {
    settings_.metadata_keys = {"*"};
    start_sender();
    std::vector<std::string> runs;
    for (const int status : {200, 410, 503}) {
        const std::string word = fmt::format("\"answer {}\"", status);
        receiver_.script({.answer = {.status = status, .delay = seconds{3}}, .mention = word});
        runs.push_back(settle(", \"a\": " + word));
    }
    eventually("they are on their way", [&] { return receiver_.received().size() == runs.size(); });
    execute(
        "UPDATE runledger.notifications SET lease_owner = 'other', lease_until = now() + interval '1 hour' "
        "WHERE channel = 'webhook' AND state = 'leased'");

    eventually("they are answered", [&] { return sent().delivered + sent().gone + sent().retried == runs.size(); });
    stop_sender();  // It has stored what it knows.
    EXPECT_THAT(log_.lines_with("a webhook's lease was lost"), SizeIs(runs.size()));
    for (const std::string& run : runs) {
        EXPECT_EQ(webhook_of(run, "state || ' ' || lease_owner || ' ' || attempts"), "leased other 1");
    }
}

// It then recovers what it may have leased by a COMMIT whose answer is lost: not what it is sending, nor what another
// daemon is.
TEST_F(WebhookFaults, LeavesWhatIsOnItsWayAloneAfterALookThatFailed) {
    receiver_.script({.answer = {.delay = seconds{3}}});
    start_sender();
    const std::string run = settle();
    eventually("it is on its way", [&] { return receiver_.received().size() == 1; });
    execute(
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, payload, webhook_id, "
        "webhook_host, state, lease_owner, lease_until, sending_at) SELECT generation_id + 1, 'of another', kind, "
        "for_status, channel, payload, webhook_id || 'x', webhook_host, 'leased', 'other', now() + interval '1 hour', "
        "now() FROM runledger.notifications WHERE channel = 'webhook';"
        "ALTER TABLE runledger.webhook_hosts RENAME TO away");
    eventually("a look fails", [&] { return sent().turns_failed > 0; });
    execute("ALTER TABLE runledger.away RENAME TO webhook_hosts");

    eventually("it is accepted", [&] { return webhook_of(run, "state") == "sent"; });

    EXPECT_THAT(receiver_.received(), SizeIs(1));
    EXPECT_EQ(webhook_of("of another", "state || ' ' || lease_owner"), "leased other");
}

// PostgreSQL's crash may undo a lease, which no COMMIT waits for.
TEST_F(WebhookFaults, GoesOnWithACallWhoseLeaseIsUndone) {
    receiver_.script({.answer = {.delay = seconds{3}}});
    start_sender();
    const std::string run = settle();
    eventually("it is on its way", [&] { return receiver_.received().size() == 1; });
    execute(
        "UPDATE runledger.notifications SET state = 'pending', attempts = 0, lease_owner = NULL, lease_until = NULL, "
        "sending_at = NULL WHERE channel = 'webhook'");
    sender_->wake();
    eventually("it is leased again", [&] { return webhook_of(run, "state") == "leased"; });

    all_are_delivered();

    EXPECT_THAT(receiver_.received(), SizeIs(1));
    EXPECT_EQ(sent().delivered, 1U);
}

// The server forgets what was not on its disk: leases of calls that are in flight, and what calls have come to.
TEST_F(WebhookFaults, LosesNothingThoughPostgresCrashesOverAndOver) {
    const auto set = [&](const std::string& what) {
        const auto connection = connect_to(uri_);
        pqxx::nontransaction session(*connection);
        session.exec("ALTER SYSTEM " + what);
        session.exec("SELECT pg_reload_conf()");
    };
    set("SET wal_writer_delay = '10s'");
    receiver_.script({.answer = {.delay = std::chrono::milliseconds{300}}, .times = -1});
    sender_tuning_.gather_interval = std::chrono::milliseconds{1};
    settings_.timeout = seconds{1};
    start_sender();
    std::vector<std::string> runs;
    for (int crash = 0; crash < 3; ++crash) {
        const auto before = receiver_.received().size();
        for (int i = 0; i < 5; ++i) {
            runs.push_back(settle());
            settle_again(runs.back(), "success");
        }
        eventually("some are answered, and others in flight",
                   [&] { return receiver_.received().size() >= before + 6; });
        postgres().restart(StopMode::immediate);
        connect_again();
    }
    all_are_delivered(seconds{60});  // A lease that was kept, of an outcome that was not, runs out.

    for (const std::string& run : runs) {
        std::vector<std::string> first_told = told_of(run);  // Without what came again.
        std::set<std::string> known;
        std::erase_if(first_told, [&](const std::string& status) { return !known.insert(status).second; });
        EXPECT_THAT(first_told, testing::ElementsAre("failed", "completed")) << run;
    }
    EXPECT_GT(receiver_.received().size(), 2 * runs.size()) << "no crash has undone anything";
    set("RESET wal_writer_delay");
}

TEST_F(WebhookFaults, LeavesWhatIsInFlightAtItsEndToTheNextDaemon) {
    sender_tuning_.stop_bound = std::chrono::milliseconds{400};
    receiver_.script({.answer = {.delay = seconds{30}}});
    start_sender();
    const std::string run = settle();
    eventually("it is on its way", [&] { return receiver_.received().size() == 1; });
    stop_sender();
    EXPECT_EQ(webhook_of(run, "state || ' ' || attempts"), "pending 0");
    start_sender();
    all_are_delivered();

    EXPECT_EQ(receiver_.received()[0].id, receiver_.received()[1].id);
}

}  // namespace
}  // namespace runledger::test
