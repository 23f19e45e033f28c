-- Three independent sums: the lines, which were copied; the corrections, which were posted one by one; and the
-- settlements as they are now.
CREATE OR REPLACE VIEW runledger.period_balance_v1 AS
SELECT p.period,
       p.runs AS runs_closed, c.runs AS runs_corrected, live.runs AS runs_live,
       p.priced AS priced_closed, c.priced AS priced_corrected, live.priced AS priced_live,
       round(coalesce(p.duration_us, 0) / 1000.0, 3) AS duration_ms_closed,
       round(c.duration_us / 1000.0, 3) AS duration_ms_corrected,
       round(live.duration_us / 1000.0, 3) AS duration_ms_live,
       coalesce(p.cost_usd, 0) AS cost_usd_closed, c.cost_usd AS cost_usd_corrected, live.cost_usd AS cost_usd_live,
       (p.runs, p.priced, coalesce(p.duration_us, 0), coalesce(p.cost_usd, 0))
           = (line.runs, line.priced, line.duration_us, line.cost_usd)
       AND (p.corrections, p.corrections_usd) = (taken.corrections, taken.cost_usd)
       AND (p.runs + c.runs, p.priced + c.priced, coalesce(p.duration_us, 0) + c.duration_us,
            coalesce(p.cost_usd, 0) + c.cost_usd)
           = (live.runs, live.priced, live.duration_us, live.cost_usd) AS agrees
FROM runledger.closed_periods AS p
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(l.cost_usd) AS priced, coalesce(sum(l.duration_us), 0) AS duration_us,
           coalesce(sum(l.cost_usd), 0) AS cost_usd
    FROM runledger.closed_runs AS l WHERE l.period = p.period) AS line
CROSS JOIN LATERAL (
    SELECT count(status_after) - count(status_before) AS runs, count(cost_usd_after) - count(cost_usd_before) AS priced,
           coalesce(sum(coalesce(duration_us_after, 0)::numeric - coalesce(duration_us_before, 0)), 0) AS duration_us,
           coalesce(sum(difference_usd), 0) AS cost_usd
    FROM runledger.corrections AS posted WHERE posted.period = p.period) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS corrections, coalesce(sum(difference_usd), 0) AS cost_usd
    FROM runledger.corrections AS posted WHERE posted.posted_in = p.period) AS taken
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(b.cost_usd) AS priced, coalesce(sum(b.duration_us), 0) AS duration_us,
           coalesce(sum(b.cost_usd), 0) AS cost_usd
    FROM runledger.billed_runs_v1 AS b WHERE b.finished_at >= p.begins_at AND b.finished_at < p.ends_at) AS live;
COMMENT ON VIEW runledger.period_balance_v1 IS
    'Whether the closed months add up: as closed, plus the corrections, equals the live books of the same runs. It reads all lines and settlements of the months that are asked for. `runledger audit` reports a month that does not agree.';
COMMENT ON COLUMN runledger.period_balance_v1.period IS 'The closed month.';
COMMENT ON COLUMN runledger.period_balance_v1.runs_closed IS 'Runs as it was closed.';
COMMENT ON COLUMN runledger.period_balance_v1.runs_corrected IS 'Runs that corrections have brought in, minus those that they have taken out.';
COMMENT ON COLUMN runledger.period_balance_v1.runs_live IS 'Runs by billed_runs_v1.';
COMMENT ON COLUMN runledger.period_balance_v1.priced_closed IS 'Runs with a known cost as it was closed.';
COMMENT ON COLUMN runledger.period_balance_v1.priced_corrected IS 'How many have got one by corrections, minus how many have lost theirs.';
COMMENT ON COLUMN runledger.period_balance_v1.priced_live IS 'Runs with a known cost by billed_runs_v1.';
COMMENT ON COLUMN runledger.period_balance_v1.duration_ms_closed IS 'Milliseconds as it was closed.';
COMMENT ON COLUMN runledger.period_balance_v1.duration_ms_corrected IS 'Milliseconds by corrections.';
COMMENT ON COLUMN runledger.period_balance_v1.duration_ms_live IS 'Milliseconds by billed_runs_v1.';
COMMENT ON COLUMN runledger.period_balance_v1.cost_usd_closed IS 'US dollars as it was closed.';
COMMENT ON COLUMN runledger.period_balance_v1.cost_usd_corrected IS 'US dollars by corrections.';
COMMENT ON COLUMN runledger.period_balance_v1.cost_usd_live IS 'US dollars by billed_runs_v1.';
COMMENT ON COLUMN runledger.period_balance_v1.agrees IS
    'True: closed plus corrected equals live in runs, priced runs, durations and costs, and the sums of the lines and of the corrections that were taken are those that were frozen.';
