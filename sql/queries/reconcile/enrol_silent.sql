-- $1 text[] statuses and $2 bigint[] the silence that suits each, in milliseconds; $3 bigint that of a generation of
-- which nothing was received; $4 bigint how far to look back; $5 how many at most. A run's silence starts when the
-- daemon last stored something about it, so neither an edge's clock nor a backlog looks like silence. A forgotten run is
-- not asked about: the provider knows no pseudonym.
INSERT INTO runledger.reconcile_lookups (run_id)
SELECT run_id FROM (
    (SELECT r.run_id
     FROM runledger.runs AS r
     JOIN unnest($1::text[], $2::bigint[]) AS silence (status, ms) ON silence.status = r.status
     WHERE r.terminal_status IS NULL AND NOT runledger.is_pseudonym(r.run_id)
       AND r.applied_at < now() - silence.ms * interval '1 millisecond'
       AND r.applied_at > now() - $4::bigint * interval '1 millisecond'
       AND NOT EXISTS (SELECT FROM runledger.reconcile_lookups AS l WHERE l.run_id = r.run_id)
     LIMIT $5::integer)
    UNION
    (SELECT g.run_id
     FROM runledger.generations AS g
     WHERE g.status = 'pending' AND g.run_id IS NOT NULL AND NOT runledger.is_pseudonym(g.run_id)
       AND g.request_timestamp < now() - $3::bigint * interval '1 millisecond'
       AND g.request_timestamp > now() - $4::bigint * interval '1 millisecond'
       AND NOT EXISTS (SELECT FROM runledger.runs AS r WHERE r.run_id = g.run_id)
       AND NOT EXISTS (SELECT FROM runledger.reconcile_lookups AS l WHERE l.run_id = g.run_id)
     LIMIT $5::integer)) AS silent (run_id)
ORDER BY run_id
LIMIT $5::integer
ON CONFLICT (run_id) DO NOTHING
