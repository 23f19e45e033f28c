-- From the receipt of an ending to its settlement, in seconds: of the last 200 settlements of the last hour. Those of
-- `runledger reprice` and of a later event say nothing about it, and may be many: hence the inner bound.
SELECT count(*) AS runs, percentile_cont(0.5) WITHIN GROUP (ORDER BY latest.lag) AS median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latest.lag) AS high, max(latest.lag) AS highest
FROM (SELECT greatest(extract(epoch FROM s.settled_at - s.finished_at)::double precision, 0) AS lag
      FROM (SELECT settled_at, finished_at, outcome, settlement_id FROM runledger.settlements_v1
            ORDER BY settlement_id DESC LIMIT 2000) AS s
      WHERE s.outcome = 'settled' AND s.settled_at > now() - interval '1 hour'
      ORDER BY s.settlement_id DESC LIMIT 200) AS latest
