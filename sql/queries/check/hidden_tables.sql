-- The ledger's tables of which row-level security would hide rows from this login.
SELECT relname::text FROM pg_class
WHERE relnamespace = 'runledger'::regnamespace AND relkind IN ('r', 'p') AND row_security_active(oid)
ORDER BY relname
