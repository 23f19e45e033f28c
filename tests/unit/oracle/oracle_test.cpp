#include "tests/oracle/oracle.hpp"

#include <gmock/gmock.h>

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view boot_a = "aaaaaaaa-0000-0000-0000-000000000000";
constexpr std::string_view boot_b = "bbbbbbbb-0000-0000-0000-000000000000";

PlannedOutput image(const std::string& id) {
    return {.id = id, .kind = MediaKind::image, .urls = {"https://pictures/" + id + ".png"}, .json = "{}"};
}

// A run whose bodies are short words, and the rows that tell of it.
class Oracle : public testing::Test {
protected:
    RunPlan run_{.run_id = "r1",
                 .ending = Ending::success,
                 .chat_id = 42,
                 .rate = {.amount = "0.000337", .unit = "second", .currency = "USD", .json = "{}"},
                 .outputs = {image("o1"), image("o2")}};
    Ledger ledger_;

    void stored(const std::string& status, std::int64_t at_us, std::vector<std::size_t> outputs = {},
                std::string_view boot = boot_a, std::int64_t wall_offset_us = 1'000'000'000) {
        const std::string body = status + " " + std::to_string(run_.events.size());
        run_.events.push_back({.status = status, .body = body, .outputs = std::move(outputs)});
        ledger_.events.push_back({.segment = "s",
                                  .batch_number = static_cast<std::int64_t>(ledger_.events.size()),
                                  .event_index = 0,
                                  .received_at_us = wall_offset_us + at_us,
                                  .boot_id = std::string{boot},
                                  .boottime_us = at_us,
                                  .run_id = run_.run_id,
                                  .status = status,
                                  .body = body});
    }

    ExpectedGeneration expected() const {
        std::vector<const StoredEvent*> events;
        for (const StoredEvent& event : ledger_.events) {
            events.push_back(&event);
        }
        return expected_generation(run_, events);
    }
};

TEST_F(Oracle, ChargesASuccessByTheBoottimeBetweenRunningAndItsEnd) {
    stored("queued", 100);
    stored("running", 1'000'000);
    stored("success", 6'000'001, {0, 1});

    const ExpectedGeneration row = expected();

    EXPECT_EQ(row.status, "completed");
    EXPECT_EQ(row.duration_us, 5'000'001);
    EXPECT_EQ(row.cost_usd, Decimal::parse("0.001685000337"));
    EXPECT_EQ(row.cost_note, "");
    EXPECT_EQ(row.outputs.size(), 2U);
}

TEST_F(Oracle, IsBlindToTheOrderOfTheRows) {
    stored("success", 6'000'001, {0});
    stored("running", 1'500'000);
    stored("success", 7'000'000);
    stored("running", 1'000'000);

    const ExpectedGeneration forward = expected();
    std::reverse(ledger_.events.begin(), ledger_.events.end());
    const ExpectedGeneration backward = expected();

    EXPECT_EQ(forward.duration_us, 5'000'001);
    EXPECT_EQ(backward.duration_us, forward.duration_us);
    EXPECT_EQ(backward.outputs, forward.outputs);
}

TEST_F(Oracle, IsImmuneToAStepOfTheWallClockWithinABoot) {
    stored("running", 1'000'000);
    stored("success", 6'000'000, {}, boot_a, 0);  // The wall clock went back by a thousand seconds.

    // The ending is the earliest by wall time all the same: there is but one.
    EXPECT_EQ(expected().duration_us, 5'000'000);
}

TEST_F(Oracle, UsesWallTimeAcrossBootsAndSaysSo) {
    stored("running", 1'000'000, {}, boot_a, 0);
    stored("success", 500'000, {}, boot_b, 3'000'000);

    const ExpectedGeneration row = expected();

    EXPECT_EQ(row.duration_us, 2'500'000);
    EXPECT_EQ(row.cost_note, "clocks_differ");
}

TEST_F(Oracle, KnowsNoDurationWhereRunningCameAfterTheEnd) {
    stored("success", 1'000'000);
    stored("running", 2'000'000);

    const ExpectedGeneration row = expected();

    EXPECT_EQ(row.duration_us, std::nullopt);
    EXPECT_EQ(row.cost_usd, std::nullopt);
    EXPECT_EQ(row.cost_note, "running_after_end");
}

TEST_F(Oracle, KnowsNoDurationWithoutRunning) {
    stored("success", 1'000'000);

    EXPECT_EQ(expected().cost_note, "no_running_event");
}

TEST_F(Oracle, ChargesNothingForWhatDidNotSucceed) {
    for (const auto& [word, status] :
         {std::pair{"failed", "failed"}, {"timeout", "failed"}, {"cancelled", "cancelled"}}) {
        run_.events.clear();
        ledger_.events.clear();
        stored("running", 1'000'000);
        stored(word, 2'000'000);

        const ExpectedGeneration row = expected();

        EXPECT_EQ(row.status, status);
        EXPECT_EQ(row.duration_us, 1'000'000);
        EXPECT_EQ(row.cost_usd, std::nullopt);
        EXPECT_EQ(row.cost_note, "not_charged");
    }
}

TEST_F(Oracle, TakesTheEarliestOfSeveralEndings) {
    stored("success", 3'000'000);
    stored("cancelled", 2'000'000);
    stored("running", 1'000'000);

    EXPECT_EQ(expected().status, "cancelled");
    EXPECT_EQ(expected().duration_us, 1'000'000);
}

TEST_F(Oracle, NeverLosesOutputsToAnEmptyList) {
    stored("running", 1'000'000, {1});
    stored("success", 2'000'000, {0});
    stored("success", 3'000'000, {});

    ASSERT_EQ(expected().outputs.size(), 2U);
}

TEST_F(Oracle, SaysProcessingOnceItRuns) {
    stored("queued", 1);
    EXPECT_EQ(expected().status, "pending");

    stored("running", 2);
    EXPECT_EQ(expected().status, "processing");
}

TEST_F(Oracle, ChargesAFlatRateWithoutADuration) {
    run_.rate = {.amount = "0.05", .unit = "run", .currency = "USD", .json = "{}"};
    stored("success", 1'000'000);

    EXPECT_EQ(expected().cost_usd, Decimal::parse("0.05"));
    EXPECT_EQ(expected().duration_us, std::nullopt);
    EXPECT_EQ(expected().cost_note, "");
}

// What check_generations finds, when one thing in an otherwise right row is wrong.
class GenerationCheck : public Oracle {
protected:
    void SetUp() override {
        stored("running", 1'000'000);
        stored("success", 6'000'001, {0, 1});
        ledger_.generations.push_back(
            {.id = 1,
             .run_id = "r1",
             .status = "completed",
             .duration_ms = "5000.001",
             .cost_usd = "0.001685000337",
             .cost_note = std::nullopt,
             .response_payload = R"({"outputs": [{"id": "o1", "url": "https://pictures/o1.png"},
                                                 {"id": "o2", "url": "https://pictures/o2.png"}]})"});
    }

    StoredGeneration& row() { return ledger_.generations.front(); }
    Findings findings() const { return check_generations({run_}, ledger_); }
};

TEST_F(GenerationCheck, IsSilentAboutARightRow) { EXPECT_THAT(findings(), IsEmpty()); }

TEST_F(GenerationCheck, FindsAMissingRow) {
    ledger_.generations.clear();
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("0 rows")));
}

TEST_F(GenerationCheck, FindsAWrongStatus) {
    row().status = "failed";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("status is failed, not completed")));
}

TEST_F(GenerationCheck, FindsADurationThatIsOffByAMicrosecond) {
    row().duration_ms = "5000.002";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("duration_ms is 5000.002, not 5000.001")));
}

TEST_F(GenerationCheck, FindsACostThatIsOffByTheLastPlace) {
    row().cost_usd = "0.001685000338";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("cost_usd is 0.001685000338, not 0.001685000337")));
}

TEST_F(GenerationCheck, FindsACostThatIsNull) {
    row().cost_usd = std::nullopt;
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("cost_usd is NULL")));
}

TEST_F(GenerationCheck, FindsANoteWhereThereIsNothingToSay) {
    row().cost_note = "not_charged";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("cost_note")));
}

TEST_F(GenerationCheck, FindsAnOutputThatIsErasedOrThereTwice) {
    row().response_payload = R"({"outputs": []})";
    EXPECT_THAT(findings(), testing::Contains(HasSubstr("output o1 is in response_payload 0 times")));

    row().response_payload = R"([{"id": "o1", "u": "https://pictures/o1.png"}, {"id": "o1"},
                                 {"id": "o2", "u": "https://pictures/o2.png"}])";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("output o1 is in response_payload 2 times")));
}

TEST_F(GenerationCheck, ReadsANumberThatIsBeyondItsParser) {
    row().response_payload->insert(1, "\"odd\": " + std::string(400, '7') + ", ");
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(GenerationCheck, TakesAPriceByTokensTimesTheirNumber) {
    run_.rate = {.amount = "0.0000025", .unit = "token", .currency = "USD", .tokens = 1200};
    row().cost_usd = "0.003000000000";
    EXPECT_THAT(findings(), IsEmpty());

    row().cost_usd = "0.0000025";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("cost_usd is 0.0000025, not 0.003")));
}

TEST_F(GenerationCheck, TakesAPriceOfARequestAsItIs) {
    run_.rate = {.amount = "0.25", .unit = "request", .currency = "USD"};
    row().cost_usd = "0.250000000000";
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(GenerationCheck, FindsAReasonMissingForARateThatIsNone) {
    run_.rate.usable = false;
    row().cost_usd = std::nullopt;
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("cost_note is \"\", not \"a reason\"")));

    row().cost_note = "rate_malformed";
    EXPECT_THAT(findings(), IsEmpty());
}

}  // namespace
}  // namespace runledger::test
