CREATE OR REPLACE VIEW runledger.gpu_costs_v1 AS
SELECT d.day, sums.gpu, sums.generations, sums.completed, sums.failed, sums.cancelled, sums.priced, sums.unpriced,
       sums.duration_ms, sums.cost_usd
FROM runledger.report_days_v1 AS d
CROSS JOIN LATERAL (
    SELECT ended.gpu,
           count(*) AS generations,
           count(*) FILTER (WHERE ended.status = 'completed') AS completed,
           count(*) FILTER (WHERE ended.status = 'failed') AS failed,
           count(*) FILTER (WHERE ended.status = 'cancelled') AS cancelled,
           count(ended.cost_usd) AS priced,
           count(*) FILTER (WHERE ended.status = 'completed' AND ended.cost_usd IS NULL) AS unpriced,
           sum(ended.duration_ms) AS duration_ms,
           sum(ended.cost_usd) AS cost_usd
    FROM (
        SELECT g.status, g.duration_ms, g.cost_usd,
               CASE WHEN s.generation_id IS NOT NULL THEN s.gpu
                    ELSE (SELECT own.gpu FROM runledger.settlements AS own
                          WHERE own.generation_id = g.id AND own.outcome <> 'edited_by_hand' AND NOT own.row_is_gone
                          ORDER BY own.id DESC LIMIT 1) END AS gpu
        FROM runledger.generations AS g
        LEFT JOIN (
            SELECT DISTINCT ON (of_day.generation_id) of_day.generation_id, of_day.gpu
            FROM runledger.settlements AS of_day
            WHERE of_day.outcome <> 'edited_by_hand' AND NOT of_day.row_is_gone
              AND of_day.finished_at >= d.begins_at AND of_day.finished_at < d.ends_at
            ORDER BY of_day.generation_id, of_day.id DESC) AS s ON s.generation_id = g.id
        WHERE g.response_timestamp >= d.begins_at AND g.response_timestamp < d.ends_at) AS ended
    GROUP BY ended.gpu) AS sums;
COMMENT ON VIEW runledger.gpu_costs_v1 IS
    'The exact cost of each GPU on each day: a row for each GPU and day with an ending; add rows up for longer periods. Days as in day_costs_v1.';
COMMENT ON COLUMN runledger.gpu_costs_v1.day IS 'The day in the time zone runledger.report_time_zone().';
COMMENT ON COLUMN runledger.gpu_costs_v1.gpu IS
    'metadata.gpu when the row was settled; NULL: there was none, or the row was never settled.';
COMMENT ON COLUMN runledger.gpu_costs_v1.generations IS 'Number of generations that ended, with any status.';
COMMENT ON COLUMN runledger.gpu_costs_v1.completed IS 'How many of them are completed.';
COMMENT ON COLUMN runledger.gpu_costs_v1.failed IS 'How many failed or timed out; they cost nothing.';
COMMENT ON COLUMN runledger.gpu_costs_v1.cancelled IS 'How many were cancelled; they cost nothing.';
COMMENT ON COLUMN runledger.gpu_costs_v1.priced IS 'How many have a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.gpu_costs_v1.unpriced IS
    'How many are completed without a known cost: the true sum is higher by their cost.';
COMMENT ON COLUMN runledger.gpu_costs_v1.duration_ms IS
    'The exact sum of the known durations in milliseconds, including those of failed and cancelled runs. NULL: none is known.';
COMMENT ON COLUMN runledger.gpu_costs_v1.cost_usd IS 'US dollars: the exact sum of the known costs. NULL: none is known.';
