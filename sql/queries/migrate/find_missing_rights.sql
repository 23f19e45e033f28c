-- The statements that the migrating user lacks for the four roles, in order, and whether it may run them itself. No row:
-- none. Roles belong to the cluster, so another database of it may have made them. Since PostgreSQL 16, CREATEROLE is a
-- right over the roles that its holder has ADMIN on, as over those that it makes, and no longer over all.
WITH wanted (place, name, meaning) AS (VALUES
    (1, 'runledger_owner',
     'Owns everything in the schema runledger of each database that has one; `runledger migrate` and `runledger forget` run as a member of it. Nobody logs in as it.'),
    (2, 'runledger_daemon',
     'What runledgerd needs and no more: a login role of its own is a member of it.'),
    (3, 'runledger_application',
     'What the application that submits runs needs: it inserts and reads runledger.generations, updates metadata and request_* of it, and reads runledger.runs.'),
    (4, 'runledger_reader',
     'Reads the views of the schema runledger whose names end in a version, and nothing else.')
),
own AS (
    SELECT rolsuper AS is_super, rolcreaterole AS makes_roles FROM pg_catalog.pg_roles WHERE rolname = current_user
),
standing AS (
    SELECT place, name, meaning, there.oid, is_super,
           is_super OR makes_roles AND (there.oid IS NULL OR current_setting('server_version_num')::int < 160000
                                        OR pg_catalog.pg_has_role(there.oid, 'USAGE WITH ADMIN OPTION')) AS may
    FROM wanted CROSS JOIN own LEFT JOIN pg_catalog.pg_roles AS there ON there.rolname = name
)
SELECT statement, may FROM (
    SELECT place, 1, format('CREATE ROLE %I NOLOGIN', name), may FROM standing WHERE oid IS NULL
    UNION ALL
    SELECT place, 2, format('COMMENT ON ROLE %I IS %L', name, meaning), may FROM standing
    WHERE oid IS NULL OR pg_catalog.shobj_description(oid, 'pg_authid') IS NULL
    UNION ALL
    SELECT place, 3, format('GRANT %I TO %I', name, current_user), may FROM standing
    WHERE place = 1 AND NOT is_super AND (oid IS NULL OR NOT pg_catalog.pg_has_role(oid, 'USAGE'))
) AS needed (place, step, statement, may)
ORDER BY place, step
