-- $1 the host, $2 failures to add, $3 from so many failures on the host is closed for a while, $4 for how many
-- milliseconds at first, $5 at most, $6 for how many milliseconds the host has asked to wait, $7 the error. The time
-- doubles with each further failure. It applies to every daemon.
INSERT INTO runledger.webhook_hosts AS known (host, failures, closed_until, asked_until, last_error)
VALUES ($1, $2::integer,
        now() + interval '1 millisecond' * greatest(
            $6::bigint, CASE WHEN $2::integer >= $3::integer THEN least($5::bigint, $4::bigint) END),
        CASE WHEN $6::bigint > 0 THEN now() + $6::bigint * interval '1 millisecond' END, $7)
ON CONFLICT (host) DO UPDATE
SET failures = least(known.failures + excluded.failures, 1000000), last_error = excluded.last_error, changed_at = now(),
    asked_until = greatest(known.asked_until, excluded.asked_until),
    closed_until = greatest(
        known.closed_until, excluded.closed_until,
        CASE WHEN known.failures + excluded.failures >= $3::integer AND excluded.failures > 0
             THEN now() + interval '1 millisecond' * least(
                 $5::bigint, $4::bigint * power(2, least(known.failures + excluded.failures - $3::integer, 30)))
        END)
RETURNING known.failures
