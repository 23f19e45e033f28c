-- $1 integer: how many at most. The last generations of a week that failed. Those that were cancelled are in the same
-- index: hence the inner bound.
SELECT failed.generation_id, cost.application_id, failed.run_id, left(cost.status_reason, 300) AS status_reason,
       to_char(failed.response_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS failed_at
FROM (SELECT u.generation_id, u.run_id, u.response_timestamp
      FROM (SELECT generation_id, run_id, status, response_timestamp FROM runledger.unpriced_generations_v1
            WHERE cost_note = 'not_charged' AND response_timestamp > now() - interval '7 days'
            ORDER BY response_timestamp DESC LIMIT 500) AS u
      WHERE u.status = 'failed'
      ORDER BY u.response_timestamp DESC LIMIT $1::integer) AS failed
JOIN runledger.run_costs_v1 AS cost ON cost.generation_id = failed.generation_id
ORDER BY failed.response_timestamp DESC
