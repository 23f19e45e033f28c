-- $1 integer days ahead, $2 integer days to keep (0: all). The partitions to make, days to come first, and to drop; days
-- are UTC. What the DEFAULT partition holds of a day that is over gets a partition too, so that it can be dropped.
WITH today AS (SELECT (now() AT TIME ZONE 'UTC')::date AS day),
known AS MATERIALIZED (SELECT day, is_partition FROM runledger.find_event_days()),
wanted AS (
    SELECT today.day + ahead AS day FROM today, generate_series(0, $1::integer) AS ahead
    UNION
    SELECT day FROM known
)
SELECT 'make' AS step, wanted.day::text, wanted.day > today.day AS is_ahead
FROM wanted, today
WHERE NOT EXISTS (SELECT FROM known WHERE known.day = wanted.day AND is_partition)
UNION ALL
SELECT 'drop', known.day::text, false
FROM known, today
WHERE is_partition AND $2::integer > 0 AND known.day < today.day - greatest($2::integer, 2)
ORDER BY 1 DESC, 3 DESC, 2
