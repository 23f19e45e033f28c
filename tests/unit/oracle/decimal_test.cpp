#include "tests/oracle/decimal.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace runledger::test {
namespace {

struct TextCase {
    std::string_view name;
    std::string_view written;
    std::string_view read;  // Empty: no number.
};

class DecimalText : public testing::TestWithParam<TextCase> {};

TEST_P(DecimalText, IsReadExactly) {
    const auto value = Decimal::parse(GetParam().written);

    EXPECT_EQ(value ? value->text() : "", GetParam().read);
}

INSTANTIATE_TEST_SUITE_P(Texts, DecimalText,
                         testing::Values(TextCase{"rate", "0.000337", "0.000337"}, TextCase{"whole", "12", "12"},
                                         TextCase{"zeros_behind", "1.5000", "1.5"},
                                         TextCase{"zero", "0.000000000000", "0"}, TextCase{"negative", "-0.10", "-0.1"},
                                         TextCase{"python_small", "4e-05", "0.00004"},
                                         TextCase{"python_large", "1.5e+3", "1500"}, TextCase{"nan", "NaN", ""},
                                         TextCase{"blank", "", ""}, TextCase{"point_only", ".", ""},
                                         TextCase{"two_points", "1.2.3", ""}, TextCase{"trailing", "1 ", ""}),
                         [](const auto& tested) { return std::string{tested.param.name}; });

TEST(Decimal, ThrowsRatherThanRounds) {
    EXPECT_THROW((void)Decimal::parse("1234567890123456789012345678901234567890"), std::overflow_error);
}

struct CostCase {
    std::string_view name;
    std::string_view amount;
    std::int64_t duration_us;
    std::int64_t unit_us;
    std::string_view cost;
};

class Cost : public testing::TestWithParam<CostCase> {};

TEST_P(Cost, IsExactToTwelvePlaces) {
    const CostCase& given = GetParam();

    const Decimal cost = cost_of(
        {.amount = Decimal::parse(given.amount).value(), .duration_us = given.duration_us, .unit_us = given.unit_us});

    EXPECT_EQ(cost.text(), given.cost);
}

constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t hour_us = 3'600 * second_us;

// Worked by hand, and with bc where the digits go on.
INSTANTIATE_TEST_SUITE_P(
    Terms, Cost,
    testing::Values(CostCase{"one_second", "0.000337", second_us, second_us, "0.000337"},
                    CostCase{"every_microsecond_counts", "0.000337", 5'000'001, second_us, "0.001685000337"},
                    CostCase{"no_time", "0.000337", 0, second_us, "0"},
                    CostCase{"half_away_from_zero", "0.0000005", 1, second_us, "0.000000000001"},
                    CostCase{"below_half", "0.00000049", 1, second_us, "0"},
                    CostCase{"per_hour_repeats", "1", second_us, hour_us, "0.000277777778"},
                    CostCase{"per_minute", "0.01", 90 * second_us, 60 * second_us, "0.015"},
                    CostCase{"a_week", "0.002604", 7 * 24 * hour_us, second_us, "1574.8992"},
                    CostCase{"amount_finer_than_the_result", "0.0000000000005", second_us, second_us, "0.000000000001"},
                    CostCase{"flat", "0.05", 1, 1, "0.05"}),
    [](const auto& tested) { return std::string{tested.param.name}; });

TEST(Cost, ThrowsWhereItDoesNotFit) {
    const CostTerms terms{.amount = Decimal::parse("99999999999999999999").value(),
                          .duration_us = std::numeric_limits<std::int64_t>::max(),
                          .unit_us = second_us};

    EXPECT_THROW((void)cost_of(terms), std::overflow_error);
}

TEST(Milliseconds, KeepThreeDecimals) {
    EXPECT_EQ(milliseconds_of(1'234'567).text(), "1234.567");
    EXPECT_EQ(milliseconds_of(1'000), Decimal::parse("1.000"));
    EXPECT_EQ(milliseconds_of(1).text(), "0.001");
}

}  // namespace
}  // namespace runledger::test
