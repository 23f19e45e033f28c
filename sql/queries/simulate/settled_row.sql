-- $1 text run. The row as it was settled, and whether its cost is the product of rate and duration.
SELECT g.status, g.duration_ms::text AS duration_ms, g.cost_usd::text AS cost_usd, g.cost_note,
       coalesce(g.cost_usd = runledger.cost_of(0.0001, 'second', (g.duration_ms * 1000)::bigint, NULL), false) AS is_exact
FROM runledger.generations AS g
WHERE g.run_id = $1::text
