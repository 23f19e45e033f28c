SELECT replace(segment_id::text, '-', '') AS segment, batch_number, event_index, edge,
       (extract(epoch FROM received_at) * 1000000)::bigint AS received_us, replace(boot_id::text, '-', '') AS boot,
       boottime_us, redelivered, body
FROM runledger.webhook_events
WHERE received_at >= $1::timestamptz AND received_at < $2::timestamptz
