-- $1 text[] routines of the schema runledger as this query names them, found earlier in the transaction. Those that were
-- made or replaced since: the place of the row in the catalog, by which a change is seen, and the name with its
-- arguments.
SELECT p.oid || ' ' || p.ctid, p.oid::regprocedure::text
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'runledger'::regnamespace AND p.oid || ' ' || p.ctid <> ALL ($1::text[])
ORDER BY 2
