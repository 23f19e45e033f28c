-- Each day of this month by the reports' time zone, ended generations or none, up to the last. The month's sum is exact.
SELECT extract(day FROM each.day)::integer AS day, to_char(each.day, 'YYYY-MM-DD') AS date,
       coalesce(cost.generations, 0) AS generations, coalesce(cost.completed, 0) AS completed,
       coalesce(cost.failed, 0) AS failed, coalesce(cost.unpriced, 0) AS unpriced, cost.cost_usd,
       coalesce(cost.cost_usd, 0)::double precision AS height, sum(cost.cost_usd) OVER () AS month_usd,
       each.day = month.today AS is_today, month.zone
FROM (SELECT (now() AT TIME ZONE zone.name)::date AS today,
             date_trunc('month', now() AT TIME ZONE zone.name)::date AS begins, zone.name AS zone
      FROM (SELECT runledger.report_time_zone() AS name) AS zone) AS month
CROSS JOIN LATERAL (SELECT d::date AS day
                    FROM generate_series(month.begins, month.begins + interval '1 month' - interval '1 day',
                                         interval '1 day') AS d) AS each
LEFT JOIN (SELECT day, generations, completed, failed, unpriced, cost_usd FROM runledger.day_costs_v1
           WHERE day >= (SELECT date_trunc('month', now() AT TIME ZONE runledger.report_time_zone())::date)) AS cost
    ON cost.day = each.day
ORDER BY each.day
