-- $1 xid8, $2 bigint, $3 xid8[], $4 timestamptz: the mark so far, for the first time 0, 0, {} and -infinity; $5 boolean: of
-- those that were slow. The next mark: every entry that is left, or can come, was queued by transaction `next`, with
-- `next_id` or a later one, or by a later transaction, or by one of `late`, which have not ended or have left entries; or
-- it was tried before, and is due at `due_from` or later. This transaction itself is late: its deferred triggers may still
-- add some. What another transaction has removed without having ended is left.
WITH known AS MATERIALIZED (
    SELECT pg_current_snapshot() AS snapshot, left_over.queued_in AS first_left, left_over.id AS first_id
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
        SELECT queued_in, id FROM runledger.settle_queue
        WHERE attempts = 0 AND (queued_in, id) >= ($1::xid8, $2::bigint) ORDER BY queued_in, id LIMIT 1
    ) AS left_over ON true
),
marked AS (
    SELECT snapshot, CASE WHEN first_left < pg_snapshot_xmax(snapshot) THEN first_left
                          ELSE pg_snapshot_xmax(snapshot) END AS next,
           CASE WHEN first_left < pg_snapshot_xmax(snapshot) THEN first_id ELSE 0 END AS next_id
    FROM known
)
SELECT next, next_id,
       ARRAY(SELECT xid FROM pg_snapshot_xip(snapshot) AS running (xid) WHERE xid < next
             UNION
             SELECT queued_in FROM runledger.settle_queue WHERE attempts = 0 AND queued_in = ANY ($3::xid8[])
             UNION
             SELECT pg_current_xact_id_if_assigned() WHERE pg_current_xact_id_if_assigned() < next) AS late,
       least((SELECT due_at FROM runledger.settle_queue
              WHERE attempts > 0 AND is_slow = $5::boolean AND due_at >= $4::timestamptz ORDER BY due_at LIMIT 1),
             now() - interval '1 minute') AS due_from
FROM marked
