-- Quotes: what a run of a tool, a workflow or a GPU is likely to take and to cost, by those that have ended.
CREATE OR REPLACE FUNCTION runledger.run_estimates(p_days integer)
    RETURNS TABLE (
        kind text, name text, runs bigint,
        duration_runs bigint, duration_ms_median numeric, duration_ms_p95 numeric,
        cost_runs bigint, cost_usd_median numeric, cost_usd_p95 numeric)
    -- It reads a view that its caller may read. Planned for the days that are asked for: a generic plan would not know
    -- how few rows they are.
    LANGUAGE plpgsql STABLE STRICT SET plan_cache_mode = force_custom_plan SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT sums.kind, sums.name, sums.runs, sums.duration_runs, sums.durations[1], sums.durations[2],
           sums.cost_runs, sums.costs[1], sums.costs[2]
    FROM (
        -- The value of a run that there was, never one between two: numeric stays exact. NULLs are not among them.
        SELECT named.kind, named.name, count(*) AS runs,
               count(c.duration_ms) AS duration_runs,
               percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY c.duration_ms) AS durations,
               count(c.cost_usd) AS cost_runs,
               percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY c.cost_usd) AS costs
        FROM runledger.completed_runs_v1 AS c
        CROSS JOIN LATERAL (VALUES ('tool', c.tool COLLATE "C"), ('workflow', c.workflow), ('gpu', c.gpu)) AS named (kind, name)
        WHERE c.response_timestamp >= now() - make_interval(days => least(p_days, 36500)) AND named.name IS NOT NULL
        GROUP BY named.kind, named.name) AS sums;
END
$$;
COMMENT ON FUNCTION runledger.run_estimates(integer) IS
    'For each tool, workflow and GPU that metadata names: median and 95th percentile of the duration and of the cost of the completed generations whose endings were received within the last p_days days, and how many have them. Columns as in run_estimates_v1, which has 30 days.';
