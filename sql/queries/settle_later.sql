-- $1 bigint id, $2 bigint delay in ms, $3 text error.
UPDATE runledger.settle_queue
SET attempts = attempts + 1, due_at = clock_timestamp() + $2::bigint * interval '1 millisecond', last_error = $3
WHERE id = $1::bigint
