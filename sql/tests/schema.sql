-- What others lean on by name, and who owns it all.
BEGIN;
SELECT plan(15);

SELECT has_schema('runledger');
SELECT bag_has($$ SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'runledger' $$,
    $$ VALUES ('generations'), ('runs'), ('run_outputs'), ('webhook_events'), ('settle_queue'), ('settlements'),
              ('notifications'), ('ingested_batches'), ('spool_segments'), ('quarantine'), ('forgotten_runs') $$,
    'the tables of the design are there');
SELECT bag_has($$ SELECT column_name::text FROM information_schema.columns
                  WHERE table_schema = 'runledger' AND table_name = 'generations' $$,
    $$ VALUES ('id'), ('metadata'), ('run_id'), ('telegram_chat_id'), ('request_timestamp'), ('response_timestamp'),
              ('request_payload'), ('response_payload'), ('status'), ('status_reason'), ('duration_ms'), ('cost_usd'),
              ('cost_note'), ('updated_at') $$, 'generations has the columns of the design');
SELECT col_is_pk('runledger', 'generations', 'id', 'id is the key of generations');
SELECT col_is_unique('runledger', 'generations', ARRAY['run_id'], 'one generation a run');
SELECT col_type_is('runledger', 'generations', 'cost_usd', 'numeric', 'money is numeric');
SELECT is_partitioned('runledger', 'webhook_events', 'webhook_events is partitioned');
SELECT is_partition_of('runledger', 'webhook_events_default', 'runledger', 'webhook_events', 'it has a DEFAULT partition');
SELECT is_empty($$
    SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('v', 'm')
                                              AND c.relname !~ '_v[0-9]+$' $$, 'every view has a version in its name');
SELECT is_empty($$
    SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'runledger'::regnamespace
                                              AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
                                              AND c.relowner <> 'runledger_owner'::regrole $$,
    'runledger_owner owns every table, view and sequence');
SELECT is_empty($$
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND p.proowner <> 'runledger_owner'::regrole
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e') $$,
    'and every function');
SELECT is_empty($$
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND p.prosecdef
          AND NOT coalesce(array_to_string(p.proconfig, ' ') ~ 'search_path=pg_catalog, pg_temp', false) $$,
    'whatever runs with the rights of its owner looks names up in pg_catalog only');
SELECT is_empty($$
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND p.prosqlbody IS NULL AND p.proname <> 'each_of'
          AND NOT coalesce(array_to_string(p.proconfig, ' ') ~ 'search_path=pg_catalog, pg_temp', false) $$,
    'whatever else is not bound to what it calls when it is made does so, too; each_of names the one function with its schema');
SELECT is_empty($$
    SELECT p.oid::regprocedure::text FROM pg_proc AS p
    WHERE p.pronamespace = 'runledger'::regnamespace AND p.prosqlbody IS NULL AND strpos(p.prosrc, E'\\') > 0
          AND NOT coalesce(array_to_string(p.proconfig, ' ') ~ 'standard_conforming_strings=on', false) $$,
    'and no backslash in it means what the caller''s standard_conforming_strings says');
SELECT is_empty($$
    SELECT c.relname || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname ~ '(cost|amount|duration|usd)' AND a.atttypid IN ('float4'::regtype, 'float8'::regtype, 'money'::regtype) $$,
    'neither money nor a duration is floating point');

SELECT * FROM finish();
ROLLBACK;
