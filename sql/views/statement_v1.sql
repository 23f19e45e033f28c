CREATE OR REPLACE VIEW runledger.statement_v1 AS
SELECT p.period, p.begins_at, p.ends_at, p.time_zone, p.closed_at, p.closed_by, p.runs, p.completed, p.failed,
       p.cancelled, p.priced, p.unpriced, p.duration_ms, p.cost_usd, p.corrections_taken, p.corrections_taken_usd,
       p.billed_usd, since.corrections AS corrections_since, since.usd AS corrections_since_usd,
       CASE WHEN p.cost_usd IS NOT NULL OR since.corrections > 0 THEN coalesce(p.cost_usd, 0) + since.usd END AS restated_usd
FROM runledger.closed_periods_v1 AS p
CROSS JOIN LATERAL (
    SELECT count(*) AS corrections, coalesce(sum(c.difference_usd), 0) AS usd
    FROM runledger.corrections AS c WHERE c.period = p.period) AS since;
COMMENT ON VIEW runledger.statement_v1 IS
    'The statement of each closed month, as of now. runledger.statement(period, as_of) gives it as of any instant.';
COMMENT ON COLUMN runledger.statement_v1.period IS 'The month, as 2026-06.';
COMMENT ON COLUMN runledger.statement_v1.begins_at IS 'Its first instant.';
COMMENT ON COLUMN runledger.statement_v1.ends_at IS 'The first instant after it.';
COMMENT ON COLUMN runledger.statement_v1.time_zone IS 'The time zone of its end.';
COMMENT ON COLUMN runledger.statement_v1.closed_at IS 'When it was closed.';
COMMENT ON COLUMN runledger.statement_v1.closed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.statement_v1.runs IS 'Number of runs that were billed with it, with any status.';
COMMENT ON COLUMN runledger.statement_v1.completed IS 'How many of them were completed.';
COMMENT ON COLUMN runledger.statement_v1.failed IS 'How many had failed or timed out.';
COMMENT ON COLUMN runledger.statement_v1.cancelled IS 'How many were cancelled.';
COMMENT ON COLUMN runledger.statement_v1.priced IS 'How many had a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.statement_v1.unpriced IS 'How many were completed without a known cost.';
COMMENT ON COLUMN runledger.statement_v1.duration_ms IS 'The exact sum of the known durations in milliseconds; 0 if there was no run. NULL: none was known.';
COMMENT ON COLUMN runledger.statement_v1.cost_usd IS 'US dollars: the exact sum of the known costs of its runs; 0 if none of them was charged. NULL: some were, and no cost was known.';
COMMENT ON COLUMN runledger.statement_v1.corrections_taken IS 'Number of corrections of earlier months that were billed with it.';
COMMENT ON COLUMN runledger.statement_v1.corrections_taken_usd IS 'US dollars: the sum of their differences.';
COMMENT ON COLUMN runledger.statement_v1.billed_usd IS
    'US dollars: what was billed for the month, cost_usd plus corrections_taken_usd. It never changes.';
COMMENT ON COLUMN runledger.statement_v1.corrections_since IS
    'Number of corrections of its runs that were posted after it was closed. They are billed with later months.';
COMMENT ON COLUMN runledger.statement_v1.corrections_since_usd IS 'US dollars: the sum of their differences.';
COMMENT ON COLUMN runledger.statement_v1.restated_usd IS
    'US dollars: cost_usd plus corrections_since_usd, what its runs cost by all that is known now.';
