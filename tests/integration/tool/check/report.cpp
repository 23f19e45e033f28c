#include "tests/integration/tool/check/report.hpp"

#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace runledger::test {

using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<CheckLine> CheckReport::with(std::string_view result) const {
    std::vector<CheckLine> found;
    std::ranges::copy_if(lines, std::back_inserter(found),
                         [result](const CheckLine& line) { return line.result == result; });
    return found;
}

std::vector<std::string> CheckReport::results_of(std::string_view check) const {
    std::vector<std::string> results;
    for (const CheckLine& line : lines) {
        if (line.check == check) {
            results.push_back(line.result);
        }
    }
    return results;
}

CheckReport read_report(Finished finished) {
    CheckReport report{.finished = std::move(finished), .url = {}, .lines = {}};
    rapidjson::Document document;
    document.Parse(report.finished.output.data(), report.finished.output.size());
    if (!document.IsObject() || !document.HasMember("findings")) {
        ADD_FAILURE() << "no report: " << report.finished.status.code << " " << report.finished.output;
        return report;
    }
    if (document.HasMember("url")) {
        report.url = document["url"].GetString();
    }
    for (const auto& finding : document["findings"].GetArray()) {
        report.lines.push_back({.check = finding["check"].GetString(),
                                .result = finding["result"].GetString(),
                                .found = finding["found"].GetString(),
                                .to_do = finding["to_do"].GetString()});
    }
    return report;
}

void expect_only_failure(const CheckReport& report, std::string_view check, std::string_view found,
                         std::string_view to_do) {
    constexpr int not_ready = 3;
    EXPECT_EQ(report.finished.status.code, not_ready) << report.finished.output;
    const auto failed = report.with("failed");
    ASSERT_THAT(failed, SizeIs(1)) << report.finished.output;
    EXPECT_EQ(failed.front().check, check) << report.finished.output;
    EXPECT_THAT(failed.front().found, HasSubstr(std::string(found)));
    EXPECT_THAT(failed.front().to_do, HasSubstr(std::string(to_do)));
}

void expect_warning(const CheckReport& report, std::string_view check, std::string_view found) {
    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_THAT(report.with("failed"), SizeIs(0)) << report.finished.output;
    const auto warnings = report.with("warning");
    EXPECT_TRUE(std::ranges::any_of(warnings, [&](const CheckLine& line) {
        return line.check == check && line.found.find(found) != std::string::npos && !line.to_do.empty();
    })) << report.finished.output;
}

}  // namespace runledger::test
