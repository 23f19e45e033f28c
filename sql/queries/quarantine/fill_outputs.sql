-- $1 text[] run, $2 text[] key, $3 timestamptz[] updated, $4 timestamptz[] received, $5 uuid[] boot, $6 bigint[]
-- boottime, $7 bigint[] digest, $8 integer[] position, $9 text[] output. Versions that hold their place without content
-- get it, where jsonb takes it now.
WITH filled AS (
    UPDATE runledger.run_outputs AS o
    SET output = attempt.value
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::bigint[], $7::bigint[],
                $8::integer[], $9::text[])
             AS item (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position, output),
         runledger.try_jsonb(item.output) AS attempt
    WHERE o.output IS NULL AND attempt.value IS NOT NULL
      AND (o.run_id, o.output_key, o.updated_at, o.received_at, o.boot_id, o.boottime_us, o.digest, o.position)
        = (item.run_id, item.output_key, item.updated_at, item.received_at, item.boot_id, item.boottime_us, item.digest,
           item.position)
    RETURNING o.run_id
)
INSERT INTO runledger.settle_queue (run_id) SELECT DISTINCT run_id FROM filled
