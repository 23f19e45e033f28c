-- $1 bigint chat. Forgets it.
SELECT table_name, action, row_count FROM runledger.forget_chat($1::bigint)
