-- Which runs have been silent for too long, the longest first?
SELECT run_id, status, silent_for, generation_id, latest_live_status
FROM runledger.stuck_runs_v1
ORDER BY silent_for DESC
LIMIT 100;
