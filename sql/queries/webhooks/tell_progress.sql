-- $1 least milliseconds between two of a run, $2 how many at most. Writes the latest progress of running runs to the
-- outbox: one row for each run and place, which is sent again and again, each time as an event with an id of its own.
-- What is on its way stays as it is; what still waits is replaced. Nothing is written about an adopted row: nobody is
-- notified about its ending either.
INSERT INTO runledger.notifications AS n (
    generation_id, run_id, kind, for_status, channel, webhook_id, webhook_host, webhook_url, payload)
SELECT g.id, r.run_id, 'progress', 'progress' || place.suffix, 'webhook',
       'msg_' || replace(gen_random_uuid()::text, '-', ''), place.host, place.url,
       runledger.webhook_progress(r, g, asked.metadata_keys)
FROM runledger.webhook_settings AS asked
CROSS JOIN runledger.runs AS r
JOIN runledger.generations AS g ON g.run_id = r.run_id
CROSS JOIN LATERAL runledger.webhook_places(g, asked) AS place
LEFT JOIN runledger.notifications AS told
    ON told.generation_id = g.id AND told.run_id = r.run_id AND told.kind = 'progress'
       AND told.for_status = 'progress' || place.suffix
WHERE 'progress' = ANY (asked.events) AND place.fault IS NULL AND g.adopted_at IS NULL
  AND r.terminal_status IS NULL AND r.running_at IS NOT NULL AND r.latest_at > now() - interval '1 hour'
  AND (told.id IS NULL
       OR told.state <> 'leased' AND told.waits_since < now() - $1::bigint * interval '1 millisecond'
          AND told.payload #>> '{data,at}' <> runledger.utc_text(r.latest_at))
ORDER BY r.latest_at LIMIT $2::integer
ON CONFLICT ON CONSTRAINT notifications_are_made_once DO UPDATE
SET state = 'pending', webhook_id = excluded.webhook_id, webhook_host = excluded.webhook_host,
    webhook_url = excluded.webhook_url, payload = excluded.payload, not_before = now(), waits_since = now(),
    attempts = 0, sent_at = NULL, last_error = NULL, answer_status = NULL
    WHERE n.state <> 'leased' AND n.waits_since < now() - $1::bigint * interval '1 millisecond'
RETURNING n.id
