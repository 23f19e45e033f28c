-- Runs that `runledger simulate` makes up. They are known by their id, the one thing that goes from the webhook to every
-- table. No generation ever names one: a settlement is tried and rolled back. So costs, messages and the application
-- know nothing of them, and what lists runs leaves them out.
CREATE OR REPLACE FUNCTION runledger.is_simulated(run_id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN run_id ~ '^runledger-simulated-[0-9a-f]{32}$';
COMMENT ON FUNCTION runledger.is_simulated(text) IS
    'Whether `runledger simulate` made this run up: its id is runledger-simulated- and 32 hexadecimal digits.';

CREATE OR REPLACE FUNCTION runledger.remove_simulated(p_run_ids text[], OUT table_name text, OUT row_count bigint)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    ids text[] := p_run_ids;
BEGIN
    -- No apply transaction is running from here on, so no run of these is written again by an older one.
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.forget', 0));
    IF ids IS NULL THEN
        -- Every id with the prefix, by the indexes: the character after the dash is the dot.
        ids := ARRAY(
            SELECT run_id FROM runledger.runs WHERE run_id >= 'runledger-simulated-' AND run_id < 'runledger-simulated.'
            UNION
            SELECT run_id FROM runledger.webhook_events
                WHERE run_id >= 'runledger-simulated-' AND run_id < 'runledger-simulated.'
            UNION
            SELECT run_id FROM runledger.quarantine
                WHERE run_id >= 'runledger-simulated-' AND run_id < 'runledger-simulated.');
    END IF;
    ids := ARRAY(
        SELECT asked.id FROM unnest(ids) AS asked (id)
        WHERE runledger.is_simulated(asked.id)
              AND NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = asked.id));
    -- What refers to runs, before runs.
    FOREACH table_name IN ARRAY ARRAY['settle_queue', 'reconcile_lookups', 'provider_reports', 'quarantine',
                                      'run_outputs', 'run_other_statuses', 'webhook_events', 'runs'] LOOP
        EXECUTE format('DELETE FROM runledger.%I WHERE run_id = ANY ($1)', table_name) USING ids;
        GET DIAGNOSTICS row_count = ROW_COUNT;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.remove_simulated(text[]) IS
    'Removes these made-up runs from every table, or all of them if p_run_ids is NULL; a run that is not made up, or that a generation names, stays. Returns the number of rows for each table. Triggers enter the removed events in ledger_removals, so the books still close. Called by `runledger simulate`.';
