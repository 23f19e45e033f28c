-- $1, $2 bigint: the settlements after the first up to the second. Of those that are their generation's last one, the
-- generations that differ from it or are gone. A run whose generation is gone and that another one names is that one's.
SELECT s.generation_id, s.run_id, CASE WHEN g.id IS NOT NULL THEN runledger.edited_columns(g, s) END, s.status, s.cost_usd,
       g.status, g.cost_usd, s.generation_id, g.application_id::text AS application_id
FROM runledger.settlements AS s
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id AND NOT s.row_is_gone
WHERE s.id > $1::bigint AND s.id <= $2::bigint AND NOT s.is_replaced
  AND s.outcome NOT IN ('edited_by_hand', 'reopened')
  AND NOT EXISTS (SELECT FROM runledger.settlements AS newer
                  WHERE newer.generation_id = s.generation_id AND newer.id > s.id AND newer.row_is_gone = s.row_is_gone AND newer.outcome <> 'edited_by_hand')
  AND CASE WHEN g.id IS NULL
           THEN NOT EXISTS (SELECT FROM runledger.generations AS other WHERE other.run_id = s.run_id)
           ELSE runledger.edited_columns(g, s) IS NOT NULL END
ORDER BY s.id
