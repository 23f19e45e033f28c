// What dies around a webhook: PostgreSQL's answers, the daemon, a second daemon beside it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
                                folder.make_folder(at), [named = name, query](std::string_view text) {
                                    return text == query ? std::optional<std::string>(named) : std::nullopt;
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
