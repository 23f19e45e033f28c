-- Of one report: $1 run, $2 bigint digest; of each output $3 text[] key, $4 timestamptz[] updated, $5 bigint[] digest,
-- $6 integer[] position, $7 text[] output, $8 integer[] signed links. The newer version wins, as between events
-- (apply/upsert_outputs.sql); what jsonb can't hold is masked here, and is in the report's body as
-- it is.
WITH upserted AS (
    INSERT INTO runledger.run_outputs AS o (
        run_id, output_key, updated_at, signed_links, received_at, boot_id, boottime_us, digest, position, output)
    SELECT report.run_id, item.output_key, item.updated_at, item.signed_links, report.fetched_at,
           '00000000-0000-0000-0000-000000000000'::uuid, 0, item.digest, item.position, attempt.value
    FROM runledger.provider_reports AS report,
         unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::integer[], $7::text[], $8::integer[])
             AS item (output_key, updated_at, digest, position, output, signed_links),
         runledger.try_jsonb(item.output) AS attempt
    WHERE report.run_id = $1 AND report.digest = $2::bigint
    ORDER BY item.output_key COLLATE "C"
    ON CONFLICT (run_id, output_key) DO UPDATE SET
        updated_at = EXCLUDED.updated_at, signed_links = EXCLUDED.signed_links, received_at = EXCLUDED.received_at,
        boot_id = EXCLUDED.boot_id, boottime_us = EXCLUDED.boottime_us, digest = EXCLUDED.digest,
        position = EXCLUDED.position, output = EXCLUDED.output
    WHERE (EXCLUDED.updated_at, EXCLUDED.signed_links, EXCLUDED.received_at, EXCLUDED.boot_id, EXCLUDED.boottime_us,
           EXCLUDED.digest, EXCLUDED.position)
        > (o.updated_at, o.signed_links, o.received_at, o.boot_id, o.boottime_us, o.digest, o.position)
    RETURNING run_id
)
INSERT INTO runledger.settle_queue (run_id) SELECT DISTINCT run_id FROM upserted
