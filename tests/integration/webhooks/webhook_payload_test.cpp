// What a webhook says, compared with the settlement's row and with the JSON schema that docs/ has.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/base/json.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/integration/webhooks/webhook_schema.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;

class WebhookPayload : public WebhookFixture {
protected:
    void SetUp() override {
        WebhookFixture::SetUp();
        settings_.metadata_keys = {"userId", "none"};
        start_sender();
    }

    // The last one; held to the schema.
    JsonDocument body() {
        all_are_delivered();
        return held_to_schema(receiver_.accepted().back().body);
    }
};

TEST_F(WebhookPayload, IsTheSettlementWithExactNumbersAsStrings) {
    execute(
        "INSERT INTO runledger.generations (metadata) VALUES ('{\"run_id\": \"run-1\", \"userId\": [7], \"x\": 1, "
        "\"costRate\": {\"amount\": \"0.000337\", \"currency\": \"USD\", \"unit\": \"second\"}}');"
        "INSERT INTO runledger.runs (run_id, terminal_status, running_at, running_boot_id, running_boottime_us, "
        "running_redelivered, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, "
        "finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, "
        "latest_status, first_received_at, event_count) SELECT 'run-1', 'success', now() - interval '12.5 s', "
        "boot, 1, false, now(), boot, 12500001, false, 1, now(), boot, 1, false, 1, 'success', now(), 2 "
        "FROM gen_random_uuid() AS boot;"
        "SET TimeZone = 'Asia/Kathmandu';"
        "SELECT runledger.settle_run('run-1', interval '3 seconds', interval '1 day')");
    const JsonDocument told = body();

    EXPECT_STREQ(told["type"].GetString(), "generation.settled");
    EXPECT_EQ(told["version"].GetInt(), 1);
    const auto& data = told["data"];
    EXPECT_STREQ(data["run_id"].GetString(), "run-1");
    EXPECT_STREQ(data["status"].GetString(), "completed");
    EXPECT_STREQ(data["outcome"].GetString(), "settled");
    EXPECT_STREQ(data["duration_ms"].GetString(), "12500.000");
    EXPECT_STREQ(data["cost"].GetString(), "0.004212500000");
    EXPECT_STREQ(data["currency"].GetString(), "USD");
    EXPECT_STREQ(data["rate"]["amount"].GetString(), "0.000337");
    EXPECT_TRUE(data["cost_note"].IsNull());
    EXPECT_EQ(data["metadata"].MemberCount(), 1U) << "x is not asked for";
    EXPECT_EQ(data["metadata"]["userId"][0].GetInt(), 7);
    EXPECT_EQ(std::to_string(data["settlement"].GetInt64()), value("SELECT max(id) FROM runledger.settlements"));
    EXPECT_EQ(data["finished_at"].GetString(),
              value("SELECT to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                    "FROM runledger.settlements"));
}

TEST_F(WebhookPayload, OfARunWithoutCostSaysWhy) {
    (void)settle();
    const JsonDocument told = body();

    EXPECT_TRUE(told["data"]["cost"].IsNull());
    EXPECT_STREQ(told["data"]["cost_note"].GetString(), "not_charged");
    EXPECT_TRUE(told["data"]["metadata"].IsNull());
}

// A receiver keeps the latest of a generation by it.
TEST_F(WebhookPayload, OfASecondSettlementIsLater) {
    const std::string run = settle();
    const std::string first = body()["data"]["settled_at"].GetString();
    settle_again(run, "success");
    const JsonDocument second = body();

    EXPECT_GT(std::string(second["data"]["settled_at"].GetString()), first);
    EXPECT_STREQ(second["data"]["outcome"].GetString(), "resettled");
    EXPECT_THAT(told_of(run), ElementsAre("failed", "completed"));
}

TEST_F(WebhookPayload, OfASecondSettlementIsLaterThoughTheClockWasSetBack) {
    const std::string run = settle();
    (void)body();
    execute("UPDATE runledger.settlements SET settled_at = '2222-02-02 12:00:00.999999+00'");

    settle_again(run, "success");

    EXPECT_STREQ(body()["data"]["settled_at"].GetString(), "2222-02-02T12:00:01.000000Z");
}

// The numbers of settlements are given a second time then.
TEST_F(WebhookPayload, OfASettlementIsLaterThanWhatWasToldBeforeARestore) {
    const std::string run = settle();
    const JsonDocument told = body();
    execute(
        "DELETE FROM runledger.notifications; DELETE FROM runledger.settlements;"
        "ALTER TABLE runledger.settlements ALTER COLUMN id RESTART;"
        "UPDATE runledger.generations SET status = 'pending', status_reason = NULL, response_timestamp = NULL, "
        "response_payload = NULL, cost_note = NULL");

    settle_again(run, "success");

    const JsonDocument again = body();
    EXPECT_EQ(again["data"]["settlement"].GetInt64(), told["data"]["settlement"].GetInt64());
    EXPECT_GT(std::string(again["data"]["settled_at"].GetString()), told["data"]["settled_at"].GetString());
    EXPECT_STREQ(again["data"]["status"].GetString(), "completed");
}

TEST_F(WebhookPayload, LeavesOutMetadataThatIsTooLarge) {
    (void)settle(", \"userId\": \"" + std::string(70'000, 'u') + "\"");

    EXPECT_TRUE(body()["data"]["metadata"].IsNull());
}

}  // namespace
}  // namespace runledger::test
