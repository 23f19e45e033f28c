-- $1 bigint generation. Its audit, in its order.
SELECT to_char(s.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS settled_at, s.outcome, s.run_id, s.why,
       s.status, s.status_reason, round(s.duration_us / 1000.0, 3) AS duration_ms, s.cost_usd, s.cost_note,
       s.before ->> 'status' AS status_before, s.before ->> 'duration_ms' AS duration_ms_before,
       s.before ->> 'cost_usd' AS cost_usd_before, s.before ->> 'cost_note' AS cost_note_before
FROM runledger.settlements AS s
WHERE s.generation_id = $1::bigint
ORDER BY s.id
