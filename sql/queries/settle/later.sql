-- $1 bigint id, $2 bigint delay in ms, $3 text error, cut after 1000 characters; $4 boolean: whether it was slow.
UPDATE runledger.settle_queue
SET attempts = attempts + 1, due_at = clock_timestamp() + $2::bigint * interval '1 millisecond', last_error = left($3, 1000),
    is_slow = $4::boolean
WHERE id = $1::bigint
