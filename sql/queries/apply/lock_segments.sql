-- $1 uuid[] segment. Held to the end of the transaction, so that no segment is retired while a batch of it is applied.
SELECT replace(segment_id::text, '-', '') AS segment_id, batch_count
FROM runledger.spool_segments
WHERE segment_id = ANY ($1::uuid[])
ORDER BY segment_id
FOR SHARE
