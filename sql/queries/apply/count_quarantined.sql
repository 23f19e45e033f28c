-- $1 uuid[] segment, $2 bigint[] number, $3 integer[] events of the batch that went to quarantine in this turn.
UPDATE runledger.ingested_batches AS ledger SET quarantined_count = ledger.quarantined_count + incoming.events
FROM unnest($1::uuid[], $2::bigint[], $3::integer[]) AS incoming (segment_id, batch_number, events)
WHERE ledger.segment_id = incoming.segment_id AND ledger.batch_number = incoming.batch_number
