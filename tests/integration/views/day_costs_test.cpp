#include <gmock/gmock.h>

#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto day_columns =
    "SELECT day, generations, completed, failed, cancelled, priced, unpriced, duration_ms, cost_usd "
    "FROM runledger.day_costs_v1 ORDER BY day";

TEST_F(Views, AddUpEachDayToTheLastDecimal) {
    // Sums that floating point gets wrong: 0.1 + 0.2, and a large one with a small one.
    insert_ended({.ended_at = "2025-08-29 00:00Z", .cost_usd = "0.1", .duration_ms = "0.001"});
    insert_ended({.ended_at = "2025-08-29 12:00Z", .cost_usd = "0.2", .duration_ms = "1000.002"});
    insert_ended({.ended_at = "2025-08-29 23:59:59.999999Z", .cost_usd = "0.000000000001"});
    insert_ended({.ended_at = "2025-08-30 00:00Z", .cost_usd = "123456789012.000000000001"});
    insert_ended({.ended_at = "2025-08-30 00:00Z", .cost_usd = "0.000678160265"});

    EXPECT_THAT(rows(day_columns), ElementsAre("2025-08-29 3 3 0 0 3 0 1000.003 0.300000000001",
                                               "2025-08-30 2 2 0 0 2 0 - 123456789012.000678160266"));
}

TEST_F(Views, CountWhatCouldNotBePricedAndNeverAddItAsZero) {
    insert_ended({.ended_at = "2025-08-29 01:00Z", .cost_usd = "0.5"});
    insert_ended({.ended_at = "2025-08-29 02:00Z"});
    insert_ended({.ended_at = "2025-08-30 01:00Z"});
    insert_ended({.ended_at = "2025-08-31 01:00Z", .cost_usd = "0"});

    EXPECT_THAT(rows("SELECT day, priced, unpriced, cost_usd FROM runledger.day_costs_v1 ORDER BY day"),
                ElementsAre("2025-08-29 1 1 0.5", "2025-08-30 0 1 -", "2025-08-31 1 0 0"));
}

TEST_F(Views, CallNothingUnpricedThatIsNotCharged) {
    insert_ended({.status = "failed", .duration_ms = "5"});
    insert_ended({.status = "cancelled", .duration_ms = "7"});

    EXPECT_THAT(rows(day_columns), ElementsAre("2025-08-29 2 0 1 1 0 0 12 -"));
}

TEST_F(Views, LeaveOutWhatHasNotEnded) {
    insert_metadata("{}");

    EXPECT_THAT(rows(day_columns), IsEmpty());
    EXPECT_THAT(rows("SELECT * FROM runledger.chat_costs_v1"), IsEmpty());
}

TEST_F(Views, LeaveOutDaysOnWhichNothingEnded) {
    insert_ended({.ended_at = "1970-01-01 00:00Z"});
    insert_ended({.ended_at = "2025-08-29 12:00Z"});

    EXPECT_THAT(rows("SELECT day FROM runledger.day_costs_v1 ORDER BY day"), ElementsAre("1970-01-01", "2025-08-29"));
}

// Each view that adds up costs, with the furthest times and the largest numbers that a row can have.
TEST_F(Views, AnswerWhateverARowCanHold) {
    const std::string most_usd = "999999999999999999999999999999.999999999999";
    for (const std::string ended_at : {"1970-01-01 00:00Z", "9999-12-31 23:59:59.999999Z"}) {
        for (int i = 0; i < 2; ++i) {
            insert_ended({.ended_at = ended_at, .cost_usd = most_usd, .duration_ms = "8999999999999999.999"});
        }
    }

    for (const std::string zone : {"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"}) {
        for (const std::string view :
             {"day_costs_v1", "chat_costs_v1", "tool_costs_v1", "account_costs_v1", "gpu_costs_v1", "report_days_v1",
              "focus_costs_v1", "completed_runs_v1", "run_costs_v1", "cost_notes_v1", "stuck_runs_v1"}) {
            EXPECT_EQ(error_of(fmt::format("SET LOCAL runledger.report_time_zone = '{}'; SELECT * FROM runledger.{}",
                                           zone, view)),
                      "none")
                << view << " in " << zone;
        }
    }
    EXPECT_THAT(rows("SELECT sum(generations), sum(cost_usd) = 4 * " + most_usd + " FROM runledger.day_costs_v1"),
                ElementsAre("4 t"));
    EXPECT_THAT(rows("SELECT count(*) FROM runledger.focus_costs_v1"), ElementsAre("4"));
}

TEST_F(Views, TellEachChatsDaysApart) {
    insert_ended({.ended_at = "2025-08-29 01:00Z", .cost_usd = "0.1", .chat = "42"});
    insert_ended({.ended_at = "2025-08-29 02:00Z", .cost_usd = "0.2", .chat = "\"42\""});
    insert_ended({.ended_at = "2025-08-29 03:00Z", .cost_usd = "0.4", .chat = "-1001"});
    insert_ended({.ended_at = "2025-08-30 01:00Z", .chat = "42"});
    insert_ended({.ended_at = "2025-08-30 02:00Z", .cost_usd = "0.8", .chat = "\"nobody\""});

    EXPECT_THAT(rows("SELECT day, telegram_chat_id, generations, priced, unpriced, cost_usd "
                     "FROM runledger.chat_costs_v1 ORDER BY day, telegram_chat_id"),
                ElementsAre("2025-08-29 -1001 1 1 0 0.4", "2025-08-29 42 2 2 0 0.3", "2025-08-30 42 1 0 1 -",
                            "2025-08-30 - 1 1 0 0.8"));
}

}  // namespace
}  // namespace runledger::test
