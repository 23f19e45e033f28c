-- $1 least milliseconds between two calls for a run, $2 how many at most. Progress messages that are to be deleted: the
-- message about the ending was sent, or never will be. There is none if the application has ended the row itself.
UPDATE runledger.progress_messages AS p SET called_at = now()
FROM (
    SELECT told.run_id FROM runledger.progress_messages AS told
    WHERE told.called_at < now() - $1::bigint * interval '1 millisecond'
      AND (told.message_id IS NOT NULL OR told.called_at < now() - interval '2 minutes')  -- Or it is being sent.
      AND (SELECT coalesce(bool_and(n.state NOT IN ('pending', 'leased')),
                           EXISTS (SELECT FROM runledger.settlements AS s WHERE s.generation_id = told.generation_id))
           FROM runledger.notifications AS n
           WHERE n.generation_id = told.generation_id AND n.kind = 'ending' AND n.for_status = '')
    ORDER BY told.called_at LIMIT $2::integer
    FOR UPDATE SKIP LOCKED) AS ended
WHERE p.run_id = ended.run_id
RETURNING p.run_id, p.chat_id, p.message_id
