-- From the receipt of an ending at the edge to its commit, in seconds: of the last 200 runs that ended within an hour.
SELECT count(*) AS runs, percentile_cont(0.5) WITHIN GROUP (ORDER BY latest.lag) AS median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latest.lag) AS high, max(latest.lag) AS highest,
       extract(epoch FROM now() - max(latest.changed_at))::bigint AS latest_seconds
FROM (SELECT changed_at, greatest(extract(epoch FROM changed_at - finished_at)::double precision, 0) AS lag
      FROM runledger.runs_v1
      WHERE terminal_status IS NOT NULL AND changed_at > now() - interval '1 hour' AND finished_at IS NOT NULL
      ORDER BY changed_at DESC LIMIT 200) AS latest
