-- $1 text[] routines of the schema runledger, with the types of their arguments, $2 text[] but not these. Those that are
-- there and that no column, index, constraint or trigger calls, by itself or by way of another: they can be dropped.
WITH RECURSIVE called AS (
    SELECT p.oid FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_depend AS d ON d.refobjid = p.oid
    WHERE p.pronamespace = 'runledger'::regnamespace AND d.refclassid = 'pg_proc'::regclass
          AND d.classid NOT IN ('pg_proc'::regclass, 'pg_rewrite'::regclass)
    UNION
    SELECT d.refobjid FROM called JOIN pg_catalog.pg_depend AS d ON d.objid = called.oid
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass)
SELECT p.oid::regprocedure::text
FROM unnest($1::text[]) AS named (name) JOIN pg_catalog.pg_proc AS p ON p.oid = to_regprocedure(named.name)
WHERE named.name <> ALL ($2::text[]) AND p.oid NOT IN (SELECT called.oid FROM called)
