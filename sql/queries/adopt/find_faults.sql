-- $1 a table's quoted name, $2 text[] its columns that get another name. What the table itself has that can't be adopted:
-- a sentence, and the statement that changes it.
SELECT fault, statement FROM (
    SELECT 1, format('its owner is %s, which %s is not', c.relowner::regrole, current_user),
           format('GRANT %s TO %I', c.relowner::regrole, current_user)
    FROM pg_catalog.pg_class AS c
    WHERE c.oid = to_regclass($1) AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
    UNION ALL
    SELECT 1, format('%s may not make a view in the schema %s', current_user, c.relnamespace::regnamespace),
           format('GRANT USAGE, CREATE ON SCHEMA %s TO %I', c.relnamespace::regnamespace, current_user)
    FROM pg_catalog.pg_class AS c
    WHERE c.oid = to_regclass($1) AND NOT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE, CREATE')
    UNION ALL
    SELECT 2, 'it is unlogged, so a crash would empty it; this statement writes it anew, under a lock',
           format('ALTER TABLE %s SET LOGGED', $1::text)
    FROM pg_catalog.pg_class WHERE oid = to_regclass($1) AND relpersistence = 'u'
    UNION ALL
    SELECT 3, 'it has row security, which the view by its name would not apply to the application',
           format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', $1::text)
    FROM pg_catalog.pg_class WHERE oid = to_regclass($1) AND relrowsecurity
    UNION ALL
    SELECT 4, format('it is a partition of %s, or inherits from it', inhparent::regclass),
           format(CASE WHEN c.relispartition THEN 'ALTER TABLE %2$s DETACH PARTITION %1$s'
                       ELSE 'ALTER TABLE %1$s NO INHERIT %2$s' END, $1::text, inhparent::regclass)
    FROM pg_catalog.pg_inherits JOIN pg_catalog.pg_class AS c ON c.oid = inhrelid WHERE inhrelid = to_regclass($1)
    UNION ALL
    SELECT 5, format('%s inherits from it; its rows are not adopted', inhrelid::regclass),
           format('ALTER TABLE %s NO INHERIT %s', inhrelid::regclass, $1::text)
    FROM pg_catalog.pg_inherits WHERE inhparent = to_regclass($1)
    UNION ALL
    SELECT 6, format('its rule %s would work on the rows that the ledger writes', r.rulename),
           format('DROP RULE %I ON %s', r.rulename, $1::text)
    FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = to_regclass($1)
    UNION ALL
    SELECT 7, 'it has no primary key or unique index on id alone',
           format('CREATE UNIQUE INDEX CONCURRENTLY ON %s (id)', $1::text)
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = to_regclass($1) AND a.attname = 'id' AND NOT a.attisdropped
      AND a.atttypid IN ('bigint'::regtype, 'integer'::regtype)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS i
                      WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisunique AND i.indisvalid
                            AND i.indnkeyatts = 1 AND i.indpred IS NULL)
    UNION ALL
    -- Names in a function's text are looked up when it runs, and would then be those of the ledger's columns.
    SELECT 8, format('its trigger %I runs %s, which names columns that the ledger has for itself then (the application''s are application_<name>): disable it, and enable it on runledger.generations when the function names them so',
                     t.tgname, p.oid::regprocedure),
           format('ALTER TABLE %s DISABLE TRIGGER %I', $1::text, t.tgname)
    FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
    WHERE t.tgrelid = to_regclass($1) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
      AND EXISTS (SELECT FROM unnest($2::text[]) AS renamed (name)
                  WHERE p.prosrc ~* ('\m(new|old)\s*\.\s*"?' || renamed.name || '\M'))
) AS found (place, fault, statement)
ORDER BY place, fault
