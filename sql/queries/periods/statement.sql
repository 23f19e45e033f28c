-- $1 text month, $2 timestamptz or NULL: as of. Its statement.
SELECT s.period, s.state, to_char(s.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of,
       to_char(s.begins_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS begins_at,
       to_char(s.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS ends_at, s.time_zone,
       to_char(s.closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS closed_at, s.closed_by,
       s.runs, s.completed, s.failed, s.cancelled, s.priced, s.unpriced, s.duration_ms, s.cost_usd, s.corrections_taken,
       s.corrections_taken_usd, s.billed_usd, s.corrections_since, s.corrections_since_usd, s.restated_usd
FROM runledger.statement($1::text, $2::timestamptz) AS s
