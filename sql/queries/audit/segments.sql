-- Retired segments whose edge had another number of batches acknowledged than the books have applied, and those whose
-- batches' names are still there.
SELECT replace(s.segment_id::text, '-', ''), s.edge, s.batch_count, coalesce(b.batches, 0), open_batches.n
FROM runledger.spool_segments AS s
LEFT JOIN (SELECT segment_id, sum(batches) AS batches FROM runledger.ledger_days GROUP BY segment_id) AS b
    USING (segment_id)
CROSS JOIN LATERAL (SELECT count(*) AS n FROM runledger.ingested_batches AS i WHERE i.segment_id = s.segment_id)
    AS open_batches
WHERE s.retired_at IS NOT NULL AND (s.batch_count <> coalesce(b.batches, 0) OR open_batches.n > 0)
ORDER BY 1
