-- $1 least milliseconds between two calls for a run, $2 how many at most. Takes runs whose progress is to be sent, for
-- the first time or again. The daemon that takes one has it for that long. None of an adopted row: nobody is notified
-- about its ending either.
INSERT INTO runledger.progress_messages AS p (run_id, generation_id, chat_id, told_of)
SELECT r.run_id, g.id, runledger.telegram_chat_now(g.telegram_chat_id), r.latest_at
FROM runledger.runs AS r
JOIN runledger.generations AS g ON g.run_id = r.run_id
LEFT JOIN runledger.progress_messages AS told ON told.run_id = r.run_id
WHERE r.terminal_status IS NULL AND r.running_at IS NOT NULL AND r.latest_at > now() - interval '1 hour'
  AND g.telegram_chat_id IS NOT NULL AND g.adopted_at IS NULL
  AND (told.run_id IS NULL
       OR told.message_id IS NOT NULL AND told.told_of < r.latest_at
          AND told.called_at < now() - $1::bigint * interval '1 millisecond')
ORDER BY r.latest_at LIMIT $2::integer
ON CONFLICT (run_id) DO UPDATE SET told_of = excluded.told_of, called_at = now()
    WHERE p.message_id IS NOT NULL AND p.called_at < now() - $1::bigint * interval '1 millisecond'
RETURNING p.run_id, p.chat_id, p.message_id,
    coalesce((SELECT runledger.handle_of(g.id, g.application_id::text) #>> '{}' FROM runledger.generations AS g
              WHERE g.id = p.generation_id), p.generation_id::text) AS generation_id,
    (SELECT coalesce(latest_live_status, '') FROM runledger.runs WHERE runs.run_id = p.run_id) AS step,
    (SELECT round(latest_progress::numeric * 100)::text FROM runledger.runs
     WHERE runs.run_id = p.run_id AND latest_progress BETWEEN 0 AND 1) AS percent,
    (SELECT (whom.place ->> 'message_thread_id')::bigint
     FROM runledger.generations AS g CROSS JOIN LATERAL runledger.recipients_of(g.metadata) AS whom
     WHERE g.id = p.generation_id AND whom.chat_id = g.telegram_chat_id) AS thread_id,
    (SELECT runledger.language_of(metadata) FROM runledger.generations WHERE generations.id = p.generation_id) AS language
