-- $1 uuid[] segment, $2 bigint[] number, $3 text[] digest in hexadecimal, $4 integer[] event count. A copy updates the
-- existing row instead of skipping it, so that its acknowledgement waits for replication as the first one's did. So
-- does another batch of that name, which is not a copy and does not count as one. The returned digest is the ledger's.
INSERT INTO runledger.ingested_batches AS ledger (segment_id, batch_number, digest, event_count)
SELECT segment_id, batch_number, decode(digest, 'hex'), event_count
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::integer[]) AS incoming (segment_id, batch_number, digest, event_count)
ORDER BY segment_id, batch_number
ON CONFLICT (segment_id, batch_number) DO UPDATE
    SET copies = ledger.copies + CASE WHEN ledger.digest = EXCLUDED.digest THEN 1 ELSE 0 END
RETURNING replace(segment_id::text, '-', '') AS segment_id, batch_number, encode(digest, 'hex') AS digest, copies
