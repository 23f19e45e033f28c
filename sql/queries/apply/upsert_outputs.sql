-- $1 text[] run, $2 text[] key, $3 timestamptz[] updated, $4 timestamptz[] received, $5 uuid[] boot, $6 bigint[]
-- boottime, $7 bigint[] digest, $8 integer[] position, $9 text[] output; and of the event it came with: $10 uuid[]
-- segment, $11 bigint[] batch, $12 integer[] index, $13 text[] edge; $14 text[] runs that this transaction has queued
-- already; $15 integer[] signed links of each. The newer version wins; of one updated_at, the version with more signed
-- links. An output that jsonb can't hold goes to quarantine as it is. Its row here has it with the values masked that
-- jsonb can't hold; there is nothing left to do about it then. If that is not enough, the row stays without content.
WITH incoming AS MATERIALIZED (
    SELECT item.*
    FROM ROWS FROM (
        unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::bigint[], $7::bigint[],
               $8::integer[], $9::text[], $10::uuid[], $11::bigint[], $12::integer[], $13::text[], $15::integer[]),
        runledger.try_jsonb_all($9::text[]))
         AS item (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position, output,
                  segment_id, batch_number, event_index, edge, signed_links, value, reason)
),
upserted AS (
    INSERT INTO runledger.run_outputs AS o (
        run_id, output_key, updated_at, signed_links, received_at, boot_id, boottime_us, digest, position, output)
    SELECT run_id, output_key, updated_at, signed_links, received_at, boot_id, boottime_us, digest, position, value
    FROM incoming
    ORDER BY run_id COLLATE "C", output_key COLLATE "C"
    ON CONFLICT (run_id, output_key) DO UPDATE SET
        updated_at = EXCLUDED.updated_at, signed_links = EXCLUDED.signed_links, received_at = EXCLUDED.received_at,
        boot_id = EXCLUDED.boot_id, boottime_us = EXCLUDED.boottime_us, digest = EXCLUDED.digest,
        position = EXCLUDED.position, output = EXCLUDED.output
    WHERE (EXCLUDED.updated_at, EXCLUDED.signed_links, EXCLUDED.received_at, EXCLUDED.boot_id, EXCLUDED.boottime_us,
           EXCLUDED.digest, EXCLUDED.position)
        > (o.updated_at, o.signed_links, o.received_at, o.boot_id, o.boottime_us, o.digest, o.position)
    RETURNING run_id
),
queued AS (
    INSERT INTO runledger.settle_queue (run_id)
    SELECT run_id FROM upserted
    EXCEPT
    SELECT already.run_id FROM unnest($14::text[]) AS already (run_id)
)
INSERT INTO runledger.quarantine (
    scope, reason, segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, run_id, content,
    resolved_at, resolution)
SELECT 'output', CASE WHEN value IS NULL THEN 'output_not_jsonb: ' ELSE 'output_masked: ' END || reason, segment_id,
       batch_number, event_index, edge, received_at, boot_id, boottime_us, run_id, convert_to(output, 'UTF8'),
       CASE WHEN value IS NOT NULL THEN now() END,
       CASE WHEN value IS NOT NULL THEN 'stored, with the values masked that jsonb can''t hold' END
FROM incoming
WHERE reason IS NOT NULL
