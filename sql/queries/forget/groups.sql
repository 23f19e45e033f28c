-- $1 bigint generation. The group that it is in, if it is in one.
SELECT group_key FROM runledger.generations WHERE id = $1::bigint AND group_key IS NOT NULL
