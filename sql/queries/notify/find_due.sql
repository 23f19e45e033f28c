-- $1 bigint[] chats that must wait, $2 after this chat, $3 up to this chat, $4 how many at most, $5 after how many
-- attempts a message that waits for its retry lets the later ones of its chat pass.
-- Looks and locks nothing. Goes from chat to chat by their ids and takes the first that is due in each, so that a chat
-- costs the others one turn whatever it has waiting. A chat with a message on its way, or held after a 429, gets none.
-- A message waits for an earlier one of its chat that was tried and is to be tried again. What costs no attempt (a 429,
-- the pace, an outage) is not the message's fault, so it keeps its place. One that was never tried (outputs_grace) has
-- none yet. A notification waits for the earlier ones of its generation to the same recipient, so that a correction never
-- overtakes the ending.
WITH RECURSIVE chats AS (
    (SELECT chat_id FROM runledger.notifications
     WHERE state = 'pending' AND chat_id > $2::bigint ORDER BY chat_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.chat_id FROM runledger.notifications AS n
            WHERE n.state = 'pending' AND n.chat_id > chats.chat_id ORDER BY n.chat_id LIMIT 1)
    FROM chats WHERE chats.chat_id < $3::bigint)
SELECT head.id, head.chat_id
FROM chats CROSS JOIN LATERAL (
    SELECT n.id, n.chat_id
    FROM runledger.notifications AS n
    WHERE n.state = 'pending' AND n.chat_id = chats.chat_id AND n.not_before <= now()
      AND n.channel = 'telegram' AND n.bot = 'default'
      AND NOT EXISTS (
          SELECT FROM runledger.notifications AS earlier
          WHERE earlier.generation_id = n.generation_id AND earlier.id < n.id
            AND earlier.recipient = n.recipient AND earlier.state IN ('pending', 'leased') AND earlier.channel = 'telegram')
    ORDER BY n.id LIMIT 1) AS head
WHERE chats.chat_id <= $3::bigint
  AND chats.chat_id <> ALL ($1::bigint[])
  AND NOT EXISTS (
      SELECT FROM runledger.notifications AS leased WHERE leased.state = 'leased' AND leased.chat_id = chats.chat_id)
  AND NOT EXISTS (
      SELECT FROM runledger.telegram_chats AS held WHERE held.chat_id = chats.chat_id AND held.held_until > now())
  AND NOT EXISTS (
      SELECT FROM runledger.notifications AS tried
      WHERE tried.state = 'pending' AND tried.chat_id = chats.chat_id AND tried.id < head.id
        AND tried.sending_at IS NOT NULL AND tried.attempts < $5::integer AND tried.not_before > now())
LIMIT $4
