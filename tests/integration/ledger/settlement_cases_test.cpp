// The table of settlement, by status, order of arrival, timing, and what the application does to the row by hand.
#include "tests/integration/ledger/settlement_cases.hpp"

namespace runledger::test {
namespace {

TEST_P(SettlementCases, GiveTheRowThatIsExpected) {
    const SettlementCase& settlement = GetParam();

    for (const Step& step : settlement.steps) {
        step(*this);
    }

    EXPECT_EQ(value("SELECT concat_ws('|', status, coalesce(duration_ms::text, '-'), coalesce(cost_usd::text, '-'), "
                    "coalesce(cost_note, '-'), coalesce(status_reason, '-')) "
                    "FROM runledger.generations ORDER BY id LIMIT 1"),
              settlement.row);
    EXPECT_EQ(value("SELECT coalesce(string_agg(outcome, ',' ORDER BY id), '-') FROM runledger.settlements"),
              settlement.audit);
    EXPECT_EQ(value("SELECT coalesce((SELECT concat_ws('|', coalesce(gpu, '-'), coalesce(rate_source, '-'), "
                    "coalesce(rate_amount::text, '-'), coalesce(rate_unit, '-')) "
                    "FROM runledger.settlements ORDER BY id DESC LIMIT 1), '-|-|-|-')"),
              settlement.rate);
    EXPECT_EQ(value("SELECT coalesce(string_agg(concat_ws(':', kind, nullif(for_status, ''), state), ',' ORDER BY id), "
                    "'-') FROM runledger.notifications"),
              settlement.told);
    EXPECT_EQ(count("generations WHERE response_timestamp IS NOT NULL AND cost_usd IS NULL AND cost_note IS NULL"), 0)
        << "an unknown cost says why";
}

INSTANTIATE_TEST_SUITE_P(
    ByStatus, SettlementCases,
    testing::Values(
        SettlementCase{"success", {record(), running(), success()}, ten_seconds, at_0001},
        SettlementCase{
            "failed",
            {record(), running(),
             event("failed", {.at_us = 10 * second_us}, {.live_status = "\"Executing KSampler\"", .progress = "0.71"})},
            "failed|10000.000|-|not_charged|failed while Executing KSampler (71 %)",
            at_0001},
        SettlementCase{"timeout",
                       {record(), running(), event("timeout", {.at_us = 10 * second_us})},
                       "failed|10000.000|-|not_charged|timed out (0 %)",
                       at_0001},
        SettlementCase{"cancelled",
                       {record(), running(), event("cancelled", {.at_us = 10 * second_us}, {.progress = "null"})},
                       "cancelled|10000.000|-|not_charged|cancelled",
                       at_0001},
        SettlementCase{"failed_with_its_error",
                       {record(), event("failed", {}, {.extra = R"(, "error": "CUDA out of memory")"})},
                       "failed|-|-|not_charged|CUDA out of memory",
                       at_0001},
        SettlementCase{"cancelled_without_a_rate",
                       {record(""), running(), event("cancelled", {.at_us = 1}, {.progress = "null"})},
                       "cancelled|0.001|-|not_charged|cancelled"},
        SettlementCase{"only_queued", {record(), event("queued", {})}, "pending|-|-|-|-", "-|-|-|-", "-", "-"},
        SettlementCase{"only_running", {record(), running()}, "processing|-|-|-|-", "-|-|-|-", "-", "-"},
        SettlementCase{"an_unknown_word_is_no_ending",
                       {record(), running(), event("completed", {.at_us = 5})},
                       "processing|-|-|-|-",
                       "-|-|-|-",
                       "-",
                       "-"},
        SettlementCase{"an_unknown_word_beside_a_success",
                       {record(), event("processing", {}), running(), success()},
                       ten_seconds,
                       at_0001}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    ByOrder, SettlementCases,
    testing::Values(
        SettlementCase{"record_between_the_events", {running(), record(), success()}, ten_seconds, at_0001},
        SettlementCase{"record_after_the_events", {running(), success(), record()}, ten_seconds, at_0001},
        SettlementCase{
            "success_overtakes_running", {record(), success(), running()}, ten_seconds, at_0001, "settled,resettled"},
        SettlementCase{
            "events_the_wrong_way_round_before_the_record", {success(), running(), record()}, ten_seconds, at_0001},
        SettlementCase{
            "run_id_is_written_after_the_ending",
            {sql(fmt::format(R"(INSERT INTO runledger.generations (metadata) VALUES ('{{"telegramChatId": 42, {}}}'))",
                             priced)),
             running(), success(), merge(R"({"run_id": "run-1"})")},
            ten_seconds,
            at_0001},
        SettlementCase{
            "run_id_is_written_while_it_runs",
            {sql(fmt::format(R"(INSERT INTO runledger.generations (metadata) VALUES ('{{"telegramChatId": 42, {}}}'))",
                             priced)),
             running(), merge(R"({"run_id": "run-1"})"), success()},
            ten_seconds,
            at_0001},
        SettlementCase{"everything_twice",
                       {record(), running(), running({.at_us = 2}), success(), success({.at_us = 11 * second_us})},
                       ten_seconds,
                       at_0001},
        SettlementCase{"a_late_progress_event_repeats_the_ending_without_outputs",
                       {record(), running(), success(), event("success", {.at_us = 12 * second_us})},
                       ten_seconds,
                       at_0001},
        SettlementCase{"an_earlier_success_is_found_later",
                       {record(), running(), success({.at_us = 12 * second_us}), success()},
                       ten_seconds,
                       at_0001,
                       "settled,resettled"},
        SettlementCase{"an_earlier_running_is_found_later",
                       {record(), running({.at_us = 4 * second_us}), success(), running()},
                       ten_seconds,
                       at_0001,
                       "settled,resettled"},
        SettlementCase{
            "an_earlier_cancel_is_found_later",
            {record(), running(), success(), sql("UPDATE runledger.notifications SET state = 'sent', sent_at = now()"),
             event("cancelled", {.at_us = 9 * second_us}, {.progress = "null"})},
            "cancelled|9000.000|-|not_charged|cancelled",
            at_0001,
            "settled,resettled",
            "ending:sent,correction:cancelled:pending"},
        SettlementCase{"an_earlier_success_is_found_after_a_failure",
                       {record(), running(), event("failed", {.at_us = 11 * second_us}),
                        sql("UPDATE runledger.notifications SET state = 'sent', sent_at = now()"), success()},
                       ten_seconds,
                       at_0001,
                       "settled,resettled",
                       "ending:sent,correction:completed:pending"},
        SettlementCase{"a_later_failure_changes_nothing",
                       {record(), running(), success(), event("failed", {.at_us = 11 * second_us})},
                       ten_seconds,
                       at_0001}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    ByTiming, SettlementCases,
    testing::Values(SettlementCase{"no_running", {record(), success()}, "completed|-|-|no_running_event|-", at_0001},
                    SettlementCase{"running_after_the_end",
                                   {record(), running({.at_us = 10 * second_us + 1}), success()},
                                   "completed|-|-|running_after_end|-",
                                   at_0001},
                    SettlementCase{"at_the_same_microsecond",
                                   {record(), running({.at_us = 10 * second_us}), success()},
                                   "completed|0.000|0.000000000000|-|-",
                                   at_0001},
                    SettlementCase{"one_microsecond",
                                   {record(), running({.at_us = 10 * second_us - 1}), success()},
                                   "completed|0.001|0.000000001000|-|-",
                                   at_0001},
                    SettlementCase{"two_boots",
                                   {record(), running({.boot = 2}), success()},
                                   "completed|10000.000|0.010000000000|clocks_differ|-",
                                   at_0001},
                    SettlementCase{"two_boots_the_wrong_way_round",
                                   {record(), running({.at_us = 11 * second_us, .boot = 2}), success()},
                                   "completed|-|-|running_after_end|-",
                                   at_0001},
                    SettlementCase{"two_boots_and_not_charged",
                                   {record(), running({.boot = 2}),
                                    event("cancelled", {.at_us = 10 * second_us}, {.progress = "null"})},
                                   "cancelled|10000.000|-|not_charged|cancelled",
                                   at_0001},
                    SettlementCase{"just_not_too_long",
                                   {record(), running(), success({.at_us = 7LL * 86'400 * second_us})},
                                   "completed|604800000.000|604.800000000000|-|-",
                                   at_0001},
                    SettlementCase{"a_microsecond_too_long",
                                   {record(), running(), success({.at_us = 7LL * 86'400 * second_us + 1})},
                                   "completed|-|-|clock_implausible|-",
                                   at_0001},
                    SettlementCase{"redelivered",
                                   {record(), running({.redelivered = true}),
                                    success({.at_us = 10 * second_us, .redelivered = true})},
                                   ten_seconds,
                                   at_0001},
                    SettlementCase{"flat_without_running",
                                   {rate("0.25", "run"), success()},
                                   "completed|-|0.250000000000|-|-",
                                   "-|metadata|0.25|run"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    ByTheApplicationsHand, SettlementCases,
    testing::Values(
        SettlementCase{
            "it_ended_the_row_itself",
            {record(), sql("UPDATE runledger.generations SET status = 'cancelled', status_reason = 'by the user'"),
             running(), success()},
            "cancelled|10000.000|0.010000000000|-|by the user",
            at_0001,
            "kept",
            "-"},
        SettlementCase{"it_ended_the_row_itself_and_the_timing_moves",
                       {record(), sql("UPDATE runledger.generations SET status = 'cancelled'"), success(), running()},
                       "cancelled|10000.000|0.010000000000|-|-",
                       at_0001,
                       "kept,kept",
                       "-"},
        SettlementCase{"it_called_a_failed_run_completed",
                       {record(), sql("UPDATE runledger.generations SET status = 'completed'"), running(),
                        event("failed", {.at_us = 10 * second_us})},
                       "completed|10000.000|-|not_charged|-",
                       at_0001,
                       "kept",
                       "-"},
        SettlementCase{
            "it_ended_the_row_with_a_cost_that_no_rate_gives",
            {record(""),
             sql("UPDATE runledger.generations SET status = 'completed', cost_usd = 1.5, duration_ms = 5100"),
             running(), success(), running({.at_us = second_us / 2})},
            "completed|10000.000|1.5|-|-",
            "-|-|-|-",
            "kept",
            "-"},
        SettlementCase{
            "it_ended_the_row_with_a_duration_that_no_event_gives",
            {record(), sql("UPDATE runledger.generations SET status = 'completed', cost_usd = 1.5, duration_ms = 5100"),
             success()},
            "completed|5100.000|1.5|-|-",
            "-|-|-|-",
            "kept",
            "-"},
        SettlementCase{
            "it_ended_the_row_and_the_ledger_knows_more_later",
            {record(), sql("UPDATE runledger.generations SET status = 'completed', cost_usd = 1.5, duration_ms = 5100"),
             success(), running()},
            ten_seconds,
            at_0001,
            "kept,kept",
            "-"},
        SettlementCase{"it_called_a_failed_run_completed_and_gave_it_a_cost",
                       {record(), sql("UPDATE runledger.generations SET status = 'completed', cost_usd = 1.5"),
                        event("failed", {.at_us = 10 * second_us})},
                       "completed|-|-|not_charged|-",
                       at_0001,
                       "kept",
                       "-"},
        SettlementCase{"a_cost_was_edited",
                       {record(), success(), sql("UPDATE runledger.generations SET cost_usd = 5"), running()},
                       "completed|-|5|no_running_event|-",
                       at_0001,
                       "settled,edited_by_hand"},
        SettlementCase{
            "a_reason_was_edited",
            {record(), success(), sql("UPDATE runledger.generations SET status_reason = 'see ticket 7'"), running()},
            "completed|-|-|no_running_event|see ticket 7",
            at_0001,
            "settled,edited_by_hand"},
        SettlementCase{
            "the_outputs_were_removed",
            {record(), success(), sql("UPDATE runledger.generations SET response_payload = NULL"), running()},
            "completed|-|-|no_running_event|-",
            at_0001,
            "settled,edited_by_hand"},
        SettlementCase{"an_edit_was_taken_back",
                       {record(), success(), sql("UPDATE runledger.generations SET cost_usd = 5"),
                        running({.at_us = 1}), sql("UPDATE runledger.generations SET cost_usd = NULL"), running()},
                       ten_seconds,
                       at_0001,
                       "settled,edited_by_hand,resettled"},
        SettlementCase{
            "an_edited_row_was_given_back_as_docs_dba_md_says",
            {record(), success(), sql("UPDATE runledger.generations SET cost_usd = 5, response_payload = '{}'"),
             running(),
             sql("UPDATE runledger.generations AS g "
                 "SET status = s.status, status_reason = s.status_reason, response_timestamp = s.finished_at, "
                 "duration_ms = round(s.duration_us / 1000.0, 3), cost_usd = s.cost_usd, cost_note = s.cost_note, "
                 "response_payload = (runledger.run_payload(s.run_id)).payload, "
                 "metadata = g.metadata || '{\"given_back\": true}' "
                 "FROM runledger.last_settlement(1) AS s WHERE g.id = s.generation_id")},
            ten_seconds,
            at_0001,
            "settled,edited_by_hand,resettled"},
        SettlementCase{
            "metadata_became_garbage",
            {record(), running(), success(), sql("UPDATE runledger.generations SET metadata = '\"garbage\"'")},
            ten_seconds,
            at_0001}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace runledger::test
