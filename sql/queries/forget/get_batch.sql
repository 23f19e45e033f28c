-- $1 bigint id. Locks the row: nobody replays it meanwhile.
SELECT encode(content, 'hex') FROM runledger.quarantine WHERE id = $1::bigint FOR UPDATE
