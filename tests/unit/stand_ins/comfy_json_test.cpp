#include "tests/stand_ins/comfy_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

struct FloatCase {
    std::string_view name;
    double value;
    std::string_view written;
};

class PythonFloat : public testing::TestWithParam<FloatCase> {};

TEST_P(PythonFloat, IsWrittenAsReprWritesIt) { EXPECT_EQ(python_float(GetParam().value), GetParam().written); }

// The right column is what CPython's json.dumps gave for the left.
INSTANTIATE_TEST_SUITE_P(
    Values, PythonFloat,
    testing::Values(FloatCase{"zero", 0.0, "0.0"}, FloatCase{"minus_zero", -0.0, "-0.0"}, FloatCase{"one", 1.0, "1.0"},
                    FloatCase{"short_one", 0.71, "0.71"}, FloatCase{"float4", 0.8299999833106995, "0.8299999833106995"},
                    FloatCase{"small", 1e-9, "1e-09"}, FloatCase{"fixed_still", 0.0001, "0.0001"},
                    FloatCase{"scientific_already", 0.00001, "1e-05"},
                    FloatCase{"digits_and_exponent", 1.5e-7, "1.5e-07"}, FloatCase{"large", 123456789.0, "123456789.0"},
                    FloatCase{"last_fixed", 1e15, "1000000000000000.0"}, FloatCase{"first_scientific", 1e16, "1e+16"},
                    FloatCase{"hundreds", 1e100, "1e+100"}, FloatCase{"nan", std::nan(""), "NaN"},
                    FloatCase{"infinity", -std::numeric_limits<double>::infinity(), "-Infinity"}),
    [](const auto& tested) { return std::string{tested.param.name}; });

TEST(PythonString, IsAsciiAndEscapesAsPythonDoes) {
    EXPECT_EQ(python_string("plain /path"), R"("plain /path")");
    EXPECT_EQ(python_string("a\"b\\c\n\t\r\b\f"), R"("a\"b\\c\n\t\r\b\f")");
    EXPECT_EQ(python_string("Größe 色 😀"), R"("Gr\u00f6\u00dfe \u8272 \ud83d\ude00")");
    EXPECT_EQ(python_string(std::string_view("\0\x7f", 2)), R"("\u0000\u007f")");
    EXPECT_EQ(python_string("\xff"), R"("\ufffd")");
}

TEST(PythonObject, MatchesTheSendersBytes) {
    const std::string expected =
        read_text(std::string{RUNLEDGER_SOURCE_DIR} + "/tests/data/payloads/wire/01_queued.json");

    const std::string written = python_object({{"event_type", python_string("run.updated")},
                                               {"status", python_string("queued")},
                                               {"live_status", "null"},
                                               {"progress", python_float(0.0)},
                                               {"run_id", python_string("0b7f9a52-6f0e-4c3c-9d55-0a4c1f6f2a11")},
                                               {"outputs", python_array({})}});

    EXPECT_EQ(written, expected);
}

}  // namespace
}  // namespace runledger::test
