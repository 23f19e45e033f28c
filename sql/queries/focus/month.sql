-- $1 text: a month, such as 2026-06. How many charges it has, as far as days tell; completed generations without a known
-- cost, which are none; and whether it has ended.
SELECT coalesce(sum(d.priced), 0)::bigint AS charges,
       coalesce((SELECT p.unpriced FROM runledger.closed_periods_v1 AS p WHERE p.period = $1::text),
                sum(d.unpriced), 0)::bigint AS without_cost,
       now() >= runledger.month_begins_at((($1::text || '-01')::date + interval '1 month')::date,
                                          runledger.report_time_zone()) AS has_ended
FROM runledger.day_costs_v1 AS d
WHERE d.day >= ($1::text || '-01')::date AND d.day < (($1::text || '-01')::date + interval '1 month')::date
