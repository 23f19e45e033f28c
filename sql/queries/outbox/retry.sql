-- $1 to $5 as in list.sql. Messages that were given up are sent again as if they were new; one that may have
-- arrived still says so. A malformed chat gets none, nor does a metadata.webhookUrl that is no URL. What something newer
-- has replaced is left out: a message after its correction, or of a run that its row names no more, and progress.
WITH again AS (
    UPDATE runledger.notifications AS n
    SET state = 'pending', attempts = 0, not_before = now(), waits_since = now(), form = 'media',
        without_thread = false, without_buttons = false, fallbacks = 0, refused_for_pace = 0
    WHERE n.state IN ('dead', 'uncertain', 'skipped') AND (n.chat_id IS NOT NULL OR n.channel = 'webhook')
      AND (n.channel <> 'webhook' OR n.webhook_url IS NOT NULL OR n.webhook_host = '[webhooks] url')
      AND NOT runledger.is_corrected(n) AND n.kind <> 'progress'
      AND (n.state = 'skipped' AND n.last_error = runledger.withdrawn()) IS NOT TRUE
      AND ($1::bigint[] IS NULL OR n.id = ANY ($1::bigint[]))
      AND ($2::text[] IS NULL OR n.state = ANY ($2::text[]))
      AND ($3::text IS NULL OR n.chat_id = runledger.chat_named($3::text))
      AND ($4::text IS NULL OR strpos(lower(n.last_error), lower($4::text)) > 0)
      AND ($5::bigint IS NULL OR n.created_at <= now() - $5::bigint * interval '1 second')
    RETURNING n.id)
SELECT id, runledger.wake_outbox() FROM again ORDER BY id
