-- $1 a table's quoted name, before it is taken over. The statements that then give a view of that name the table's
-- privileges, its columns' too, and its owner all; and leave its owner the use of the table and its sequences, which get
-- another owner.
SELECT format('GRANT %s ON %s TO %s', acl.privilege_type, $1::text,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
WHERE c.oid = to_regclass($1) AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
UNION ALL
SELECT format('GRANT %s (%I) ON %s TO %s', acl.privilege_type, a.attname, $1::text,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_catalog.pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS acl
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
UNION ALL
SELECT format('GRANT USAGE, SELECT ON SEQUENCE runledger.%I TO %s', s.relname, c.relowner::regrole)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_depend AS d ON d.refobjid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND d.classid = 'pg_class'::regclass AND s.relkind = 'S'
WHERE c.oid = to_regclass($1)
UNION ALL
-- Other views on the table read it with the rights of their owner, who most often is the table's.
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON runledger.generations TO %s', c.relowner::regrole)
FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass($1)
