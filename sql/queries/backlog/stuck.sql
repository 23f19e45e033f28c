-- How many runs are stuck, for the metrics; counted up to 10,000.
SELECT count(*) AS runs FROM (SELECT FROM runledger.stuck_runs_v1 LIMIT 10000) AS stuck
