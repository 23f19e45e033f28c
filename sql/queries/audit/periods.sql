-- $1 date or NULL: since when. Closed months that do not add up, of those that ended since then.
SELECT b.period, b.runs_closed, b.runs_corrected, b.runs_live, b.cost_usd_closed, b.cost_usd_corrected, b.cost_usd_live
FROM runledger.closed_periods_v1 AS p
JOIN runledger.period_balance_v1 AS b ON b.period = p.period
WHERE p.ends_at > coalesce($1::date, '-infinity')::timestamp AT TIME ZONE 'UTC' AND NOT b.agrees
ORDER BY b.period
