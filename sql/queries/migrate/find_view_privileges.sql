-- $1 text[] views of the schema runledger. The statements that give them the privileges that other roles have on them.
SELECT format('GRANT %s ON runledger.%I TO %s%s', acl.privilege_type, c.relname,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
              CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind = 'v' AND c.relname = ANY ($1::text[])
      AND acl.grantee <> c.relowner
