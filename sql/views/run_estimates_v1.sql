CREATE OR REPLACE VIEW runledger.run_estimates_v1 AS
SELECT kind, name, runs, duration_runs, duration_ms_median, duration_ms_p95, cost_runs, cost_usd_median, cost_usd_p95
FROM runledger.run_estimates(30);
COMMENT ON VIEW runledger.run_estimates_v1 IS
    'What a run is likely to take and to cost, by the completed generations of the last 30 days: a row for each tool, workflow and GPU that metadata names. For another number of days: SELECT * FROM runledger.run_estimates(7). A generation counts in up to three rows.';
COMMENT ON COLUMN runledger.run_estimates_v1.kind IS
    'tool, workflow or gpu: by the column tool_key of generations, metadata.workflow or metadata.gpu.';
COMMENT ON COLUMN runledger.run_estimates_v1.name IS
    'The value, a string of 1 to 128 bytes (gpu: to 64); generations without one are in no row of that kind.';
COMMENT ON COLUMN runledger.run_estimates_v1.runs IS 'Number of completed generations.';
COMMENT ON COLUMN runledger.run_estimates_v1.duration_runs IS
    'How many of them have a known duration: the two durations stand on these. Unknown is not zero: it counts nowhere.';
COMMENT ON COLUMN runledger.run_estimates_v1.duration_ms_median IS
    'Milliseconds: half of the known durations are not longer. The duration of a run that there was. NULL: none is known.';
COMMENT ON COLUMN runledger.run_estimates_v1.duration_ms_p95 IS
    'Milliseconds: 95 % of the known durations are not longer; of fewer than 20, this is the longest. NULL: none is known.';
COMMENT ON COLUMN runledger.run_estimates_v1.cost_runs IS
    'How many of them have a known cost: the two costs stand on these.';
COMMENT ON COLUMN runledger.run_estimates_v1.cost_usd_median IS
    'US dollars: half of the known costs are not higher. NULL: none is known.';
COMMENT ON COLUMN runledger.run_estimates_v1.cost_usd_p95 IS
    'US dollars: 95 % of the known costs are not higher; of fewer than 20, this is the highest. NULL: none is known.';
