-- The columns of the adopted table that are kept beside the ledger's own, by the ledger's names: each has a trigger.
SELECT regexp_replace(tgname, '^zz_runledger_[12]_keep_', '') FROM pg_catalog.pg_trigger
WHERE tgrelid = 'runledger.generations'::regclass AND tgname ~ '^zz_runledger_[12]_keep_'
ORDER BY 1
