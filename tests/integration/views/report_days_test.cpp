// Which day a moment belongs to: runledger.report_time_zone, and the changes of clocks.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Boundary {
    const char* name;
    const char* zone;
    const char* day;
    const char* begins_at;  // UTC.
    const char* ends_at;
};

class DayBoundary : public Views, public testing::WithParamInterface<Boundary> {};

TEST_P(DayBoundary, HoldsItsFirstAndItsLastMicrosecond) {
    const Boundary& boundary = GetParam();
    const auto at = [](const char* instant, const char* offset) {
        return fmt::format("'{}Z'::timestamptz + interval '{} microseconds'", instant, offset);
    };
    execute(fmt::format("SET runledger.report_time_zone = '{}'", boundary.zone));
    execute(
        fmt::format("INSERT INTO runledger.generations (status, cost_usd, response_timestamp) VALUES "
                    "('completed', 1, {}), ('completed', 2, {}), ('completed', 4, {}), ('completed', 8, {})",
                    at(boundary.begins_at, "-1"), at(boundary.begins_at, "0"), at(boundary.ends_at, "-1"),
                    at(boundary.ends_at, "0")));

    EXPECT_EQ(value(fmt::format("SELECT cost_usd FROM runledger.day_costs_v1 WHERE day = '{}'", boundary.day)), "6");
    EXPECT_EQ(value("SELECT sum(cost_usd) FROM runledger.day_costs_v1"), "15");
}

INSTANTIATE_TEST_SUITE_P(
    , DayBoundary,
    testing::Values(Boundary{"UTC", "UTC", "2025-03-30", "2025-03-30 00:00", "2025-03-31 00:00"},
                    Boundary{"UnsetIsUTC", "", "2025-03-30", "2025-03-30 00:00", "2025-03-31 00:00"},
                    Boundary{"HalfAnHourOff", "Asia/Kolkata", "2025-03-30", "2025-03-29 18:30", "2025-03-30 18:30"},
                    Boundary{"Of23Hours", "Europe/Paris", "2025-03-30", "2025-03-29 23:00", "2025-03-30 22:00"},
                    Boundary{"Of25Hours", "Europe/Paris", "2025-10-26", "2025-10-25 22:00", "2025-10-26 23:00"},
                    // Midnight is skipped: the day begins at 01:00.
                    Boundary{"WithoutMidnight", "Africa/Cairo", "2025-04-25", "2025-04-24 22:00", "2025-04-25 21:00"},
                    // 01:00 becomes 00:00: the day has two midnights and begins at the first.
                    Boundary{"WithTwoMidnights", "America/Havana", "2024-11-03", "2024-11-03 04:00",
                             "2024-11-04 05:00"},
                    // 24:00 becomes 23:00: the day before has two last hours.
                    Boundary{"AfterTwoLastHours", "Asia/Beirut", "2024-10-27", "2024-10-26 22:00", "2024-10-27 22:00"}),
    [](const auto& boundary) { return std::string(boundary.param.name); });

TEST_F(Views, GiveEachInstantTheDayThatPostgresGivesIt) {
    // Every half hour of two years, which have all changes of clocks: by ranges, as the view has it, and one by one.
    execute(
        "INSERT INTO runledger.generations (status, cost_usd, response_timestamp) "
        "SELECT 'completed', 1, at FROM generate_series('2024-01-01Z'::timestamptz, '2025-12-31Z', '30 minutes') AS "
        "at");
    for (const auto* zone : {"UTC", "Europe/Paris", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"}) {
        execute(fmt::format("SET runledger.report_time_zone = '{}'", zone));

        EXPECT_THAT(rows(fmt::format("SELECT day, generations FROM runledger.day_costs_v1 EXCEPT "
                                     "SELECT (response_timestamp AT TIME ZONE '{}')::date AS day, count(*) "
                                     "FROM runledger.generations GROUP BY 1",
                                     zone)),
                    IsEmpty())
            << zone;
        EXPECT_EQ(value("SELECT sum(generations) FROM runledger.day_costs_v1"),
                  value("SELECT count(*) FROM runledger.generations"))
            << zone;
    }
}

TEST_F(Views, TakeTheZoneFromTheDatabase) {
    insert_ended({.ended_at = "2025-08-29 23:30Z"});
    execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET runledger.report_time_zone = ''Europe/Paris''', "
        "current_database()); END $$");

    const auto later = another_connection();
    pqxx::work work(*later);

    EXPECT_EQ(libpqxx::run1(work, "SELECT day FROM runledger.day_costs_v1")[0].as<std::string>(), "2025-08-30");
}

TEST_F(Views, RefuseAZoneThatNobodyMeantAndNameIt) {
    insert_ended({});
    // PostgreSQL itself takes all but the first: with digits, whatever they are, it reads a POSIX zone.
    for (const auto* zone : {"Europe/Pariss", "UTC+2", "Europe/Paris2", "CEST", "nonsense5", "1"}) {
        execute(fmt::format("SET runledger.report_time_zone = '{}'", zone));

        EXPECT_THAT(
            error_of("SELECT * FROM runledger.day_costs_v1"),
            HasSubstr(fmt::format("runledger.report_time_zone is \"{}\", which is no time zone by name", zone)));
    }
}

TEST_F(Views, NameADaysTwoInstants) {
    execute("SET runledger.report_time_zone = 'Europe/Paris'");
    insert_ended({.ended_at = "2025-03-30 12:00Z"});

    EXPECT_THAT(rows("SELECT day, begins_at, ends_at FROM runledger.report_days_v1"),
                ElementsAre("2025-03-30 2025-03-29 23:00:00+00 2025-03-30 22:00:00+00"));
}

}  // namespace
}  // namespace runledger::test
