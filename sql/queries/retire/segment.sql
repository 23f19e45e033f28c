-- $1 uuid segment, $2 bigint batch count. Every batch was acknowledged to the edge; from now on a copy is recognised by
-- the tombstone. Returns no row, and changes nothing, if the ledger does not have that many batches of the segment.
WITH known AS (
    SELECT count(*) AS batches FROM runledger.ingested_batches WHERE segment_id = $1::uuid
),
retired AS (
    UPDATE runledger.spool_segments AS s
    SET retired_at = now(), batch_count = $2::bigint
    FROM known
    WHERE s.segment_id = $1::uuid AND s.retired_at IS NULL AND known.batches = $2::bigint
    RETURNING s.segment_id
)
SELECT segment_id FROM retired
UNION ALL
SELECT segment_id FROM runledger.spool_segments WHERE segment_id = $1::uuid AND retired_at IS NOT NULL
