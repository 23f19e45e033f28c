-- $1 integer: how many are counted at most, $2 integer: how many are shown at most. What is not resolved, the newest
-- first.
SELECT all_of_them.open, shown.quarantine_id, shown.scope, left(shown.reason, 300) AS reason, shown.run_id,
       to_char(shown.quarantined_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS quarantined_at
FROM (SELECT count(*) AS open FROM (SELECT FROM runledger.quarantine_v1 WHERE resolved_at IS NULL
                                    LIMIT $1::integer) AS q) AS all_of_them
LEFT JOIN (SELECT * FROM runledger.quarantine_v1 WHERE resolved_at IS NULL
           ORDER BY quarantine_id DESC LIMIT $2::integer) AS shown ON true
ORDER BY shown.quarantine_id DESC
