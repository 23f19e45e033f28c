CREATE OR REPLACE VIEW runledger.account_costs_v1 AS
SELECT d.day, sums.account_id, sums.generations, sums.completed, sums.failed, sums.cancelled, sums.priced,
       sums.unpriced, sums.duration_ms, sums.cost_usd
FROM runledger.report_days_v1 AS d
CROSS JOIN LATERAL (
    SELECT g.account_key AS account_id,
           count(*) AS generations,
           count(*) FILTER (WHERE g.status = 'completed') AS completed,
           count(*) FILTER (WHERE g.status = 'failed') AS failed,
           count(*) FILTER (WHERE g.status = 'cancelled') AS cancelled,
           count(g.cost_usd) AS priced,
           count(*) FILTER (WHERE g.status = 'completed' AND g.cost_usd IS NULL) AS unpriced,
           sum(g.duration_ms) AS duration_ms,
           sum(g.cost_usd) AS cost_usd
    FROM runledger.generations AS g
    WHERE g.response_timestamp >= d.begins_at AND g.response_timestamp < d.ends_at
    GROUP BY g.account_key) AS sums;
COMMENT ON VIEW runledger.account_costs_v1 IS
    'The exact cost of each account on each day: a row for each account and day with an ending; add rows up for longer periods. Days as in day_costs_v1.';
COMMENT ON COLUMN runledger.account_costs_v1.day IS 'The day in the time zone runledger.report_time_zone().';
COMMENT ON COLUMN runledger.account_costs_v1.account_id IS
    'metadata.accountId, or the keys that runledger.use_metadata_keys has chosen; NULL: generations without a usable account.';
COMMENT ON COLUMN runledger.account_costs_v1.generations IS 'Number of generations that ended, with any status.';
COMMENT ON COLUMN runledger.account_costs_v1.completed IS 'How many of them are completed.';
COMMENT ON COLUMN runledger.account_costs_v1.failed IS 'How many failed or timed out; they cost nothing.';
COMMENT ON COLUMN runledger.account_costs_v1.cancelled IS 'How many were cancelled; they cost nothing.';
COMMENT ON COLUMN runledger.account_costs_v1.priced IS 'How many have a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.account_costs_v1.unpriced IS
    'How many are completed without a known cost: the true sum is higher by their cost.';
COMMENT ON COLUMN runledger.account_costs_v1.duration_ms IS
    'The exact sum of the known durations in milliseconds, including those of failed and cancelled runs. NULL: none is known.';
COMMENT ON COLUMN runledger.account_costs_v1.cost_usd IS 'US dollars: the exact sum of the known costs. NULL: none is known.';
