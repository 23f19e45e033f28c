-- $1 a table's quoted name. The statements that give a view of that name the table's privileges, and its owner all.
SELECT format('GRANT %s ON %s TO %s', acl.privilege_type, $1::text,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END)
FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
WHERE c.oid = to_regclass($1) AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
