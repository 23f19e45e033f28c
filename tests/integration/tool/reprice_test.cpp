// `runledger reprice`: what it shows, what it writes, and what it leaves alone.
#include <gmock/gmock.h>

#include "tests/integration/tool/cost_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Reprice : public CostTool {
protected:
    // Ten seconds on an A10G at 0.000337, ended within the month that the tests reprice.
    void ten_seconds(const std::string& run_id, const std::string& members = R"("gpu": "A10G")",
                     const std::string& status = "success", std::int64_t begin_us = 0) {
        insert_metadata(fmt::format(R"({{"run_id": "{}", "telegramChatId": 42, {}}})", run_id, members));
        receive(run_id, {{event_text({.run_id = run_id}), begin_us},
                         {event_text({.run_id = run_id, .status = status}), begin_us + 10'000'000}});
    }
    void set_rate(const std::string& usd) {
        execute("UPDATE runledger.gpu_rates SET usd_per_second = " + usd + " WHERE gpu = 'A10G'");
    }
    [[nodiscard]] Finished reprice(std::vector<std::string> further = {}, const std::string& gpu = "A10G") const {
        std::vector<std::string> words{"reprice", "--gpu", gpu, "--from", "2025-08-01", "--to", "2025-09-01"};
        words.insert(words.end(), further.begin(), further.end());
        return tool(words);
    }
    [[nodiscard]] std::string cost_of_run(const std::string& run_id) {
        return value("SELECT coalesce(cost_usd::text, 'NULL') FROM runledger.generations WHERE run_id = '" + run_id +
                     "'");
    }
};

TEST_F(Reprice, ShowsTheDifferenceAndChangesNothing) {
    ten_seconds("a");
    ten_seconds("b");
    set_rate("0.0004");

    const Finished shown = reprice();

    EXPECT_TRUE(shown.status.clean());
    EXPECT_THAT(shown.output, HasSubstr("2 at 0.000337 USD a second become 0.0004: 0.006740000000 USD before, "
                                        "0.008000000000 USD after: +0.001260000000\n"));
    EXPECT_THAT(shown.output, HasSubstr("Nothing was changed."));
    EXPECT_EQ(cost_of_run("a"), "0.003370000000");
    EXPECT_EQ(count("settlements"), 2);
}

TEST_F(Reprice, WritesEachRowWithItsAuditAndTellsNobody) {
    ten_seconds("a");
    const auto told = count("notifications");
    set_rate("0.0004");

    const Finished applied = reprice({"--apply"});

    EXPECT_TRUE(applied.status.clean()) << applied.output;
    EXPECT_THAT(applied.output, HasSubstr("1 runs repriced"));
    EXPECT_EQ(cost_of_run("a"), "0.004000000000");
    EXPECT_EQ(value("SELECT concat_ws('|', outcome, rate_source, rate_amount, cost_usd, before ->> 'cost_usd') "
                    "FROM runledger.settlements ORDER BY id DESC LIMIT 1"),
              "repriced|gpu_rates|0.0004|0.004000000000|0.003370000000");
    EXPECT_EQ(value("SELECT why FROM runledger.settlements ORDER BY id DESC LIMIT 1"),
              "gpu_rates gives 0.0004 USD a second for A10G at the ending, it was 0.000337; runledger reprice, as "
              "ledger_owner");
    EXPECT_EQ(count("notifications"), told);

    EXPECT_THAT(reprice({"--apply"}).output, HasSubstr("0 runs repriced")) << "safe to repeat";
    EXPECT_EQ(count("settlements"), 2);
}

TEST_F(Reprice, StandsWhenLaterNewsSettlesTheRowAgain) {
    ten_seconds("a");
    set_rate("0.0004");
    ASSERT_TRUE(reprice({"--apply"}).status.clean());

    receive("a", {{event_text({.run_id = "a"}), -1'000'000}});

    EXPECT_EQ(cost_of_run("a"), "0.004400000000");
}

TEST_F(Reprice, KeepsTheStatusThatTheApplicationWroteThroughLaterNews) {
    insert_metadata(R"({"run_id": "a", "gpu": "A10G"})");
    execute("UPDATE runledger.generations SET status = 'cancelled'");
    receive("a", {{event_text({.run_id = "a"}), 0}, {event_text({.run_id = "a", .status = "success"}), 10'000'000}});
    set_rate("0.0004");
    ASSERT_TRUE(reprice({"--apply"}).status.clean());

    receive("a", {{event_text({.run_id = "a"}), -1'000'000}});

    EXPECT_EQ(value("SELECT status FROM runledger.generations"), "cancelled");
    EXPECT_EQ(cost_of_run("a"), "0.004400000000");
}

TEST_F(Reprice, PricesWhatHadNoRate) {
    ten_seconds("a", R"("gpu": "RTX 9090")");
    ASSERT_EQ(cost_of_run("a"), "NULL");
    execute("INSERT INTO runledger.gpu_rates VALUES ('RTX 9090', 0.5, '(,)')");

    EXPECT_THAT(reprice({}, "RTX 9090").output,
                HasSubstr("1 at unknown USD a second become 0.5: 0 and 1 unknown USD before"));
    EXPECT_TRUE(reprice({"--apply"}, "RTX 9090").status.clean());

    EXPECT_EQ(cost_of_run("a"), "5.000000000000");
    EXPECT_EQ(value("SELECT coalesce(cost_note, '-') FROM runledger.generations"), "-");
}

TEST_F(Reprice, LeavesWhatMetadataPricesUsableOrNot) {
    ten_seconds("a", R"("gpu": "A10G", "costRate": {"amount": 1, "currency": "USD", "unit": "run"})");
    ten_seconds("b", R"("gpu": "A10G", "costRate": "error: timeout")");
    set_rate("0.0004");

    const Finished applied = reprice({"--apply"});

    EXPECT_THAT(applied.output, HasSubstr("2 left: metadata.costRate decides"));
    EXPECT_EQ(cost_of_run("a"), "1.000000000000");
    EXPECT_EQ(cost_of_run("b"), "NULL");
    EXPECT_EQ(count("settlements WHERE outcome = 'repriced'"), 0);
}

TEST_F(Reprice, LeavesRequestsAndTokensCountedOrNot) {
    ten_seconds("a", R"("gpu": "A10G", "costRate": {"amount": 1, "currency": "USD", "unit": "request"})");
    ten_seconds("b",
                R"("gpu": "A10G", "costRate": {"amount": 1, "currency": "USD", "unit": "token"}, "tokenCount": 3)");
    ten_seconds("c", R"("gpu": "A10G", "costRate": {"amount": 1, "currency": "USD", "unit": "token"})");
    set_rate("0.0004");

    const Finished applied = reprice({"--apply"});

    EXPECT_THAT(applied.output, HasSubstr("3 left: metadata.costRate decides"));
    EXPECT_EQ(cost_of_run("a"), "1.000000000000");
    EXPECT_EQ(cost_of_run("b"), "3.000000000000");
    EXPECT_EQ(cost_of_run("c"), "NULL");
    EXPECT_EQ(count("settlements WHERE outcome = 'repriced'"), 0);
}

TEST_F(Reprice, ReportsWhatWasEditedByHandAndLeavesIt) {
    ten_seconds("a");
    execute("UPDATE runledger.generations SET cost_usd = 5");
    set_rate("0.0004");

    const Finished applied = reprice({"--apply"});

    EXPECT_THAT(applied.output, HasSubstr("1 left: edited by hand"));
    EXPECT_THAT(applied.output,
                HasSubstr("generation 1 run a: edited by hand; was settled at 0.003370000000, would be 0.004"));
    EXPECT_EQ(cost_of_run("a"), "5");
    EXPECT_EQ(count("settlements WHERE outcome = 'repriced'"), 0);
}

TEST_F(Reprice, ChargesNoFailureAndTakesOnlyItsGpuAndItsTime) {
    ten_seconds("failed", R"("gpu": "A10G")", "failed");
    ten_seconds("other", R"("gpu": "H100")");
    ten_seconds("later", R"("gpu": "A10G")", "success", 86'400LL * 1'000'000 * 10);
    execute("UPDATE runledger.gpu_rates SET usd_per_second = 1");

    ASSERT_TRUE(reprice({"--apply"}).status.clean());

    EXPECT_EQ(cost_of_run("failed"), "NULL");
    EXPECT_EQ(value("SELECT cost_note FROM runledger.generations WHERE run_id = 'failed'"), "not_charged");
    EXPECT_EQ(cost_of_run("other"), "0.023380000000");
    EXPECT_EQ(cost_of_run("later"), "0.003370000000");
}

// Two commands for two halves of a day take each run once.
TEST_F(Reprice, TakesTheFirstMicrosecondOfItsRangeAndNotThatOfTheNext) {
    const std::int64_t midnight_us = 1'756'512'000'000'000 - ledger_epoch_us;  // 2025-08-30 00:00 UTC.
    ten_seconds("before", R"("gpu": "A10G")", "success", midnight_us - 10'000'001);
    ten_seconds("first", R"("gpu": "A10G")", "success", midnight_us - 10'000'000);
    ten_seconds("last", R"("gpu": "A10G")", "success", midnight_us + 86'400'000'000 - 10'000'001);
    ten_seconds("next", R"("gpu": "A10G")", "success", midnight_us + 86'400'000'000 - 10'000'000);
    set_rate("0.0004");

    const Finished applied =
        tool({"reprice", "--gpu", "A10G", "--from", "2025-08-30", "--to", "2025-08-31", "--apply"});

    ASSERT_TRUE(applied.status.clean()) << applied.output;
    EXPECT_EQ(value("SELECT string_agg(run_id, ' ' ORDER BY id) FROM runledger.generations WHERE cost_usd = 0.004"),
              "first last");
}

TEST_F(Reprice, GoesByTheNewestSettlement) {
    ten_seconds("a");
    receive("a", {{event_text({.run_id = "a"}), -1'000'000}});
    set_rate("0.0004");

    ASSERT_TRUE(reprice({"--apply"}).status.clean());

    EXPECT_EQ(cost_of_run("a"), "0.004400000000");
}

TEST_F(Reprice, LeavesARowThatNamesAnotherRunNow) {
    ten_seconds("a");
    execute(R"(UPDATE runledger.generations SET metadata = metadata || '{"run_id": "b"}')");
    set_rate("0.0004");

    EXPECT_THAT(reprice({"--apply"}).output, HasSubstr("0 runs repriced"));

    EXPECT_EQ(cost_of_run("b"), "0.003370000000") << "until it is withdrawn";
}

TEST_F(Reprice, LeavesALockedRowForTheNextTimeAndSaysSo) {
    ten_seconds("a");
    ten_seconds("b");
    set_rate("0.0004");
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations WHERE run_id = 'a' FOR UPDATE");

    const Finished first = reprice({"--apply"});
    lock.abort();
    const Finished second = reprice({"--apply"});

    EXPECT_EQ(first.status.code, 3);
    EXPECT_THAT(first.output, HasSubstr("generation 1 left: locked by another transaction"));
    EXPECT_THAT(first.output, HasSubstr("1 runs repriced"));
    EXPECT_EQ(second.status.code, 0);
    EXPECT_EQ(cost_of_run("a"), "0.004000000000");
}

TEST_F(Reprice, SpeaksJsonALine) {
    ten_seconds("a");
    set_rate("0.0004");

    const Finished shown = reprice({"--json"});

    EXPECT_THAT(shown.output,
                HasSubstr(R"("verdict":"reprice","rate_before":0.000337,"rate_after":0.0004,)"
                          R"("cost_before":0.003370000000,"cost_after":0.004000000000,"application_id":null})"));
    EXPECT_THAT(shown.output, Not(HasSubstr("Nothing was changed")));
}

TEST_F(Reprice, RefusesTimesThatAreNotIso8601AndSaysTheForm) {
    for (const char* text : {"01.11.2026", "tomorrow", "11/01/2026", "2025-02-30", "2025-08-01T25:00Z", "20250801"}) {
        const Finished refused = tool({"reprice", "--gpu", "A10G", "--from", text, "--to", "2030-01-01"});
        EXPECT_EQ(refused.status.code, 2) << text;
        EXPECT_THAT(refused.output, HasSubstr("is not a time: write 2026-01-31, 2026-01-31T12:00Z or ")) << text;
    }
    for (const char* text : {"2025-08-01", "2025-08-01T12:00Z", "2025-08-01 12:00:00", "2025-08-01T12:00:00.5+02:00"}) {
        const Finished taken = tool({"reprice", "--gpu", "A10G", "--from", text, "--to", "2030-01-01"});
        EXPECT_TRUE(taken.status.clean()) << taken.output;
    }
}

TEST_F(Reprice, RefusesAGpuThatNoRateNames) {
    const Finished refused = reprice({}, "A10");

    EXPECT_EQ(refused.status.code, 3);
    EXPECT_THAT(refused.output, HasSubstr("--gpu \"A10\": gpu_rates has no rate for it; it has rates for "));
    EXPECT_THAT(refused.output, HasSubstr("A10G"));
}

TEST_F(Reprice, RefusesTimesThatAreNone) {
    const Finished garbled = tool({"reprice", "--gpu", "A10G", "--from", "Tuesdayish", "--to", "2025-09-01"});
    EXPECT_EQ(garbled.status.code, 2);
    EXPECT_THAT(garbled.output, HasSubstr("--from \"Tuesdayish\" is not a time"));

    const Finished reversed = tool({"reprice", "--gpu", "A10G", "--from", "2025-09-01", "--to", "2025-08-01"});
    EXPECT_EQ(reversed.status.code, 2);
    EXPECT_THAT(reversed.output, HasSubstr("is not before"));
}

}  // namespace
}  // namespace runledger::test
