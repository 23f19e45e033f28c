-- $1 integer: how many; $2 xid8 and $3 bigint: from this transaction's entry on. Entries that were not tried yet, oldest
-- first; skips rows that another daemon has locked.
SELECT id, run_id, attempts FROM runledger.settle_queue
WHERE attempts = 0 AND (queued_in, id) >= ($2::xid8, $3::bigint)
ORDER BY queued_in, id
LIMIT $1::integer
FOR UPDATE SKIP LOCKED
