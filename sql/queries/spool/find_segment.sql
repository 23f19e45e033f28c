-- $1 uuid segment, $2 bigint number of batches. Whether it is retired, and how many of its first $2 batches are in.
SELECT
    coalesce((SELECT retired_at IS NOT NULL FROM runledger.spool_segments WHERE segment_id = $1::uuid), false),
    (SELECT count(*) FROM runledger.ingested_batches WHERE segment_id = $1::uuid AND batch_number < $2::bigint)
