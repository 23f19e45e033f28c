-- $1 integer: how many runs are counted at most. Those that have not ended, by how far they have come,
-- without those that `runledger simulate` made up.
SELECT r.status, count(*) AS runs, extract(epoch FROM now() - min(r.first_received_at))::bigint AS oldest_seconds,
       extract(epoch FROM now() - max(r.applied_at))::bigint AS latest_seconds
FROM (SELECT status, first_received_at, applied_at FROM runledger.runs_v1 WHERE terminal_status IS NULL
          AND NOT runledger.is_simulated(run_id)
      LIMIT $1::integer) AS r
GROUP BY r.status
