// What a generation says whose run only the provider has ended, and what a webhook that comes later changes of it.
#include <fmt/format.h>

#include <vector>

#include "daemon/reconcile/lookups.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

class ReportSettle : public Ledger {
protected:
    void report(const std::string& run_id, std::string_view status, std::string_view rest) {
        auto decoded = decode_report(run_id, fmt::format(R"({{"id": "{}", "status": "{}"{}}})", run_id, status, rest));
        Lookups lookups({.uri = daemon_uri(),
                         .lease_owner = "test",
                         .lease = std::chrono::seconds{1},
                         .silence = {},
                         .lookback = {}});
        ASSERT_EQ(lookups.store({.run_id = run_id, .report = std::get<ProviderReport>(std::move(decoded))}),
                  ReportFate::stored);
    }

    std::string row(std::string_view columns) {
        return value(fmt::format("SELECT concat_ws('|', {}) FROM runledger.generations", columns));
    }
    std::string settlement(std::string_view columns) {
        return value(
            fmt::format("SELECT concat_ws('|', {}) FROM runledger.settlements ORDER BY id DESC LIMIT 1", columns));
    }
};

constexpr std::string_view whole_times =
    R"(, "started_at": "2025-08-29T02:35:40.25Z", "ended_at": "2025-08-29T02:35:52.7505Z")";

struct ReportCase {
    const char* name;
    const char* status;
    std::string_view rest;
    const char* metadata;  // Beside the run's id.
    const char* expected;  // Status, duration, cost, note.
    const char* clock;
};

constexpr const char* per_second = R"("costRate": {"amount": 0.000337, "currency": "USD", "unit": "second"})";
constexpr const char* flat = R"("costRate": {"amount": "0.05", "currency": "USD", "unit": "run"})";

const std::vector<ReportCase> report_cases{
    ReportCase{"success", "success", whole_times, per_second, "completed|12500.500|0.004212668500|provider_times",
               "provider"},
    ReportCase{"failed", "failed", whole_times, per_second, "failed|12500.500|-|not_charged", "provider"},
    ReportCase{"timeout", "timeout", "", per_second, "failed|-|-|not_charged", "-"},
    ReportCase{"cancelled", "cancelled", whole_times, per_second, "cancelled|12500.500|-|not_charged", "provider"},
    ReportCase{"without_times", "success", "", per_second, "completed|-|-|provider_times_missing", "-"},
    ReportCase{"without_an_end", "success", R"(, "started_at": "2025-08-29T02:35:40.25Z")", per_second,
               "completed|-|-|provider_times_missing", "-"},
    ReportCase{"ends_before_it_starts", "success",
               R"(, "started_at": "2025-08-29T02:35:40Z", "ended_at": "2025-08-29T02:35:39Z")", per_second,
               "completed|-|-|provider_times_implausible", "-"},
    ReportCase{"longer_than_can_be", "success",
               R"(, "started_at": "2025-08-29T02:35:40Z", "ended_at": "2025-09-29T02:35:39Z")", per_second,
               "completed|-|-|provider_times_implausible", "-"},
    ReportCase{"starts_in_a_minute_of_no_seconds", "success",
               R"(, "started_at": "2025-08-29T02:35Z", "ended_at": "2025-08-29T02:36:02.714Z", "run_duration": 24.5)",
               per_second, "completed|-|-|provider_times_missing", "-"},
    ReportCase{"offset_of_hours", "success",
               R"(, "started_at": "2025-08-29T02:35:40.25+00Z", "ended_at": "2025-08-29 02:35:52.7505+00")", per_second,
               "completed|12500.500|0.004212668500|provider_times", "provider"},
    ReportCase{"flat_rate_without_times", "success", "", flat, "completed|-|0.050000000000|-", "-"},
    ReportCase{"no_rate", "success", whole_times, R"("x": 1)", "completed|12500.500|-|rate_missing", "provider"}};

TEST_F(ReportSettle, GoesByTheProvidersOwnTimes) {
    for (const ReportCase& tried : report_cases) {
        SCOPED_TRACE(tried.name);
        const std::string run_id = tried.name;
        insert_metadata(fmt::format(R"({{"run_id": "{}", "telegramChatId": 42, {}}})", run_id, tried.metadata));
        // Our own clock must have no part in it, though we saw the run begin.
        apply_events({{event_text({.run_id = run_id, .status = "running"}), 0}});

        report(run_id, tried.status, tried.rest);

        EXPECT_EQ(settle(run_id), "settled");
        EXPECT_EQ(value(fmt::format("SELECT concat_ws('|', status, coalesce(duration_ms::text, '-'), "
                                    "coalesce(cost_usd::text, '-'), coalesce(cost_note, '-')) "
                                    "FROM runledger.generations WHERE run_id = '{}'",
                                    run_id)),
                  tried.expected);
        EXPECT_EQ(settlement("coalesce(duration_clock, '-')"), tried.clock);
        EXPECT_EQ(value(fmt::format("SELECT g.response_timestamp = p.fetched_at FROM runledger.generations AS g "
                                    "JOIN runledger.provider_reports AS p USING (run_id) WHERE run_id = '{}'",
                                    run_id)),
                  "t");
        EXPECT_EQ(count(fmt::format("notifications WHERE run_id = '{}'", run_id)), 1);
        EXPECT_EQ(settle(run_id), "unchanged");
    }
}

TEST_F(ReportSettle, SettlesARunAllOfWhoseWebhooksWereLost) {
    insert_generation("run-1");

    report("run-1", "success", fmt::format(R"({}, "outputs": [{}])", whole_times, picture("a")));

    EXPECT_EQ(settle("run-1"), "settled");
    EXPECT_EQ(row("status, duration_ms, cost_usd, cost_note"), "completed|12500.500|0.004212668500|provider_times");
    EXPECT_EQ(row("response_payload -> 'outputs' -> 0 ->> 'id'"), "a");
    EXPECT_EQ(value("SELECT payload -> 'outputs' -> 0 ->> 'id' FROM runledger.notifications"), "a");
}

TEST_F(ReportSettle, SaysWhatTheReportKnowsOfAFailure) {
    insert_generation("run-1");

    report("run-1", "failed", R"(, "live_status": "Executing KSampler", "progress": 0.71)");

    EXPECT_EQ(settle("run-1"), "settled");
    EXPECT_EQ(row("status_reason"), "failed while Executing KSampler (71 %)");
}

TEST_F(ReportSettle, IsMeasuredAnewWhenTheWebhookComesAfterAllAndNobodyIsToldTwice) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}});
    report("run-1", "success", whole_times);
    ASSERT_EQ(settle("run-1"), "settled");

    apply_events({{event_text({.status = "success"}), 12'000'000}});

    EXPECT_EQ(settle("run-1"), "resettled");
    EXPECT_EQ(row("status, duration_ms, cost_usd, coalesce(cost_note, '-')"), "completed|12000.000|0.004044000000|-");
    EXPECT_EQ(settlement("duration_clock, why"), "boottime|timing changed, cost changed");
    EXPECT_EQ(count("notifications"), 1);
    EXPECT_EQ(value("SELECT difference_us FROM runledger.provider_differences_v1"), "-500500");
}

TEST_F(ReportSettle, LeavesARunAloneThatAWebhookHadEnded) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 12'000'000}});
    ASSERT_EQ(settle("run-1"), "settled");

    report("run-1", "failed", whole_times);

    EXPECT_EQ(settle("run-1"), "unchanged");
    EXPECT_EQ(row("status, duration_ms"), "completed|12000.000");
}

}  // namespace
}  // namespace runledger::test
