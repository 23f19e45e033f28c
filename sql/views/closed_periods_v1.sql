CREATE OR REPLACE VIEW runledger.closed_periods_v1 AS
SELECT p.period, p.begins_at, p.ends_at, p.time_zone, p.closed_at, p.closed_by, p.unsettled, p.runs, p.completed,
       p.failed, p.cancelled, p.priced, p.unpriced, round(p.duration_us / 1000.0, 3) AS duration_ms, p.cost_usd,
       p.corrections AS corrections_taken, p.corrections_usd AS corrections_taken_usd,
       CASE WHEN p.cost_usd IS NOT NULL OR p.corrections > 0 THEN coalesce(p.cost_usd, 0) + p.corrections_usd END AS billed_usd
FROM runledger.closed_periods AS p;
COMMENT ON VIEW runledger.closed_periods_v1 IS
    'The closed months, as they were closed: what was billed, when, and by whom. No row of it ever changes. statement_v1 adds the corrections that came afterwards.';
COMMENT ON COLUMN runledger.closed_periods_v1.period IS 'The month, as 2026-06.';
COMMENT ON COLUMN runledger.closed_periods_v1.begins_at IS 'Its first instant.';
COMMENT ON COLUMN runledger.closed_periods_v1.ends_at IS 'The first instant after it.';
COMMENT ON COLUMN runledger.closed_periods_v1.time_zone IS 'The time zone of its end: the database''s runledger.report_time_zone when it was closed.';
COMMENT ON COLUMN runledger.closed_periods_v1.closed_at IS 'When it was closed.';
COMMENT ON COLUMN runledger.closed_periods_v1.closed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.closed_periods_v1.unsettled IS 'How many of its runs were waiting to be settled then.';
COMMENT ON COLUMN runledger.closed_periods_v1.runs IS 'Number of runs, with any status.';
COMMENT ON COLUMN runledger.closed_periods_v1.completed IS 'How many of them were completed.';
COMMENT ON COLUMN runledger.closed_periods_v1.failed IS 'How many had failed or timed out.';
COMMENT ON COLUMN runledger.closed_periods_v1.cancelled IS 'How many were cancelled.';
COMMENT ON COLUMN runledger.closed_periods_v1.priced IS 'How many had a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.closed_periods_v1.unpriced IS 'How many were completed without a known cost.';
COMMENT ON COLUMN runledger.closed_periods_v1.duration_ms IS 'The exact sum of the known durations in milliseconds; 0 if there was no run. NULL: none was known.';
COMMENT ON COLUMN runledger.closed_periods_v1.cost_usd IS 'US dollars: the exact sum of the known costs of its runs; 0 if none of them was charged. NULL: some were, and no cost was known.';
COMMENT ON COLUMN runledger.closed_periods_v1.corrections_taken IS 'Number of corrections of earlier months that are billed with it.';
COMMENT ON COLUMN runledger.closed_periods_v1.corrections_taken_usd IS 'US dollars: the sum of their differences.';
COMMENT ON COLUMN runledger.closed_periods_v1.billed_usd IS 'US dollars: cost_usd plus corrections_taken_usd. NULL: runs were charged and none of their costs was known, and nothing was corrected.';
