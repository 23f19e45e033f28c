-- The first right of runledger_daemon's that the login lacks, in words. No row: it lacks none. A login that is a member
-- of the role lacks nothing.
WITH given AS (
    SELECT c.oid, c.relname::text AS name, NULL::smallint AS attnum, a.privilege_type
    FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    WHERE c.relnamespace = 'runledger'::regnamespace AND a.grantee = 'runledger_daemon'::regrole
    UNION ALL
    SELECT c.oid, format('%s (%s)', c.relname, t.attname), t.attnum, a.privilege_type
    FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
    WHERE c.relnamespace = 'runledger'::regnamespace AND NOT t.attisdropped
          AND a.grantee = 'runledger_daemon'::regrole
)
SELECT format('%s on runledger.%s', privilege_type, name)
FROM given
WHERE NOT CASE WHEN attnum IS NULL THEN has_table_privilege(oid, privilege_type)
               ELSE has_column_privilege(oid, attnum, privilege_type) END
UNION ALL
SELECT format('EXECUTE on runledger.%s', p.proname)
FROM pg_proc AS p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
WHERE p.pronamespace = 'runledger'::regnamespace AND a.grantee = 'runledger_daemon'::regrole
      AND NOT has_function_privilege(p.oid, 'EXECUTE')
ORDER BY 1
LIMIT 1
