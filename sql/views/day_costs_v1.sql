CREATE OR REPLACE VIEW runledger.day_costs_v1 AS
SELECT d.day, sums.generations, sums.completed, sums.failed, sums.cancelled, sums.priced, sums.unpriced,
       sums.duration_ms, sums.cost_usd
FROM runledger.report_days_v1 AS d
CROSS JOIN LATERAL (
    SELECT count(*) AS generations,
           count(*) FILTER (WHERE g.status = 'completed') AS completed,
           count(*) FILTER (WHERE g.status = 'failed') AS failed,
           count(*) FILTER (WHERE g.status = 'cancelled') AS cancelled,
           count(g.cost_usd) AS priced,
           count(*) FILTER (WHERE g.status = 'completed' AND g.cost_usd IS NULL) AS unpriced,
           sum(g.duration_ms) AS duration_ms,
           sum(g.cost_usd) AS cost_usd
    FROM runledger.generations AS g
    WHERE g.response_timestamp >= d.begins_at AND g.response_timestamp < d.ends_at) AS sums;
COMMENT ON VIEW runledger.day_costs_v1 IS
    'The exact cost of each day. A generation belongs to the day on which its run''s ending was received, by runledger.report_time_zone(). Days on which nothing ended are left out. Completed generations without a known cost are counted in unpriced, and never summed as zero.';
COMMENT ON COLUMN runledger.day_costs_v1.day IS 'The day in the time zone runledger.report_time_zone().';
COMMENT ON COLUMN runledger.day_costs_v1.generations IS 'Number of generations that ended on it, with any status.';
COMMENT ON COLUMN runledger.day_costs_v1.completed IS 'How many of them are completed.';
COMMENT ON COLUMN runledger.day_costs_v1.failed IS 'How many failed or timed out; they cost nothing.';
COMMENT ON COLUMN runledger.day_costs_v1.cancelled IS 'How many were cancelled; they cost nothing.';
COMMENT ON COLUMN runledger.day_costs_v1.priced IS 'How many have a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.day_costs_v1.unpriced IS
    'How many are completed without a known cost: the true sum is higher by their cost. unpriced_generations_v1 says why.';
COMMENT ON COLUMN runledger.day_costs_v1.duration_ms IS
    'The exact sum of the known durations in milliseconds, including those of failed and cancelled runs. NULL: none is known.';
COMMENT ON COLUMN runledger.day_costs_v1.cost_usd IS 'US dollars: the exact sum of the known costs. NULL: none is known.';
