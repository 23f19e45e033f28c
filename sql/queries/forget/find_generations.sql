-- $1 bigint[] chats. The generations that are about one of them: by metadata, of which only the first of several chats has a
-- column, and by the messages, because metadata may have been changed since they were made.
SELECT id FROM runledger.generations WHERE telegram_chat_id = ANY ($1::bigint[])
UNION
SELECT g.id FROM runledger.notifications AS n JOIN runledger.generations AS g ON g.id = n.generation_id
WHERE n.chat_id = ANY ($1::bigint[])
UNION
SELECT g.id FROM runledger.generations AS g
WHERE runledger.may_name_more_chats(g.metadata) AND runledger.names_chat(g.metadata, $1::bigint[])
ORDER BY 1
