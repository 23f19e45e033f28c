#include "daemon/reconcile/provider_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/reconcile/comfy_api.hpp"

namespace runledger {
namespace {

using testing::ElementsAre;
using testing::Field;

ProviderReport report_of(std::string body) {
    auto decoded = decode_report("r", std::move(body));
    if (const auto* fault = std::get_if<ReportFault>(&decoded)) {
        ADD_FAILURE() << fault->sentence;
        return {};
    }
    return std::get<ProviderReport>(std::move(decoded));
}

std::string fault_of(std::string_view run_id, std::string body) {
    const auto decoded = decode_report(run_id, std::move(body));
    const auto* fault = std::get_if<ReportFault>(&decoded);
    return fault != nullptr ? fault->sentence : "accepted";
}

std::int64_t micros(const std::optional<WallTime>& time) { return time ? time->time_since_epoch().count() : -1; }

TEST(ProviderReport, SaysHowTheRunEndedAndWhenByTheProvidersClock) {
    const ProviderReport report = report_of(
        R"({"id": "r", "status": "success", "queued_at": "1970-01-01T00:00:01Z", "started_at": "1970-01-01T00:00:02.5",)"
        R"( "ended_at": "1970-01-01 02:00:04.000001+02:00", "run_duration": 1.500001, "progress": 1, "outputs": [)"
        R"({"id": "b", "data": {}}, {"id": "a", "updated_at": "1970-01-01T00:00:03Z"}]})");

    EXPECT_TRUE(report.is_ending());
    EXPECT_EQ(report.status, RunStatus::success);
    EXPECT_EQ(micros(report.queued_at), 1'000'000);
    EXPECT_EQ(micros(report.started_at), 2'500'000);
    EXPECT_EQ(micros(report.ended_at), 4'000'001);
    EXPECT_EQ(report.run_duration, "1.500001");
    EXPECT_EQ(report.progress, 1.0);
    EXPECT_THAT(report.outputs, ElementsAre(Field(&ReportedOutput::key, "a"), Field(&ReportedOutput::key, "b")));
    EXPECT_EQ(report.outputs.back().json, R"({"id": "b", "data": {}})");
}

TEST(ProviderReport, IsNoEndingUnlessTheWordIsATerminalOne) {
    EXPECT_FALSE(report_of(R"({"status": "running"})").is_ending());
    EXPECT_FALSE(report_of(R"({"status": "completed"})").is_ending()) << "a word that the sender is not known to use";
    EXPECT_TRUE(report_of(R"({"status": "timeout"})").is_ending());
}

struct Odd {
    const char* name;
    const char* body;
};

void PrintTo(const Odd& odd, std::ostream* out) { *out << odd.name; }

class OddReports : public testing::TestWithParam<Odd> {};

TEST_P(OddReports, StillTellTheEnding) {
    const ProviderReport report = report_of(GetParam().body);

    EXPECT_TRUE(report.is_ending());
    EXPECT_EQ(report.started_at, std::nullopt);
    EXPECT_EQ(report.ended_at, std::nullopt);
    EXPECT_EQ(report.run_duration, "");
}

INSTANTIATE_TEST_SUITE_P(
    ProviderReport, OddReports,
    testing::Values(
        Odd{"without_times", R"({"status": "failed"})"},
        Odd{"null_times", R"({"status": "failed", "started_at": null, "ended_at": null, "run_duration": null})"},
        Odd{"numbers_for_times", R"({"status": "failed", "started_at": 1756434938, "ended_at": true})"},
        Odd{"no_times_at_all", R"({"status": "failed", "started_at": "yesterday", "ended_at": ""})"},
        Odd{"duration_no_number", R"({"status": "failed", "run_duration": NaN})"},
        Odd{"duration_negative", R"({"status": "failed", "run_duration": -1.5})"},
        Odd{"duration_exponent", R"({"status": "failed", "run_duration": 1e400})"},
        Odd{"lone_surrogate", R"({"status": "failed", "x": "\ud800", "started_at": "1970-01-01T00:00:00Z"})"},
        Odd{"white_space_first", "\r\n\t {\"status\": \"failed\"}"}),
    [](const auto& odd) { return std::string(odd.param.name); });

TEST(ProviderReport, KeepsTimesAndDigitsWhateverTheOutputsHold) {
    const ProviderReport report = report_of(
        R"({"outputs": [{"id": "a", "data": {"x": [1e999, -Infinity, "\ud800"]}}, {"id": "b", "data": {"y": NaN}}], )"
        R"("status": "failed", "started_at": "1970-01-01T00:00:01Z", "run_duration": 0.1000000000000000055})");

    EXPECT_EQ(report.run_duration, "0.1000000000000000055");
    EXPECT_EQ(micros(report.started_at), 1'000'000);
    EXPECT_EQ(report.outputs.size(), 2U);
}

TEST(ProviderReport, RefusesWhatIsNotAboutTheRun) {
    EXPECT_EQ(fault_of("r", R"({"id": "other", "status": "success"})"), "it is about another run");
    EXPECT_EQ(fault_of("r", R"({"run_id": "other", "status": "success"})"), "it is about another run");
    EXPECT_EQ(fault_of("r", "[]"), "it is no JSON object");
    EXPECT_EQ(fault_of("r", ""), "it is no JSON object");
    EXPECT_EQ(fault_of("r", R"({"id": "r"})"), "status is missing");
    EXPECT_EQ(fault_of("a\"b\\", R"({"id": "a\"b\\", "status": "success"})"), "accepted");
}

TEST(PathSegment, LeadsNowhereElse) {
    EXPECT_EQ(path_segment("0a1b-2c"), "0a1b-2c");
    EXPECT_EQ(path_segment(".."), "%2E%2E");
    EXPECT_EQ(path_segment("a/b?c#d%\r\n"), "a%2Fb%3Fc%23d%25%0D%0A");
}

}  // namespace
}  // namespace runledger
