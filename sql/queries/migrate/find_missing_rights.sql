-- The statements that the migrating user lacks for the four roles, in order. No row: none. Roles belong to the cluster,
-- so another database of it may have made them.
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
standing AS (
    SELECT place, name, meaning, oid FROM wanted LEFT JOIN pg_catalog.pg_roles ON rolname = name
)
SELECT statement FROM (
    SELECT place, 1, format('CREATE ROLE %I NOLOGIN', name) FROM standing WHERE oid IS NULL
    UNION ALL
    SELECT place, 2, format('COMMENT ON ROLE %I IS %L', name, meaning) FROM standing
    WHERE oid IS NULL OR pg_catalog.shobj_description(oid, 'pg_authid') IS NULL
    UNION ALL
    SELECT place, 3, format('GRANT %I TO %I', name, current_user) FROM standing
    WHERE place = 1 AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
          AND (oid IS NULL OR NOT pg_catalog.pg_has_role(oid, 'USAGE'))
) AS needed (place, step, statement)
ORDER BY place, step
