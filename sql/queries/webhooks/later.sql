-- $1 id, $2 the daemon, $3 delay in milliseconds (0: due as it was), $4 the error or NULL to keep the last one's,
-- $5 the answer's status or NULL, $6 attempts that do not count.
UPDATE runledger.notifications
SET state = 'pending',
    not_before = CASE WHEN $3::bigint = 0 THEN not_before ELSE now() + $3::bigint * interval '1 millisecond' END,
    attempts = greatest(attempts - $6::integer, 0), last_error = coalesce($4, last_error),
    answer_status = CASE WHEN $4 IS NULL THEN answer_status ELSE $5::integer END, lease_owner = NULL,
    lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
