-- $1 integer: how many; $2 xid8[]: of these transactions, which had not ended when later ones were done.
SELECT id, run_id, attempts FROM runledger.settle_queue
WHERE attempts = 0 AND queued_in = ANY ($2::xid8[])
LIMIT $1::integer
FOR UPDATE SKIP LOCKED
