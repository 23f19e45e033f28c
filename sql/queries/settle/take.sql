-- $1 integer: how many; $2 boolean: of those that were slow. What is due, oldest first; rows that another daemon holds
-- are passed by.
SELECT id, run_id, attempts FROM runledger.settle_queue
WHERE is_slow = $2::boolean AND due_at <= clock_timestamp()
ORDER BY due_at, id
LIMIT $1::integer
FOR UPDATE SKIP LOCKED
