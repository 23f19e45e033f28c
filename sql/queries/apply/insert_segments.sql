-- $1 uuid[] segment, $2 text[] edge. A segment is known from its first batch on.
INSERT INTO runledger.spool_segments (segment_id, edge)
SELECT segment_id, edge FROM unnest($1::uuid[], $2::text[]) AS incoming (segment_id, edge)
ORDER BY segment_id
ON CONFLICT (segment_id) DO NOTHING
