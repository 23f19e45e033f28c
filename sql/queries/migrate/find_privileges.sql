-- $1 text[] views, $2 text[] routines, with the types of their arguments. The statements that give them the privileges
-- that other roles than their owner have on them.
SELECT format('GRANT %s ON %s TO %s%s', acl.privilege_type, c.oid::regclass,
              CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
              CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM unnest($1::text[]) AS named (name)
JOIN pg_catalog.pg_class AS c ON c.oid = to_regclass(named.name)
CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
WHERE acl.grantee <> c.relowner
UNION ALL
-- Only if it has the same arguments again.
SELECT format('DO $do$ BEGIN IF to_regprocedure(%L) IS NOT NULL THEN '
              'REVOKE ALL ON ROUTINE %s FROM PUBLIC;%s END IF; END $do$',
              p.oid::regprocedure, p.oid::regprocedure,
              (SELECT string_agg(format(' GRANT EXECUTE ON ROUTINE %s TO %s%s;', p.oid::regprocedure,
                                        CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
                                        CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '')
               FROM aclexplode(p.proacl) AS acl WHERE acl.grantee <> p.proowner))
FROM unnest($2::text[]) AS named (name)
JOIN pg_catalog.pg_proc AS p ON p.oid = to_regprocedure(named.name)
WHERE p.proacl IS NOT NULL
