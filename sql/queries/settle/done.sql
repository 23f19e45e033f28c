-- $1 bigint[] ids.
DELETE FROM runledger.settle_queue WHERE id = ANY ($1::bigint[])
