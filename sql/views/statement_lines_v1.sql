CREATE OR REPLACE VIEW runledger.statement_lines_v1 AS
SELECT line.period, 'run' AS kind, line.period AS about_period, line.settlement_id, line.generation_id, line.run_id,
       line.telegram_chat_id, line.finished_at, line.status, line.duration_ms, line.gpu, line.rate_amount,
       line.rate_unit, line.cost_usd, line.cost_note, line.cost_usd AS amount_usd, NULL::timestamptz AS posted_at,
       NULL::text AS reason, NULL::numeric AS cost_usd_before, line.token_count, line.account_id, line.tool,
       line.application_id
FROM runledger.closed_runs_v1 AS line
UNION ALL
SELECT c.posted_in, 'correction', c.period, c.settlement_id, c.generation_id, c.run_id, g.telegram_chat_id,
       s.finished_at, c.status_after, c.duration_ms_after, s.gpu, c.rate_amount_after, c.rate_unit_after,
       c.cost_usd_after, c.cost_note_after, c.difference_usd, c.posted_at, c.reason, c.cost_usd_before,
       s.token_count, g.account_key, g.tool_key, c.application_id
FROM runledger.corrections_v1 AS c
LEFT JOIN runledger.settlements AS s ON s.id = c.settlement_id
LEFT JOIN runledger.generations AS g ON g.id = c.generation_id AND NOT s.row_is_gone;
COMMENT ON VIEW runledger.statement_lines_v1 IS
    'All lines that a month is billed with: its runs, and the corrections of earlier months. Of a closed month the sum of amount_usd is billed_usd of its statement. An open month has only corrections yet.';
COMMENT ON COLUMN runledger.statement_lines_v1.period IS 'The month with which the line is billed.';
COMMENT ON COLUMN runledger.statement_lines_v1.kind IS 'run or correction.';
COMMENT ON COLUMN runledger.statement_lines_v1.about_period IS 'The month in which the run ended.';
COMMENT ON COLUMN runledger.statement_lines_v1.settlement_id IS 'The settlement that the line stands on.';
COMMENT ON COLUMN runledger.statement_lines_v1.generation_id IS 'The row that was settled.';
COMMENT ON COLUMN runledger.statement_lines_v1.run_id IS 'The provider''s id of the run, or the pseudonym of a forgotten one.';
COMMENT ON COLUMN runledger.statement_lines_v1.telegram_chat_id IS 'The chat that the row names now; NULL: none.';
COMMENT ON COLUMN runledger.statement_lines_v1.finished_at IS 'When the run''s ending was received; NULL: it was withdrawn.';
COMMENT ON COLUMN runledger.statement_lines_v1.status IS 'The status; of a correction, after it. NULL: the run is no longer in the month.';
COMMENT ON COLUMN runledger.statement_lines_v1.duration_ms IS 'Milliseconds; of a correction, after it. NULL: unknown.';
COMMENT ON COLUMN runledger.statement_lines_v1.gpu IS 'metadata.gpu when it was settled; NULL: none.';
COMMENT ON COLUMN runledger.statement_lines_v1.rate_amount IS 'US dollars per rate_unit; of a correction, after it. NULL: no usable rate.';
COMMENT ON COLUMN runledger.statement_lines_v1.rate_unit IS 'The unit of the rate; NULL: no usable rate.';
COMMENT ON COLUMN runledger.statement_lines_v1.cost_usd IS 'US dollars; of a correction, after it. NULL: nothing is charged, or the cost is unknown.';
COMMENT ON COLUMN runledger.statement_lines_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it.';
COMMENT ON COLUMN runledger.statement_lines_v1.amount_usd IS
    'US dollars: what the line adds to the bill, cost_usd of a run, the difference of a correction. NULL: no known cost.';
COMMENT ON COLUMN runledger.statement_lines_v1.posted_at IS 'When the correction was posted; NULL for a run.';
COMMENT ON COLUMN runledger.statement_lines_v1.reason IS 'Why it was corrected, as in corrections_v1; NULL for a run.';
COMMENT ON COLUMN runledger.statement_lines_v1.cost_usd_before IS 'US dollars before the correction; NULL: not charged, unknown, no line, or a run.';
COMMENT ON COLUMN runledger.statement_lines_v1.token_count IS
    'metadata.tokenCount as copied with a rate whose unit is token; NULL: the rate has another unit, or there is none.';
COMMENT ON COLUMN runledger.statement_lines_v1.account_id IS 'The account that the row names now; NULL: none, or the row was deleted or forgotten.';
COMMENT ON COLUMN runledger.statement_lines_v1.tool IS 'The tool that the row names now; NULL: none, or the row was deleted.';
COMMENT ON COLUMN runledger.statement_lines_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
