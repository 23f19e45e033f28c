-- $1 id, $2 the daemon, $3 delay in milliseconds (0: due as it was), $4 attempts that do not count, $5 attempts that
-- may have arrived, $6 the error or NULL to keep the last one's; how the next part is sent: $7 form, $8 without a
-- thread, $9 fallbacks, $10 429 answers so far, $11 without buttons.
UPDATE runledger.notifications
SET state = 'pending',
    not_before = CASE WHEN $3::bigint = 0 THEN not_before ELSE now() + $3::bigint * interval '1 millisecond' END,
    attempts = greatest(attempts - $4::integer, 0),
    uncertain_attempts = uncertain_attempts + $5::integer,
    last_error = coalesce($6, last_error),
    form = $7,
    without_thread = $8::boolean,
    fallbacks = $9::integer,
    refused_for_pace = $10::integer,
    without_buttons = $11::boolean,
    lease_owner = NULL,
    lease_until = NULL
WHERE id = $1 AND state = 'leased' AND lease_owner = $2
