-- $1 bigint generation, $2 text[] its runs. All of forgetting it but what is about its chats and the news.
SELECT table_name, action, row_count FROM runledger.forget_rows($1::bigint, $2::text[])
