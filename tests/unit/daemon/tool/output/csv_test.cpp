#include "daemon/tool/output/csv.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace runledger::tool {
namespace {

struct CsvCase {
    const char* name;
    std::vector<std::optional<std::string_view>> fields;
    const char* line;
};

class Csv : public testing::TestWithParam<CsvCase> {};

TEST_P(Csv, IsAsRfc4180HasIt) {
    CsvLines lines;
    for (const auto& field : GetParam().fields) {
        lines.add(field);
    }
    lines.end_line();

    EXPECT_EQ(lines.text(), GetParam().line);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, Csv,
    testing::Values(CsvCase{"plain", {"a", "1.5", "-3"}, "a,1.5,-3\r\n"},
                    CsvCase{"null_and_empty", {"a", std::nullopt, "", std::nullopt}, "a,,\"\",\r\n"},
                    CsvCase{"null_first", {std::nullopt, std::nullopt, "a"}, ",,a\r\n"},
                    CsvCase{"comma", {"a,b", "c"}, "\"a,b\",c\r\n"},
                    CsvCase{"quotes", {"say \"a\""}, "\"say \"\"a\"\"\"\r\n"},
                    CsvCase{"line_ends", {"a\nb", "c\rd", "e\r\nf"}, "\"a\nb\",\"c\rd\",\"e\r\nf\"\r\n"},
                    CsvCase{"blanks_and_letters", {" a ", "größe 色 😀", "=1+1"}, " a ,größe 色 😀,=1+1\r\n"},
                    CsvCase{"json", {R"({"a": "b"})"}, "\"{\"\"a\"\": \"\"b\"\"}\"\r\n"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(CsvLines, BeginAnewWhenTheyAreCleared) {
    CsvLines lines;
    lines.add("a");
    lines.end_line();
    lines.clear();

    lines.add(std::nullopt);
    lines.add("b");
    lines.end_line();

    EXPECT_EQ(lines.text(), ",b\r\n");
}

}  // namespace
}  // namespace runledger::tool
