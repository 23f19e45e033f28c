-- $1 uuid segment, $2 bigint batch, $3 integer index: the event of that name, if the ledger has it.
SELECT body, (extract(epoch FROM received_at) * 1000000)::bigint AS received_us, replace(boot_id::text, '-', '') AS boot,
       boottime_us, redelivered
FROM runledger.webhook_events
WHERE segment_id = $1::uuid AND batch_number = $2::bigint AND event_index = $3::integer
LIMIT 1
