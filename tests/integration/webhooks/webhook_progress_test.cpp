// Webhooks about how running runs get on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class WebhookProgress : public WebhookFixture {
protected:
    void SetUp() override {
        WebhookFixture::SetUp();
        settings_.events = {"settled", "progress"};
        settings_.progress_interval = milliseconds{50};
    }

    void run_begins(const std::string& run_id = "run-1") {
        execute(fmt::format(
            "INSERT INTO runledger.generations (metadata) VALUES ('{{\"run_id\": \"{0}\"}}');"
            "INSERT INTO runledger.runs (run_id, running_at, running_boot_id, running_boottime_us, "
            "running_redelivered, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, "
            "latest_status, latest_progress, latest_live_status, first_received_at, event_count) SELECT '{0}', "
            "now() - interval '1 s', boot, 1, false, now(), boot, 2, false, 1, 'running', 0.25, 'Executing', now(), 2 "
            "FROM gen_random_uuid() AS boot",
            run_id));
    }
    void run_gets_on(double progress) {
        execute(fmt::format("UPDATE runledger.runs SET latest_at = clock_timestamp(), latest_progress = {}", progress));
    }
    void run_ends() {
        execute(
            "UPDATE runledger.runs SET terminal_status = 'failed', finished_at = now(), finished_boot_id = "
            "running_boot_id, finished_boottime_us = 5, finished_redelivered = false, finished_digest = 1;"
            "SELECT runledger.settle_run('run-1', interval '3 seconds', interval '1 day')");
    }
    [[nodiscard]] std::size_t told(std::string_view mention) const { return receiver_.accepted_with(mention).size(); }
};

TEST_F(WebhookProgress, IsToldAsItChangesAndByAnIdOfItsOwn) {
    start_sender();
    run_begins();
    eventually("it is told", [&] { return told("\"progress\": 0.25") == 1; });
    run_gets_on(0.5);
    eventually("it is told again", [&] { return told("\"progress\": 0.5") == 1; });
    run_ends();
    all_are_delivered();

    const auto accepted = receiver_.accepted();
    ASSERT_THAT(accepted, SizeIs(3));
    EXPECT_THAT(accepted[0].body, HasSubstr("\"Executing\""));
    EXPECT_THAT(accepted[2].body, HasSubstr("generation.settled"));
    EXPECT_NE(accepted[0].id, accepted[1].id);
    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications WHERE kind = 'progress'"), "1");
}

TEST_F(WebhookProgress, IsNotToldUnlessItIsAskedFor) {
    settings_.events = {"settled"};
    start_sender();
    run_begins();
    run_ends();
    all_are_delivered();

    EXPECT_EQ(told("generation.progress"), 0U);
}

// As its ending: an adopted row has no webhooks.
TEST_F(WebhookProgress, IsNotToldOfAnAdoptedRow) {
    run_begins("adopted");
    execute("UPDATE runledger.generations SET adopted_at = now()");
    run_begins("beside-it");
    start_sender();
    eventually("the other one is told", [&] { return told("beside-it") == 1; });
    for (const double progress : {0.5, 0.75}) {
        run_gets_on(progress);
        eventually("the other one is told again", [&] { return told(fmt::format("\"progress\": {}", progress)) >= 1; });
    }

    execute(
        "UPDATE runledger.runs SET terminal_status = 'failed', finished_at = now(), finished_boot_id = "
        "running_boot_id, finished_boottime_us = 5, finished_redelivered = false, finished_digest = 1;"
        "SELECT runledger.settle_run(run_id, interval '3 seconds', interval '1 day') FROM runledger.runs");
    eventually("the other one's ending is told", [&] { return told("generation.settled") == 1; });

    EXPECT_EQ(told("adopted"), 0U);
    EXPECT_EQ(value("SELECT string_agg(kind || ' ' || state, ', ') FROM runledger.notifications WHERE run_id = "
                    "'adopted'"),
              "settlement skipped");
}

TEST_F(WebhookProgress, IsAtMostOneARunAndInterval) {
    settings_.progress_interval = std::chrono::minutes{10};
    start_sender();
    run_begins();
    eventually("it is told", [&] { return told("\"progress\": 0.25") == 1; });
    run_gets_on(0.5);
    run_ends();
    all_are_delivered();

    EXPECT_EQ(told("generation.progress"), 1U);
}

TEST_F(WebhookProgress, ThatFailsIsDroppedAndHoldsNoEnding) {
    settings_.breaker_failures = 1000;
    receiver_.script({.answer = {.status = 500}, .times = -1, .mention = "generation.progress"});
    start_sender();
    run_begins();
    eventually("it is dropped", [&] { return sent().dropped == 1; });
    run_ends();
    eventually("the ending is told", [&] { return told("generation.settled") == 1; });

    EXPECT_EQ(told("generation.progress"), 0U);
    EXPECT_EQ(sent().retried, 0U);
}

TEST_F(WebhookProgress, ThatStillWaitsIsNotSentAfterTheEnding) {
    receiver_.goes_away();
    settings_.breaker_failures = 1;
    start_sender();
    run_begins();
    eventually("it is dropped", [&] { return value("SELECT count(*) FROM runledger.webhook_hosts") == "1"; });
    execute("UPDATE runledger.webhook_hosts SET closed_until = now() + interval '1 hour'");
    run_gets_on(0.5);
    eventually("it waits", [&] {
        return value("SELECT count(*) FROM runledger.notifications WHERE kind = 'progress' AND state = 'pending'") ==
               "1";
    });
    run_ends();

    EXPECT_EQ(value("SELECT state || ': ' || last_error FROM runledger.notifications WHERE kind = 'progress'"),
              "skipped: the run has ended");
    receiver_.comes_back();
    execute("DELETE FROM runledger.webhook_hosts");
    eventually("the ending is told", [&] { return told("generation.settled") == 1; });
    EXPECT_THAT(receiver_.accepted_with("generation.progress"), IsEmpty());
}

// Each attempt is booked on the host that it goes to.
TEST_F(WebhookProgress, ThatGoesToAnotherUrlGoesToItsHost) {
    settings_.host_suffixes = {"hooks.example"};
    for (const char* host : {"a.hooks.example", "b.hooks.example"}) {
        sender_tuning_.resolved.push_back(fmt::format("{}:443:127.0.0.1", host));  // And so neither is called.
    }
    start_sender();
    run_begins();
    for (const std::string host : {"a.hooks.example", "b.hooks.example"}) {
        execute(
            fmt::format("UPDATE runledger.generations SET metadata = metadata || "
                        "'{{\"webhookUrl\": \"https://{}/x\"}}'",
                        host));
        run_gets_on(host.starts_with('a') ? 0.5 : 0.75);
        eventually("its progress is written for " + host, [&] {
            return value(fmt::format("SELECT count(*) FROM runledger.notifications WHERE webhook_url = 'https://{}/x'",
                                     host)) == "1";
        });
    }

    EXPECT_EQ(value("SELECT webhook_host FROM runledger.notifications WHERE webhook_url IS NOT NULL"),
              "b.hooks.example");
}

TEST_F(WebhookProgress, OfARunThatIsForgottenMeanwhileIsNotWritten) {
    run_begins();
    const auto forgetting = connect_to(uri_);
    {
        pqxx::work work(*forgetting);
        work.exec("SELECT runledger.forget_generation(id) FROM runledger.generations");
        start_sender();
        // Time for some looks, which do not see yet that it is forgotten.
        std::this_thread::sleep_for(milliseconds{500});
        work.commit();
    }
    run_gets_on(0.5);
    eventually("the progress of somebody unknown is told", [&] { return told("\"progress\": 0.5") == 1; });

    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications WHERE run_id = 'run-1'"), "0");
    EXPECT_EQ(told("run-1"), 0U);
}

}  // namespace
}  // namespace runledger::test
