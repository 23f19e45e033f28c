-- Of each edge, its segments that are not retired: how many, and when the newest of their batches was stored.
SELECT s.edge, count(*),
       to_char(max(b.applied_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM runledger.spool_segments AS s
CROSS JOIN LATERAL (SELECT max(i.applied_at) AS applied_at FROM runledger.ingested_batches AS i
                    WHERE i.segment_id = s.segment_id) AS b
WHERE s.retired_at IS NULL
GROUP BY s.edge
ORDER BY s.edge
