-- $1 bigint generation. Forgets it.
SELECT table_name, action, row_count FROM runledger.forget_generation($1::bigint)
