-- $1 integer: how many at most. What each GPU cost this month, by the reports' time zone; the dearest first.
SELECT coalesce(gpu, '') AS gpu, sum(generations)::bigint AS generations, sum(unpriced)::bigint AS unpriced,
       sum(cost_usd) AS cost_usd, coalesce(sum(cost_usd), 0)::double precision AS width
FROM runledger.gpu_costs_v1
WHERE day >= (SELECT date_trunc('month', now() AT TIME ZONE runledger.report_time_zone())::date)
GROUP BY gpu ORDER BY sum(cost_usd) DESC NULLS LAST, gpu LIMIT $1::integer
