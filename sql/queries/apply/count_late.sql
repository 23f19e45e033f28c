-- $1 uuid[] segment, $2 text[] edge, $3 bigint[] duplicate events, $4 bigint[] quarantined events: of batches that have
-- no row of their own in ingested_batches, since their segment is retired or their name is another's.
INSERT INTO runledger.ledger_days AS books (segment_id, day, edge, batches, stored, applied, duplicate, quarantined)
SELECT segment_id, (now() AT TIME ZONE 'UTC')::date, edge, 0, duplicate + quarantined, 0, duplicate, quarantined
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS incoming (segment_id, edge, duplicate, quarantined)
ORDER BY segment_id
ON CONFLICT (segment_id, day) DO UPDATE SET
    stored = books.stored + EXCLUDED.stored,
    duplicate = books.duplicate + EXCLUDED.duplicate,
    quarantined = books.quarantined + EXCLUDED.quarantined
