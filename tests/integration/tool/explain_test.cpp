// `runledger explain`: all that it says, for each way in which a cost comes about or does not.
#include <gmock/gmock.h>

#include <regex>

#include "tests/integration/tool/cost_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Explain : public CostTool {
protected:
    // What it says of run-1, with the moments of this test's own doing, which no expectation can know, as <now>.
    [[nodiscard]] std::string explained(int code = 0) const {
        const Finished finished = tool({"explain", "run-1"});
        EXPECT_EQ(finished.status.code, code) << finished.output;
        static const std::regex now(R"(20(?!25-08-29)\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})");
        return std::regex_replace(finished.output, now, "<now>");
    }
    void ten_seconds(const std::string& members) {
        insert_metadata(
            fmt::format(R"({{"run_id": "run-1", "telegramChatId": 42{}{}}})", members.empty() ? "" : ", ", members));
        receive("run-1", {{event_text({.status = "queued"}), -500'000},
                          {event_text({}), 0},
                          {event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 10'000'000}});
    }
};

TEST_F(Explain, SaysThatAnOutputHasMaskedValues) {
    insert_metadata(R"({"run_id": "run-1"})");
    receive("run-1", {{event_text({.status = "success", .outputs = R"([{"id": "a", "data": {"rate": [NaN]}}])"}), 0}});

    EXPECT_THAT(explained(), HasSubstr("1 of them: an output had values that PostgreSQL's jsonb can't hold"));
}

// Nor outbox. An escape sequence in C0 and in C1, and a line feed, as a receiver's answer or a run's id may have them.
TEST_F(Explain, LetsNoTextFromOutsideForgeALineOrReachTheTerminal) {
    const std::string hostile = "no\x1b[2J\xC2\x9B\x31m\nforged";
    insert_metadata(R"({"run_id": "run-1"})");
    execute(fmt::format(
        "INSERT INTO runledger.notifications (id, generation_id, run_id, kind, for_status, chat_id, payload, state,"
        " attempts, last_error) OVERRIDING SYSTEM VALUE VALUES (901, 1, 'run-1', 'ending', 'completed', 42, '{{}}',"
        " 'dead', 3, '{0}'), (902, 1, '{0}', 'ending', 'failed', 42, '{{}}', 'dead', 3, 'an error')",
        hostile));

    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"explain", "run-1"}, {"explain", hostile}, {"outbox", "list"}, {"outbox", "show", "901", "902"}}) {
        const std::string said = tool(words).output;

        EXPECT_THAT(said, HasSubstr("forged")) << words.front();
        EXPECT_THAT(said, Not(HasSubstr("\x1b"))) << words.front();
        EXPECT_THAT(said, Not(HasSubstr("\xC2\x9B"))) << words.front();
        EXPECT_THAT(said, Not(HasSubstr("\nforged"))) << words.front();
    }
}

TEST_F(Explain, ShowsWhatWasToldOfItsGroup) {
    ten_seconds(R"("groupId": "batch-7")");
    execute(
        "INSERT INTO runledger.notifications (group_key, kind, for_status, channel, payload, webhook_id, webhook_host) "
        "SELECT name, 'group', '512', 'webhook', '{}', 'msg_1', '[webhooks] url' FROM "
        "unnest('{batch-7,batch-8}'::text[]) AS name");

    EXPECT_THAT(
        explained(),
        HasSubstr(
            "  webhook of the end of group batch-7, number 512: pending, [webhooks] url, id msg_1, 0 attempts\n"));
    EXPECT_THAT(explained(), Not(HasSubstr("batch-8")));
}

TEST_F(Explain, APlainSuccess) {
    ten_seconds(R"("costRate": {"amount": 0.000337, "currency": "USD", "unit": "second"})");

    EXPECT_EQ(explained(), R"text(Run run-1: success, 3 events, 1 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:37.500000  queued       edge-1  boot 01010101 + 0.500000 s
  2025-08-29 02:35:38.000000  running      edge-1  boot 01010101 + 1.000000 s  <- counts from here
  2025-08-29 02:35:48.000000  success      edge-1  boot 01010101 + 11.000000 s  <- the ending

Time
  from 2025-08-29 02:35:38.000000 (running)
  to   2025-08-29 02:35:48.000000 (success)
  11000000 - 1000000 = 10000000 microseconds, by the clock of boot 01010101: steps of the wall clock don't count

Rate of generation 1
  0.000337 USD per second, from metadata.costRate; copied at the settlement

Sum
  0.000337 USD x 10000000 us / 1000000 us = 0.003370000000 USD, rounded to 12 decimals

The row of generation 1
  completed, 10000.000 ms, 0.003370000000 USD
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: success
    before: pending, no duration, no cost
    after: completed, 10000.000 ms, 0.003370000000 USD

Notifications
  ending: pending, chat 42, 0 attempts
)text");
}

TEST_F(Explain, AMissingRunning) {
    insert_generation("run-1");
    receive("run-1", {{event_text({.status = "started"}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_EQ(explained(), R"text(Run run-1: success, 2 events, 0 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:38.000000  started      edge-1  boot 01010101 + 1.000000 s
  2025-08-29 02:35:48.000000  success      edge-1  boot 01010101 + 11.000000 s  <- the ending

Time
  to   2025-08-29 02:35:48.000000 (success)
  No duration: no running event was received, so the beginning is unknown; if one still comes, the run is priced then.

Rate of generation 1
  0.000337 USD per second, from metadata.costRate; copied at the settlement

Sum
  No cost (no_running_event): no running event was received, so the beginning is unknown; if one still comes, the run is priced then.

The row of generation 1
  completed, no duration, no cost (no_running_event)
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: success
    before: pending, no duration, no cost
    after: completed, no duration, no cost (no_running_event)

Notifications
  ending: pending, chat 42, 0 attempts
)text");
}

TEST_F(Explain, ADuplicateSuccess) {
    insert_generation("run-1");
    receive("run-1", {{event_text({}), 0},
                      {event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 10'000'000}});
    receive("run-1", {{event_text({.status = "success"}), 11'600'000, true}});

    EXPECT_EQ(explained(), R"text(Run run-1: success, 3 events, 1 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:38.000000  running      edge-1  boot 01010101 + 1.000000 s  <- counts from here
  2025-08-29 02:35:48.000000  success      edge-1  boot 01010101 + 11.000000 s  <- the ending
  2025-08-29 02:35:49.600000  success      edge-1  boot 01010101 + 12.600000 s  repeats or contradicts an ending: the first one counts  redelivered: the sender's second or third try, late by up to 1.6 s and the earlier tries

Time
  from 2025-08-29 02:35:38.000000 (running)
  to   2025-08-29 02:35:48.000000 (success)
  11000000 - 1000000 = 10000000 microseconds, by the clock of boot 01010101: steps of the wall clock don't count

Rate of generation 1
  0.000337 USD per second, from metadata.costRate; copied at the settlement

Sum
  0.000337 USD x 10000000 us / 1000000 us = 0.003370000000 USD, rounded to 12 decimals

The row of generation 1
  completed, 10000.000 ms, 0.003370000000 USD
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: success
    before: pending, no duration, no cost
    after: completed, 10000.000 ms, 0.003370000000 USD

Notifications
  ending: pending, chat 42, 0 attempts
)text");
}

TEST_F(Explain, AResettledRun) {
    insert_generation("run-1");
    receive("run-1", {{event_text({.status = "failed", .live_status = "\"Executing KSampler\"", .progress = "0.71"}),
                       10'000'000}});
    execute("UPDATE runledger.notifications SET state = 'sent', sent_at = now(), attempts = 1");
    receive("run-1", {{event_text({}), 4'000'000}});
    receive("run-1", {{event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 9'000'000}});

    EXPECT_EQ(explained(), R"text(Run run-1: success, 3 events, 1 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:42.000000  running      edge-1  boot 01010101 + 5.000000 s  <- counts from here
  2025-08-29 02:35:47.000000  success      edge-1  boot 01010101 + 10.000000 s  <- the ending
  2025-08-29 02:35:48.000000  failed       edge-1  boot 01010101 + 11.000000 s  repeats or contradicts an ending: the first one counts

Time
  from 2025-08-29 02:35:42.000000 (running)
  to   2025-08-29 02:35:47.000000 (success)
  10000000 - 5000000 = 5000000 microseconds, by the clock of boot 01010101: steps of the wall clock don't count

Rate of generation 1
  0.000337 USD per second, from metadata.costRate; copied at the settlement

Sum
  0.000337 USD x 5000000 us / 1000000 us = 0.001685000000 USD, rounded to 12 decimals

The row of generation 1
  completed, 5000.000 ms, 0.001685000000 USD
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: failed
    before: pending, no duration, no cost
    after: failed "failed while Executing KSampler (71 %)", no duration, no cost (not_charged)
  <now>  resettled: timing changed
    before: failed, no duration, no cost (not_charged)
    after: failed "failed while Executing KSampler (71 %)", 6000.000 ms, no cost (not_charged)
  <now>  resettled: status was failed, timing changed, cost changed, outputs changed
    before: failed, 6000.000 ms, no cost (not_charged)
    after: completed, 5000.000 ms, 0.001685000000 USD

Notifications
  ending: sent <now>, chat 42, 1 attempts
  correction to completed: pending, chat 42, 0 attempts
)text");
}

TEST_F(Explain, APriceByTokens) {
    insert_metadata(
        R"({"run_id": "run-1", "costRate": {"amount": "0.0000025", "currency": "USD", "unit": "token"}, "tokenCount": 1200})");
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_THAT(explained(),
                HasSubstr("  0.0000025 USD per token, from metadata.costRate; copied at the settlement\n"));
    EXPECT_THAT(explained(), HasSubstr("  0.0000025 USD x 1200 tokens = 0.003000000000 USD, rounded to 12 decimals\n"));
}

TEST_F(Explain, APriceByTokensThatNobodyCounted) {
    insert_metadata(
        R"({"run_id": "run-1", "costRate": {"amount": 1, "currency": "USD", "unit": "token"}, "tokenCount": "many"})");
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_THAT(explained(), HasSubstr("  None (tokens_malformed): the unit of metadata.costRate is token, and "));
    EXPECT_THAT(explained(), HasSubstr("metadata.gpu: absent; metadata.tokenCount: many\n"));
}

TEST_F(Explain, APriceOfARequest) {
    insert_metadata(R"({"run_id": "run-1", "costRate": {"amount": 0.25, "currency": "USD", "unit": "request"}})");
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_THAT(explained(), HasSubstr("  0.25 USD a request, whatever it took, from metadata.costRate; copied"));
    EXPECT_THAT(explained(), HasSubstr("  a flat price: 0.250000000000 USD\n"));
}

TEST_F(Explain, AFlatRate) {
    insert_metadata(R"({"run_id": "run-1", "costRate": {"amount": 0.25, "currency": "USD", "unit": "run"}})");
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_EQ(explained(), R"text(Run run-1: success, 2 events, 0 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:38.000000  running      edge-1  boot 01010101 + 1.000000 s  <- counts from here
  2025-08-29 02:35:48.000000  success      edge-1  boot 01010101 + 11.000000 s  <- the ending

Time
  from 2025-08-29 02:35:38.000000 (running)
  to   2025-08-29 02:35:48.000000 (success)
  11000000 - 1000000 = 10000000 microseconds, by the clock of boot 01010101: steps of the wall clock don't count

Rate of generation 1
  0.25 USD a run, whatever it took, from metadata.costRate; copied at the settlement

Sum
  a flat price: 0.250000000000 USD

The row of generation 1
  completed, 10000.000 ms, 0.250000000000 USD
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: success
    before: pending, no duration, no cost
    after: completed, 10000.000 ms, 0.250000000000 USD

Notifications
  none
)text");
}

TEST_F(Explain, AStringRate) {
    insert_metadata(R"({"run_id": "run-1", "costRate": {"amount": "1.2132", "currency": "USD", "unit": "hour"}})");
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 12'345'678}});

    EXPECT_EQ(explained(), R"text(Run run-1: success, 2 events, 0 outputs

Events, as the edge received them (UTC)
  2025-08-29 02:35:38.000000  running      edge-1  boot 01010101 + 1.000000 s  <- counts from here
  2025-08-29 02:35:50.345678  success      edge-1  boot 01010101 + 13.345678 s  <- the ending

Time
  from 2025-08-29 02:35:38.000000 (running)
  to   2025-08-29 02:35:50.345678 (success)
  13345678 - 1000000 = 12345678 microseconds, by the clock of boot 01010101: steps of the wall clock don't count

Rate of generation 1
  1.2132 USD per hour, from metadata.costRate; copied at the settlement

Sum
  1.2132 USD x 12345678 us / 3600000000 us = 0.004160493486 USD, rounded to 12 decimals

The row of generation 1
  completed, 12345.678 ms, 0.004160493486 USD
  The row still has the settled values.

Settlements and their reasons
  <now>  settled: the run ended: success
    before: pending, no duration, no cost
    after: completed, 12345.678 ms, 0.004160493486 USD

Notifications
  none
)text");
}

TEST_F(Explain, ARateOfAGpu) {
    ten_seconds(R"("gpu": "A10G")");

    EXPECT_THAT(explained(), HasSubstr("  0.000337 USD per second, from gpu_rates for A10G, as in force at the ending; "
                                       "copied at the settlement\n"));
}

TEST_F(Explain, ARunOfTwoBoots) {
    insert_generation("run-1");
    receive("run-1", {{event_text({}), 0}}, 2);
    receive("run-1", {{event_text({.status = "success"}), 10'000'000}});

    EXPECT_THAT(explained(), HasSubstr("  10000000 microseconds, by wall clocks, since the boots differ: 02020202 and "
                                       "01010101 (clocks_differ)\n"));
    EXPECT_THAT(explained(), HasSubstr("  clocks_differ: the two instants come from different boots"));
}

TEST_F(Explain, ARateThatCantBeRead) {
    ten_seconds(R"("costRate": "error: timeout", "gpu": "A10G")");

    EXPECT_THAT(explained(), HasSubstr("  None (rate_malformed): metadata.costRate is not an object"));
    EXPECT_THAT(explained(), HasSubstr("  metadata.costRate: error: timeout; metadata.gpu: A10G\n"));
    EXPECT_THAT(explained(), HasSubstr("  No cost (rate_malformed): "));
}

TEST_F(Explain, ARunThatHasNotEnded) {
    insert_generation("run-1");
    receive("run-1", {{event_text({.live_status = "\"Executing KSampler\"", .progress = "0.71"}), 0}});

    EXPECT_THAT(explained(),
                HasSubstr("Run run-1: running, 1 events, 0 outputs\nNot ended. Last heard of at 2025-08-29 "
                          "02:35:38.000000: running, Executing KSampler (71 %)\n"));
    EXPECT_THAT(explained(),
                HasSubstr("  processing, no duration, no cost\n  The row is settled within a second of the run's "
                          "ending.\n"));
}

TEST_F(Explain, ARunWithoutARecord) {
    receive("run-1", {{event_text({}), 0}, {event_text({.status = "success"}), 10'000'000}});

    EXPECT_THAT(explained(), HasSubstr("No generation names this run, so nothing is priced and nobody is notified."));
}

TEST_F(Explain, ARecordWithoutEvents) {
    insert_generation("run-1");

    EXPECT_THAT(explained(), HasSubstr("Run run-1: no event of it was received, though a generation names it."));
}

TEST_F(Explain, ARunOfWhichNothingIsKnown) {
    EXPECT_EQ(explained(3),
              "Run run-1 is unknown: no event of it was received, and no generation names it or has this key.\n");
}

TEST_F(Explain, ARunByTheNumberOfItsGeneration) {
    ten_seconds(R"("costRate": {"amount": 0.000337, "currency": "USD", "unit": "second"})");
    insert_metadata("{}");

    const Finished by_number = tool({"explain", "1"});
    EXPECT_EQ(by_number.status.code, 0);
    EXPECT_THAT(by_number.output, testing::StartsWith("Generation 1 names run run-1.\n\nRun run-1: success, 3 events"));
    EXPECT_THAT(tool({"explain", "1", "--json"}).output, HasSubstr(R"({"run_id":"run-1","run":{)"));
    const Finished without_run = tool({"explain", "2"});
    EXPECT_EQ(without_run.output,
              "Generation 2 names no run:\n  pending, no duration, no cost\n  It names no run, so there are no events, "
              "and nothing is priced.\n\nNotifications\n  none\n");
    EXPECT_THAT(tool({"explain", "2", "--json"}).output, HasSubstr(R"({"run_id":null,"run":null,)"));
    EXPECT_EQ(tool({"explain", "3"}).status.code, 3);
}

TEST_F(Explain, ARowThatWasEditedByHand) {
    ten_seconds("");
    execute("UPDATE runledger.generations SET cost_usd = 5, cost_note = NULL");

    EXPECT_THAT(explained(),
                HasSubstr("  completed, 10000.000 ms, 5 USD\n  It was edited by hand: the settled values are "
                          "completed, 10000.000 ms, no cost (rate_missing)."));
}

TEST_F(Explain, ARowThatNamesAnotherRunNow) {
    ten_seconds("");
    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "run-2"}')");
    settle("run-1");

    EXPECT_THAT(explained(), HasSubstr("Generation 1 was settled by this run once; it names run run-2 now.\n"));
    EXPECT_THAT(explained(),
                HasSubstr("reopened: the row names another run now: what this one gave it is withdrawn\n"));
    EXPECT_THAT(explained(), HasSubstr("  ending: skipped, chat 42, 0 attempts: the record names another run now\n"));
}

TEST_F(Explain, ARowThatIsGone) {
    ten_seconds("");
    execute("DELETE FROM runledger.generations");

    EXPECT_THAT(explained(), HasSubstr("Generation 1 was settled by this run, and its row is gone. It said: completed, "
                                       "10000.000 ms, no cost (rate_missing)\n"));
    EXPECT_THAT(explained(), HasSubstr("settled: the run ended: success\n"));
    EXPECT_THAT(explained(), HasSubstr("  ending: pending, chat 42, 0 attempts\n"));
    EXPECT_THAT(explained(), Not(HasSubstr("No generation names this run")));

    execute("DELETE FROM runledger.run_outputs; DELETE FROM runledger.runs");
    EXPECT_THAT(explained(), HasSubstr("Run run-1: it was settled; retention has removed it since.\n"));
    EXPECT_THAT(explained(), HasSubstr("its row is gone. It said: completed"));
}

TEST_F(Explain, ARowThatCantBeSettledYet) {
    insert_generation("run-1");
    receive("run-1", {{event_text({.status = "running"}), 0}});
    execute(
        "INSERT INTO runledger.settle_queue (run_id, last_error) VALUES ('run-1', 'locked: the generations row is "
        "locked')");

    EXPECT_THAT(explained(),
                HasSubstr("  The run waits in settle_queue, since it could not be settled yet: locked: the "
                          "generations row is locked\n"));
}

TEST_F(Explain, NothingOfAPresignedLinksQuery) {
    insert_metadata(R"({"run_id": "run-1", "costRate": "error: https://rates.example/x?sig=SECRET1#SECRET2 said no"})");
    receive(
        "run-1",
        {{event_text({}), 0},
         {event_text({.status = "failed", .live_status = R"("fetching https://host/in.png?X-Amz-Signature=SECRET3")"}),
          10'000'000}});

    const std::string text = explained();

    EXPECT_THAT(text, Not(HasSubstr("SECRET")));
    EXPECT_THAT(text, HasSubstr("error: https://rates.example/x?… said no"));
    EXPECT_THAT(text, HasSubstr("failed while fetching https://host/in.png?…"));
}

}  // namespace
}  // namespace runledger::test
