-- Everything that is ours has a COMMENT: what it means, in which unit, who writes it.
BEGIN;
SELECT plan(6);

SELECT is_empty($$
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
          AND obj_description(c.oid, 'pg_class') IS NULL $$, 'every table, partition and view has a comment');
SELECT is_empty($$
    SELECT c.relname || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
          AND NOT a.attisdropped AND NOT c.relispartition AND col_description(c.oid, a.attnum) IS NULL $$,
    'every column of a table has a comment');
SELECT is_empty($$
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e') $$,
    'every function has a comment');
SELECT is_empty($$
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('i', 'I') AND NOT c.relispartition
          AND obj_description(c.oid, 'pg_class') IS NULL
          AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = c.oid) $$,
    'every index that is no constraint''s has a reason');
SELECT is_empty($$
    SELECT rolname FROM pg_roles WHERE rolname LIKE 'runledger\_%' AND NOT rolcanlogin
                                       AND shobj_description(oid, 'pg_authid') IS NULL $$, 'every role has a comment');
SELECT isnt(obj_description('runledger'::regnamespace, 'pg_namespace'), NULL, 'the schema has a comment');

SELECT * FROM finish();
ROLLBACK;
