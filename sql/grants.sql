-- At each migrate, after everything else: what was made becomes runledger_owner's, then each role gets its rights anew.
--
-- Everything that the migrating user made becomes runledger_owner's, so that functions with the rights of their owner
-- have those of one role, whichever role migrates. It looks first: nothing is locked that is right already.
DO $$
DECLARE
    made record;
BEGIN
    GRANT USAGE, CREATE ON SCHEMA runledger TO runledger_owner;
    IF (SELECT nspowner <> 'runledger_owner'::regrole FROM pg_catalog.pg_namespace WHERE nspname = 'runledger')
       AND has_database_privilege(current_database(), 'CREATE') THEN
        ALTER SCHEMA runledger OWNER TO runledger_owner;
    END IF;
    FOR made IN
        SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind
        FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'runledger'::regnamespace AND c.relowner <> 'runledger_owner'::regrole
              AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'c')
              -- An identity's sequence goes with its table; what an extension made is the extension's.
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                    AND (d.deptype IN ('a', 'i') AND c.relkind = 'S' OR d.deptype = 'e'))
        ORDER BY c.oid
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO runledger_owner', made.kind, made.name);
    END LOOP;
    FOR made IN
        SELECT p.oid::regprocedure AS name FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'runledger'::regnamespace AND p.proowner <> 'runledger_owner'::regrole
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO runledger_owner', made.name);
    END LOOP;
END
$$;

-- All rights of each role. They are revoked and granted anew in one transaction, so nobody sees them missing, and a
-- right that is no longer listed is gone. Rights that a DBA gave to other roles stay.
DO $$
DECLARE
    given record;
BEGIN
    REVOKE ALL ON SCHEMA runledger FROM PUBLIC, runledger_daemon, runledger_application, runledger_reader;
    REVOKE ALL ON ALL TABLES IN SCHEMA runledger
        FROM PUBLIC, runledger_daemon, runledger_application, runledger_reader;
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA runledger
        FROM PUBLIC, runledger_daemon, runledger_application, runledger_reader;
    REVOKE ALL ON ALL ROUTINES IN SCHEMA runledger FROM runledger_daemon, runledger_application, runledger_reader;
    GRANT USAGE ON SCHEMA runledger TO runledger_daemon, runledger_application, runledger_reader;

    FOR given IN
        SELECT role, rights, name FROM (VALUES
            -- The application that submits runs. It may write an ending with the INSERT; later the daemon owns the row.
            ('runledger_application', 'SELECT, UPDATE (metadata, request_timestamp, request_payload)', 'generations'),
            ('runledger_application', 'SELECT', 'runs'),
            ('runledger_application', 'SELECT', 'application_news_v1'),
            ('runledger_application', 'SELECT', 'group_costs_v1'),
            ('runledger_application', 'SELECT', 'misspelt_metadata_v1'),
            ('runledger_application', 'SELECT', 'unusable_metadata_v1'),
            -- Quotes.
            ('runledger_application', 'SELECT', 'completed_runs_v1'),
            ('runledger_application', 'SELECT', 'run_estimates_v1'),
            -- Each stage of the daemon. FOR UPDATE and FOR SHARE need UPDATE on a column, ON CONFLICT … SELECT.
            ('runledger_daemon', 'SELECT', 'schema_migrations'),
            ('runledger_daemon', 'SELECT', 'schema_definitions'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE (retired_at, batch_count)', 'spool_segments'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'ingested_batches'),
            ('runledger_daemon', 'INSERT', 'webhook_events'),
            ('runledger_daemon', 'INSERT', 'quarantine'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE', 'runs'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE (received_at)', 'run_other_statuses'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE', 'run_outputs'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE', 'ledger_days'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'settle_queue'),
            ('runledger_daemon',
             'SELECT, UPDATE (status, status_reason, response_timestamp, response_payload, duration_ms, cost_usd, cost_note, updated_at)',
             'generations'),
            ('runledger_daemon', 'SELECT', 'gpu_rates'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE (is_replaced)', 'settlements'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'notifications'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE', 'telegram_chats'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'progress_messages'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_settings'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'webhook_hosts'),
            ('runledger_daemon', 'SELECT, INSERT', 'provider_reports'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'reconcile_lookups'),
            ('runledger_daemon', 'SELECT', 'forgotten_runs'),
            ('runledger_daemon', 'SELECT', 'imported_documents'),
            ('runledger_daemon', 'SELECT', 'stuck_runs_v1'),
            ('runledger_daemon', 'SELECT, DELETE', 'group_queue'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'generation_groups'),
            ('runledger_daemon', 'SELECT, INSERT, UPDATE, DELETE', 'progress_news')
        ) AS wanted (role, rights, name)
    LOOP
        EXECUTE format('GRANT %s ON runledger.%I TO %I', given.rights, given.name, given.role);
    END LOOP;

    -- It writes no column that only an adoption fills. In an adopted table all the others, and those of these names that
    -- are its own: a trigger keeps them.
    EXECUTE (
        SELECT format('GRANT INSERT (%s) ON runledger.generations TO runledger_application',
                      string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = 'runledger.generations'::regclass AND a.attnum > 0 AND NOT a.attisdropped
              AND a.attname <> 'adopted_at'
              AND (a.attname NOT IN ('application_id', 'application_status')
                   OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                              WHERE t.tgrelid = a.attrelid
                                    AND t.tgname = 'zz_runledger_1_keep_' || substr(a.attname, 13))));

    FOR given IN
        SELECT c.relname AS name FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('v', 'm') AND c.relname ~ '_v[0-9]+$'
    LOOP
        EXECUTE format('GRANT SELECT ON runledger.%I TO runledger_reader', given.name);
    END LOOP;

    -- A function with its owner's rights is granted to the role that it was made for; a trigger's function needs no
    -- right to fire. The others have the rights of their caller, and views call them as their reader: anybody may.
    FOR given IN
        SELECT p.oid::regprocedure AS name,
               p.proname IN ('make_event_day', 'find_event_days', 'drop_event_day', 'remove_expired', 'scrub_if_forgotten')
                   AS is_the_daemons
        FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'runledger'::regnamespace AND p.prosecdef
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', given.name);
        IF given.is_the_daemons THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO runledger_daemon', given.name);
        END IF;
    END LOOP;
END
$$;
