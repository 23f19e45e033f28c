-- $1 bigint id, $2 what became of it.
UPDATE runledger.quarantine SET resolved_at = now(), resolution = $2 WHERE id = $1::bigint AND resolved_at IS NULL
