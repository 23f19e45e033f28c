-- $1 bigint[] chats that forgotten generations named, $2 bigint[] chats that are forgotten, $3 text[] runs, $4
-- text[] groups that forgotten generations were in. What is about them, and the news: the last step.
SELECT table_name, action, row_count
FROM runledger.forget_chats_and_news(runledger.chats_of_nobody($1::bigint[]) || $2::bigint[], $3::text[], $4::text[])
