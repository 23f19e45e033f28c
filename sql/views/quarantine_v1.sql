CREATE OR REPLACE VIEW runledger.quarantine_v1 AS
SELECT q.id AS quarantine_id, q.quarantined_at, q.scope, runledger.masked_links(q.reason) AS reason, q.edge,
       q.received_at, q.run_id, q.resolved_at, q.resolution
FROM runledger.quarantine AS q;
COMMENT ON VIEW runledger.quarantine_v1 IS
    'What could not be stored in its place, without its content. resolved_at IS NULL: what is still to be dealt with, by `runledger quarantine`.';
COMMENT ON COLUMN runledger.quarantine_v1.quarantine_id IS 'The handle for `runledger quarantine show` and `replay`.';
COMMENT ON COLUMN runledger.quarantine_v1.quarantined_at IS 'When it was stored in quarantine.';
COMMENT ON COLUMN runledger.quarantine_v1.scope IS 'batch, event or output.';
COMMENT ON COLUMN runledger.quarantine_v1.reason IS 'A word, and what PostgreSQL or the decoder said; its links are masked.';
COMMENT ON COLUMN runledger.quarantine_v1.edge IS 'The nginx host that received it.';
COMMENT ON COLUMN runledger.quarantine_v1.received_at IS 'When the edge received it; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine_v1.run_id IS 'The run that it is about; NULL if this can''t be read or stored.';
COMMENT ON COLUMN runledger.quarantine_v1.resolved_at IS 'When it was resolved; NULL: not yet.';
COMMENT ON COLUMN runledger.quarantine_v1.resolution IS 'The result, a sentence for people; NULL: not yet.';
