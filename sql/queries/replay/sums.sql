-- For the scratch schema, whose name replaces `runledger.`.
SELECT count(*) AS runs, count(*) FILTER (WHERE s.is_whole) AS compared,
       coalesce(sum(s.cost_usd) FILTER (WHERE s.is_whole), 0) AS cost_stored,
       coalesce(sum(g.cost_usd) FILTER (WHERE s.is_whole), 0) AS cost_replayed
FROM runledger.replay_stored AS s
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id
