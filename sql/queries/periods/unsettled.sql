-- $1 text month, $2 integer: how many at most. Runs that ended in it and wait to be settled, and how many there are; none
-- of a closed month.
SELECT u.run_id, coalesce(u.last_error, '') AS last_error, count(*) OVER () AS unsettled
FROM runledger.period_to_close($1::text) AS b
JOIN runledger.unsettled_endings_v1 AS u ON u.ended_at >= b.begins_at AND u.ended_at < b.ends_at
ORDER BY u.ended_at, u.run_id
LIMIT $2::integer
