-- $1 uuid segment. A statement of its own, behind the tombstone: it sees whatever was committed before that.
DELETE FROM runledger.ingested_batches WHERE segment_id = $1::uuid
