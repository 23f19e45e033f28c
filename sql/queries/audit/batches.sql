-- Every batch of a segment that is not retired: number, digest in hexadecimal, events.
SELECT replace(segment_id::text, '-', ''), batch_number, encode(digest, 'hex'), event_count
FROM runledger.ingested_batches
UNION ALL
-- A retired segment stands here once, without a batch.
SELECT replace(segment_id::text, '-', ''), NULL, NULL, NULL FROM runledger.spool_segments WHERE retired_at IS NOT NULL
