-- After the migrations, which the migrating user ran: what they made becomes runledger_owner's, so that functions with
-- the rights of their owner have those of one role whoever migrates. Looks first: nothing is locked that is right already.
DO $$
DECLARE
    made record;
BEGIN
    SET LOCAL lock_timeout = '5s';
    GRANT USAGE, CREATE ON SCHEMA runledger TO runledger_owner;
    IF (SELECT nspowner <> 'runledger_owner'::regrole FROM pg_catalog.pg_namespace WHERE nspname = 'runledger')
       AND has_database_privilege(current_database(), 'CREATE') THEN
        ALTER SCHEMA runledger OWNER TO runledger_owner;
    END IF;
    FOR made IN
        SELECT c.oid::regclass AS name FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'runledger'::regnamespace AND c.relowner <> 'runledger_owner'::regrole
              AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
              -- An identity's sequence goes with its table; what an extension made is the extension's.
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                    AND (d.deptype IN ('a', 'i') AND c.relkind = 'S' OR d.deptype = 'e'))
        ORDER BY c.oid
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO runledger_owner', made.name);
    END LOOP;
    FOR made IN
        SELECT p.oid::regprocedure AS name FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'runledger'::regnamespace AND p.proowner <> 'runledger_owner'::regrole
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO runledger_owner', made.name);
    END LOOP;
END
$$
