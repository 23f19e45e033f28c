-- $1 bigint generation. The chats that it names.
SELECT chat_id FROM unnest(runledger.chats_named_by($1::bigint)) AS named (chat_id)
