-- $1 integer: how many; $2 boolean: of those that were slow; $3 timestamptz: none is due before it. Entries that were
-- tried before and are due again, oldest first; skips rows that another daemon has locked.
SELECT id, run_id, attempts FROM runledger.settle_queue
WHERE attempts > 0 AND is_slow = $2::boolean AND due_at >= $3::timestamptz AND due_at <= clock_timestamp()
ORDER BY due_at, id
LIMIT $1::integer
FOR UPDATE SKIP LOCKED
