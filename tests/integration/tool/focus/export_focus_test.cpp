// `runledger export focus`, held to the specification's rules, and what it does where there is something to refuse.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/integration/tool/cost_fixture.hpp"
#include "tests/integration/tool/focus/focus_rules.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::int64_t us = 1'000'000;
// From the fixture's first event, at 2025-08-29 02:35:38Z, to the end of that month.
constexpr std::int64_t to_september = 249'862 * us;

class ExportFocus : public CostTool {
protected:
    // The database is the suite's: what a test sets in it goes with the test.
    void TearDown() override {
        for (const std::string& name : settings_) {
            execute(fmt::format("ALTER DATABASE {} RESET {}", database_, name));
        }
        CostTool::TearDown();
    }
    void set(const std::string& name, const std::string& value) {
        execute(fmt::format("ALTER DATABASE {} SET {} = '{}'", database_, name, value));
        settings_.push_back(name);
    }
    struct Run {
        std::string id;
        std::string members;  // Of its metadata.
        std::int64_t began{0};
        std::int64_t ended{10 * us};
        std::string status{"success"};
    };
    void settle_run(const Run& run) {
        insert_metadata(fmt::format(R"({{"run_id": "{}"{}{}}})", run.id, run.members.empty() ? "" : ", ", run.members));
        receive(run.id, {{event_text({.run_id = run.id}), run.began},
                         {event_text({.run_id = run.id, .status = run.status}), run.ended}});
    }
    static std::string rate(const std::string& amount, const std::string& unit) {
        return fmt::format(R"("costRate": {{"amount": {}, "currency": "USD", "unit": "{}"}})", amount, unit);
    }
    // One of each kind that there is.
    void settle_all_kinds() {
        settle_run({"second", R"("gpu": "A10G")"});
        settle_run({"minute", rate("0.1", "minute") + R"(, "gpu": "A100")"});
        settle_run({"hour", rate(R"("1.2132")", "hour")});
        settle_run({"dear_hour", rate("999999999999", "hour"), 0, 10'000'001});
        settle_run({"run", rate("0.25", "run")});
        settle_run({"request", rate("0.5", "request") + R"(, "gpu": "A10G")"});
        settle_run({"tokens", rate(R"("0.0000025")", "token") + R"(, "tokenCount": 1201)"});
        settle_run({"no_tokens", rate("3", "token") + R"(, "tokenCount": 0)"});
        settle_run({"free", rate("0", "second")});
        settle_run({"a_moment", rate("1", "second"), 0, 1});
        settle_run(
            {"odd", rate("1", "run") + R"(, "gpu": "A, \"10\"\nG größe 😀", "accountId": "a,b\"c", "title": "x\ny")"});
        settle_run({"failed", R"("gpu": "A10G")", 0, 10 * us, "failed"});
        // The application's own, such as an adopted one; one that was edited; and one without a cost.
        execute(
            "INSERT INTO runledger.generations (metadata, status, response_timestamp, duration_ms, cost_usd) VALUES "
            "('{}', 'completed', '2025-08-30 12:00Z', 2012.345, 0.000678160265), "
            "('{\"accountId\": \"studio\"}', 'completed', '2025-08-30 12:00:00.25Z', NULL, 3), "
            "('{}', 'completed', '2025-08-30 12:00Z', 8e15, 2), "
            "('{}', 'completed', '2025-08-30 12:00Z', 1, NULL)");
        settle_run({"edited", R"("gpu": "A10G")"});
        execute("UPDATE runledger.generations SET cost_usd = 7, duration_ms = NULL WHERE run_id = 'edited'");
    }
    [[nodiscard]] std::filesystem::path file() const { return place_ / "focus.csv"; }
    [[nodiscard]] Finished export_focus(const std::string& month = "2025-08") const {
        return tool({"export", "focus", "--month", month, "--output", file().string()});
    }
    [[nodiscard]] FocusFile exported(const std::string& month = "2025-08") const {
        const Finished ended = export_focus(month);
        EXPECT_THAT(ended.status.code, testing::AnyOf(0, 3)) << ended.output;
        return read_focus_file(read_text(file()));
    }
    [[nodiscard]] static FocusRow row_of(const FocusFile& file, const std::string& run) {
        for (const FocusRow& row : file.rows) {
            if (row.at("ResourceId") == run) {
                return row;
            }
        }
        ADD_FAILURE() << "no row of " << run;
        return {};
    }

    TempFolder place_;

private:
    std::string database_{value("SELECT quote_ident(current_database())")};
    std::vector<std::string> settings_;
};

std::string text_of(const FocusRow& row, const std::vector<std::string>& columns) {
    std::string text;
    for (const std::string& name : columns) {
        text += (text.empty() ? "" : " | ") + row.at(name).value_or("-");
    }
    return text;
}

TEST_F(ExportFocus, KeepsEachRuleOfTheSpecification) {
    set("runledger.focus_tags", "title, accountId, nothing");
    settle_all_kinds();

    const FocusFile file = exported();

    EXPECT_THAT(broken_by_columns(file.columns), IsEmpty());
    EXPECT_EQ(file.rows.size(), 15U);
    for (const FocusRow& row : file.rows) {
        EXPECT_THAT(broken_by_row(row), IsEmpty()) << text_of(row, file.columns);
    }
    EXPECT_EQ(row_of(file, "odd").at("SkuId"), "A, \"10\"\nG größe 😀");
    EXPECT_EQ(row_of(file, "odd").at("Tags"), R"({"title": "x\ny", "accountId": "a,b\"c"})");
}

TEST_F(ExportFocus, SaysWhatARunWas) {
    settle_run({"one", R"("gpu": "A10G")", 1'500'000, 11'500'000});

    const FocusFile file = exported();

    ASSERT_EQ(file.rows.size(), 1U);
    const std::string database = value("SELECT current_database()");
    EXPECT_EQ(
        text_of(file.rows[0], file.columns),
        "0.003370000000 | " + database +
            " | - | USD | 2025-09-01T00:00:00Z | 2025-08-01T00:00:00Z | Usage | - | "
            "Run on A10G: 10 seconds at 0.000337 USD a second | Usage-Based | 2025-08-29T02:35:50Z | "
            "2025-08-29T02:35:39Z | 10 | Seconds | 0.003370000000 | 0.000337 | 0.003370000000 | - | ComfyDeploy | "
            "0.003370000000 | 0.000337 | Standard | 10 | Seconds | ComfyDeploy | ComfyDeploy | one | - | Run | "
            "AI and Machine Learning | ComfyDeploy | Generative AI | A10G | Compute Time | "
            "{\"InstanceType\": \"A10G\"} | A10G/second | - | - | - | 2025-08 | - | - | 10 | 1");
}

TEST_F(ExportFocus, CountsInTheUnitOfTheRate) {
    settle_all_kinds();
    const std::vector<std::string> columns{"BilledCost",       "ListUnitPrice", "PricingQuantity", "PricingUnit",
                                           "ConsumedQuantity", "ConsumedUnit",  "SkuPriceId",      "x_DurationSeconds"};

    const FocusFile file = exported();

    EXPECT_EQ(text_of(row_of(file, "minute"), columns),
              "0.016666666667 | 0.1 | 0.166666666666666666666666666667 | Minutes | 10 | Seconds | A100/minute | 10");
    EXPECT_EQ(text_of(row_of(file, "request"), columns),
              "0.500000000000 | 0.5 | 1 | Requests | 1 | Requests | A10G/request | 10");
    EXPECT_EQ(text_of(row_of(file, "run"), columns), "0.250000000000 | 0.25 | 1 | Runs | 1 | Runs | Run/run | 10");
    EXPECT_EQ(text_of(row_of(file, "tokens"), columns),
              "0.003002500000 | 0.0000025 | 1201 | Tokens | 1201 | Tokens | Token/token | 10");
    EXPECT_EQ(text_of(row_of(file, "edited"), columns), "7 | 7 | 1 | Runs | 1 | Runs | A10G/run | -");
    // Exactly, where the rules can only be held to a double.
    EXPECT_EQ(value("SELECT count(*) FROM runledger.focus_costs_v1 WHERE "
                    "abs(\"ListUnitPrice\" * \"PricingQuantity\" - \"ListCost\") > 0.5e-12 + 1e-17"),
              "0");
}

TEST_F(ExportFocus, LeavesOutWhatHasNoCostAndSaysSo) {
    settle_run({"known", R"("gpu": "A10G")"});
    settle_run({"unknown", ""});
    settle_run({"unknown_too", rate("1", "fortnight")});
    settle_run({"failed", R"("gpu": "A10G")", 0, 10 * us, "failed"});

    const Finished ended = export_focus();

    EXPECT_EQ(ended.status.code, 3);
    EXPECT_THAT(ended.output, HasSubstr("2025-08: 1 charges in " + file().string() + "\n"));
    EXPECT_THAT(ended.output, HasSubstr("2 completed generations of 2025-08 have no known cost and are left out"));
    EXPECT_EQ(read_focus_file(read_text(file())).rows.size(), 1U);
}

TEST_F(ExportFocus, HasNoRowOfARunThatDidNotSucceedThoughTheApplicationGaveItACost) {
    settle_run({"good", rate("1", "run")});
    execute(
        "INSERT INTO runledger.generations (status, response_timestamp, cost_usd) VALUES "
        "('failed', '2025-08-30 12:00Z', 5), ('cancelled', '2025-08-30 12:00Z', 6), "
        "('pending', '2025-08-30 12:00Z', 7), ('completed', '2025-08-30 12:00Z', 8)");

    EXPECT_EQ(value("SELECT string_agg(\"BilledCost\"::text, ' ' ORDER BY \"BilledCost\") "
                    "FROM runledger.focus_costs_v1"),
              "1.000000000000 8");
}

TEST_F(ExportFocus, AddsUpToTheMonthsCosts) {
    settle_all_kinds();

    EXPECT_EQ(value("SELECT sum(\"BilledCost\") = (SELECT sum(cost_usd) FROM runledger.day_costs_v1) "
                    "FROM runledger.focus_costs_v1"),
              "t");
}

TEST_F(ExportFocus, PutsARunIntoTheMonthInWhichItEnded) {
    settle_run({"last_of_august", rate("1", "run"), 0, to_september - 1});
    settle_run({"first_of_september", rate("1", "run"), to_september - 10 * us, to_september});

    const FocusFile august = exported("2025-08");
    const FocusFile september = exported("2025-09");

    ASSERT_EQ(august.rows.size(), 1U);
    ASSERT_EQ(september.rows.size(), 1U);
    const std::vector<std::string> columns{"ResourceId", "ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart",
                                           "BillingPeriodEnd"};
    EXPECT_EQ(text_of(august.rows[0], columns),
              "last_of_august | 2025-08-29T02:35:38Z | 2025-09-01T00:00:00Z | 2025-08-01T00:00:00Z | "
              "2025-09-01T00:00:00Z");
    EXPECT_EQ(text_of(september.rows[0], columns),
              "first_of_september | 2025-08-31T23:59:50Z | 2025-09-01T00:00:00Z | 2025-09-01T00:00:00Z | "
              "2025-10-01T00:00:00Z");
}

TEST_F(ExportFocus, HasTheMonthsOfTheReportsTimeZoneAndTheNamesOfItsSettings) {
    set("runledger.report_time_zone", "Europe/Paris");
    set("runledger.focus_billing_account_id", " studio-1 ");
    set("runledger.focus_billing_account_name", "The studio");
    set("runledger.focus_provider_name", "Ours");
    set("runledger.focus_invoice_issuer_name", "Accounts");
    set("runledger.focus_service_name", "Pictures");
    settle_run({"in_paris_september", rate("1", "run"), 0, to_september - 1});

    const FocusFile file = exported("2025-09");

    ASSERT_EQ(file.rows.size(), 1U);
    EXPECT_EQ(
        text_of(file.rows[0], {"BillingPeriodStart", "BillingPeriodEnd", "BillingAccountId", "BillingAccountName",
                               "ProviderName", "PublisherName", "InvoiceIssuerName", "ServiceName"}),
        "2025-08-31T22:00:00Z | 2025-09-30T22:00:00Z | studio-1 | The studio | Ours | Ours | Accounts | Pictures");
}

TEST_F(ExportFocus, OfAClosedMonthStaysAndItsCorrectionsComeWithTheNext) {
    settle_run({"a", R"("gpu": "A10G")", 20 * us, 30 * us});
    settle_run({"b", R"("gpu": "A10G")"});
    settle_run({"unknown", ""});
    const std::vector<FocusRow> billed = exported().rows;
    ASSERT_TRUE(tool({"close", "2025-08"}).status.clean());
    EXPECT_THAT(exported().rows, testing::UnorderedElementsAreArray(billed));

    // Ten seconds longer; no longer a success; and a price that was unknown.
    receive("a", {{event_text({.run_id = "a"}), 10 * us}});
    receive("b", {{event_text({.run_id = "b", .status = "failed"}), 5 * us}});
    execute("UPDATE runledger.generations SET metadata = metadata || '{\"gpu\": \"H100\"}' WHERE run_id = 'unknown'");
    settle("unknown");
    execute("DELETE FROM runledger.settle_queue");

    EXPECT_EQ(export_focus().status.code, 3) << "of one, the cost was unknown when the month was closed";
    EXPECT_THAT(exported().rows, testing::UnorderedElementsAreArray(billed));
    const FocusFile september = exported("2025-09");
    EXPECT_EQ(september.rows.size(), 3U);
    for (const FocusRow& row : september.rows) {
        EXPECT_THAT(broken_by_row(row), IsEmpty()) << text_of(row, september.columns);
    }
    const std::vector<std::string> columns{"BilledCost",         "ChargeClass",      "ChargePeriodEnd",
                                           "BillingPeriodStart", "ListUnitPrice",    "PricingQuantity",
                                           "PricingUnit",        "x_CorrectedMonth", "ChargeDescription"};
    EXPECT_EQ(text_of(row_of(september, "a"), columns),
              "0.003370000000 | Correction | 2025-08-29T02:36:08Z | 2025-09-01T00:00:00Z | - | - | - | 2025-08 | "
              "Correction of 2025-08: 0.006740000000 USD instead of 0.003370000000");
    EXPECT_EQ(text_of(row_of(september, "b"), columns),
              "-0.003370000000 | Correction | 2025-08-29T02:35:48Z | 2025-09-01T00:00:00Z | - | - | - | 2025-08 | "
              "Correction of 2025-08: no known USD instead of 0.003370000000");
    EXPECT_EQ(text_of(row_of(september, "unknown"), columns),
              "0.023380000000 | Correction | 2025-08-29T02:35:48Z | 2025-09-01T00:00:00Z | - | - | - | 2025-08 | "
              "Correction of 2025-08: 0.023380000000 USD instead of no known");
    for (const std::string run : {"a", "b"}) {
        for (const std::string column : {"ChargePeriodStart", "ChargePeriodEnd"}) {
            const auto original = std::find_if(billed.begin(), billed.end(),
                                               [&run](const FocusRow& row) { return row.at("ResourceId") == run; });
            EXPECT_EQ(row_of(september, run).at(column), original->at(column)) << run << ": " << column;
        }
    }
    EXPECT_EQ(value("SELECT bool_and((SELECT sum(\"BilledCost\") FROM runledger.focus_costs_v1 "
                    "WHERE \"x_BillingMonth\" = month) = (runledger.statement(month)).billed_usd) "
                    "FROM (VALUES ('2025-08'), ('2025-09')) AS m (month)"),
              "t");
}

// An ending that came earlier moves the run to August: what is taken back was charged in September.
TEST_F(ExportFocus, TakesACorrectionBackWhereTheChargeWas) {
    settle_run({"stays", R"("gpu": "A10G")"});
    settle_run({"moves", R"("gpu": "A10G")", to_september + 10 * us, to_september + 20 * us});
    ASSERT_TRUE(tool({"close", "2025-08"}).status.clean());
    ASSERT_TRUE(tool({"close", "2025-09"}).status.clean());

    receive("moves",
            {{event_text({.run_id = "moves"}), 0}, {event_text({.run_id = "moves", .status = "success"}), 20 * us}});
    execute("DELETE FROM runledger.settle_queue");

    std::vector<std::string> corrections;
    for (const FocusRow& row : exported("2025-10").rows) {
        EXPECT_THAT(broken_by_row(row), IsEmpty());
        corrections.push_back(text_of(
            row, {"BilledCost", "x_CorrectedMonth", "BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd"}));
    }
    EXPECT_THAT(corrections,
                testing::UnorderedElementsAre(
                    "-0.003370000000 | 2025-09 | 2025-10-01T00:00:00Z | 2025-09-01T00:00:10Z | 2025-09-01T00:00:20Z",
                    "0.006740000000 | 2025-08 | 2025-10-01T00:00:00Z | 2025-08-29T02:35:38Z | 2025-08-29T02:35:58Z"));
}

TEST_F(ExportFocus, OfAnEmptyMonthHasItsColumns) {
    const Finished ended = export_focus("2020-02");

    EXPECT_TRUE(ended.status.clean()) << ended.output;
    const FocusFile written = read_focus_file(read_text(file()));
    EXPECT_THAT(broken_by_columns(written.columns), IsEmpty());
    EXPECT_THAT(written.rows, IsEmpty());
}

TEST_F(ExportFocus, WritesTheSameToStandardOutput) {
    settle_run({"one", R"("gpu": "A10G")"});
    ASSERT_TRUE(export_focus().status.clean());

    const Finished ended = tool({"export", "focus", "--month", "2025-08"});

    EXPECT_TRUE(ended.status.clean());
    EXPECT_EQ(ended.output, read_text(file()));
}

TEST_F(ExportFocus, SpeaksJsonOfEachChargeOrOfTheFile) {
    settle_run({"one", R"("gpu": "A10G")"});

    EXPECT_THAT(tool({"export", "focus", "--month", "2025-08", "--json"}).output,
                testing::AllOf(testing::StartsWith(R"({"BilledCost":"0.003370000000",)"),
                               HasSubstr(R"("BillingPeriodStart":"2025-08-01T00:00:00Z")")));
    EXPECT_EQ(tool({"export", "focus", "--month", "2025-08", "--json", "--output", file().string()}).output,
              fmt::format(R"({{"month":"2025-08","charges":1,"without_cost":0,"file":"{}"}})"
                          "\n",
                          file().string()));
}

TEST_F(ExportFocus, LeavesTheOldFileWhereItFails) {
    place_.write_file("focus.csv", "old");
    settle_run({"one", R"("gpu": "A10G")"});
    // Halfway: the month can be counted, and a charge fails when it is read.
    execute(
        "CREATE OR REPLACE FUNCTION runledger.focus_tags(metadata jsonb, keys text[]) RETURNS jsonb "
        "LANGUAGE sql IMMUTABLE AS 'SELECT jsonb_build_object(1 / (length(metadata::text) * 0), 1)'");
    set("runledger.focus_tags", "a");

    const Finished ended = export_focus();
    execute(read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "sql/functions/focus.sql"));

    EXPECT_EQ(ended.status.code, 1) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("division by zero"));
    EXPECT_EQ(read_text(file()), "old");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(place_.path()), std::filesystem::directory_iterator()),
              1);
}

TEST_F(ExportFocus, RefusesWhatIsNoMonthAndNoFile) {
    for (const char* month : {"2025-13", "2025", "2025-8", "2025-08-01", "August"}) {
        const Finished ended = export_focus(month);
        EXPECT_EQ(ended.status.code, 2) << month;
        EXPECT_THAT(ended.output, HasSubstr("is no month")) << month;
    }
    EXPECT_EQ(tool({"export", "focus", "--month", "2025-08", "--output", "/dev/null"}).status.code, 2);
    EXPECT_EQ(tool({"export", "focus", "--month", "2025-08", "--output", place_.path().string()}).status.code, 2);
    EXPECT_EQ(tool({"export", "focus", "--month", "2025-08", "--output", "/not-there/focus.csv"}).status.code, 1);
    EXPECT_EQ(tool({"export", "focus"}).status.code, 2);
}

// A rule that nothing breaks is none.
struct Breach {
    const char* name;
    std::vector<std::pair<std::string, std::optional<std::string>>> values;
    const char* says;
};

class FocusRules : public ExportFocus, public testing::WithParamInterface<Breach> {};

TEST_P(FocusRules, FindABreach) {
    settle_run({"one", R"("gpu": "A10G", "accountId": "a")"});
    FocusRow row = exported().rows.at(0);
    ASSERT_THAT(broken_by_row(row), IsEmpty());

    for (const auto& [column, value] : GetParam().values) {
        row[column] = value;
    }

    EXPECT_THAT(broken_by_row(row), testing::Contains(HasSubstr(GetParam().says)));
}

INSTANTIATE_TEST_SUITE_P(
    EachKind, FocusRules,
    testing::Values(Breach{"null_cost", {{"BilledCost", std::nullopt}}, "BilledCost is null"},
                    Breach{"cost_with_a_sign", {{"BilledCost", "+1"}}, "BilledCost is \"+1\""},
                    Breach{"cost_with_a_comma", {{"BilledCost", "1,000"}}, "of another form"},
                    Breach{"nan", {{"BilledCost", "NaN"}}, "of another form"},
                    Breach{"exponent_with_a_plus", {{"BilledCost", "1E+3"}}, "of another form"},
                    Breach{"time_with_a_blank", {{"ChargePeriodEnd", "2025-08-29 02:35:50Z"}}, "of another form"},
                    Breach{"time_with_a_fraction", {{"ChargePeriodEnd", "2025-08-29T02:35:50.5Z"}}, "of another form"},
                    Breach{"time_of_a_zone", {{"ChargePeriodEnd", "2025-08-29T02:35:50+02:00"}}, "of another form"},
                    Breach{"empty_text", {{"ProviderName", ""}}, "of another form"},
                    Breach{"other_category", {{"ChargeCategory", "Rental"}}, "not allowed"},
                    Breach{"other_class", {{"ChargeClass", "Correct"}}, "not allowed"},
                    Breach{"euro", {{"BillingCurrency", "euro"}}, "not allowed"},
                    Breach{"nested_tags", {{"Tags", R"({"a": [1]})"}}, "of another form"},
                    Breach{"price_and_quantity", {{"PricingQuantity", "11"}}, "times PricingQuantity"},
                    Breach{"no_quantity", {{"ConsumedQuantity", std::nullopt}}, "ConsumedQuantity is not null"},
                    Breach{"quantity_of_no_unit", {{"ConsumedUnit", std::nullopt}}, "ConsumedUnit is null iff"},
                    Breach{"unit_in_small_letters", {{"PricingUnit", "seconds"}}, "PricingUnit is in the form"},
                    Breach{"no_sku", {{"SkuId", std::nullopt}}, "SkuId is not null"},
                    Breach{"period_upside_down", {{"BillingPeriodEnd", "2025-07-01T00:00:00Z"}}, "exclusive end"},
                    Breach{"charge_upside_down", {{"ChargePeriodEnd", "2025-08-29T02:35:38Z"}}, "exclusive end"},
                    Breach{
                        "another_period", {{"ChargePeriodEnd", "2025-09-29T02:35:38Z"}}, "within its billing period"},
                    Breach{"account_without_a_name", {{"SubAccountName", std::nullopt}}, "SubAccountName is null iff"},
                    Breach{"resource_without_a_type", {{"ResourceType", std::nullopt}}, "ResourceType is null iff"},
                    Breach{"a_name_that_repeats_the_id", {{"ResourceName", "one"}}, "does not repeat it"}),
    [](const auto& breach) { return std::string(breach.param.name); });

TEST(FocusColumns, FindABreach) {
    EXPECT_THAT(broken_by_columns({"BilledCost", "Cost"}), testing::Contains(HasSubstr("Cost is no column of FOCUS")));
    EXPECT_THAT(broken_by_columns({"Tags", "BilledCost"}), testing::Contains(HasSubstr("alphabetical order")));
    EXPECT_THAT(broken_by_columns({"BilledCost"}), testing::Contains(HasSubstr("PricingUnit is missing")));
    EXPECT_THAT(broken_by_columns({"BilledCost", "BilledCost"}), testing::Contains(HasSubstr("twice")));
}

}  // namespace
}  // namespace runledger::test
