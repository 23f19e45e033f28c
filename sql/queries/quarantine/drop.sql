-- $1 bigint id: a row of this very transaction, whose content has a row already.
DELETE FROM runledger.quarantine WHERE id = $1::bigint AND xmin = pg_current_xact_id()::xid
