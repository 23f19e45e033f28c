-- One row: $1 scope, $2 reason, $3 uuid segment, $4 bigint batch, $5 integer index or NULL, $6 edge,
-- $7 timestamptz received or NULL, $8 uuid boot or NULL, $9 bigint boottime or NULL, $10 run or NULL,
-- $11 text content in hexadecimal, $12 integer events of a batch or NULL, $13 boolean redelivered or NULL.
INSERT INTO runledger.quarantine (
    scope, reason, segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, run_id, content,
    batch_event_count, redelivered)
VALUES ($1, $2, $3::uuid, $4::bigint, $5::integer, $6, $7::timestamptz, $8::uuid, $9::bigint, $10, decode($11, 'hex'),
        $12::integer, $13::boolean)
