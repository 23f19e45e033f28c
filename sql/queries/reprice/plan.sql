-- $1 text gpu, $2 timestamptz from, $3 timestamptz to. What repricing would do, in groups of the same verdict and rates.
SELECT verdict, coalesce(rate_before::text, 'unknown') AS rate_before, coalesce(rate_after::text, 'none') AS rate_after,
       count(*) AS runs, count(cost_before) AS known_before, count(cost_after) AS known_after,
       coalesce(sum(cost_before), 0) AS sum_before, coalesce(sum(cost_after), 0) AS sum_after,
       to_char(coalesce(sum(cost_after), 0) - coalesce(sum(cost_before), 0), 'FMSG999999999999999990.000000000000') AS difference
FROM runledger.repricing($1, $2::timestamptz, $3::timestamptz)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
