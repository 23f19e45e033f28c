-- Day partitions of webhook_events: made ahead and dropped by the daemon, which has no right to make tables. The
-- functions run with their owner's rights. Each call is a transaction of its own. If a lock is not granted soon, the
-- call fails and changes nothing, and the daemon tries again later.
CREATE OR REPLACE FUNCTION runledger.make_event_day(p_day date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    -- The lock on the DEFAULT partition stops inserts into it, behind which apply would wait: not for long.
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET TimeZone = 'UTC' AS $$
DECLARE
    day_name text := 'webhook_events_' || to_char(p_day, 'YYYYMMDD');
    beginning timestamptz := p_day;
    ending timestamptz := p_day + 1;
    moved bigint := 0;
    moved_now bigint;
BEGIN
    -- Two daemons do not make the same day: the second one finds it.
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.make_event_day', 0));
    IF to_regclass('runledger.' || day_name) IS NOT NULL THEN
        RETURN 'exists';
    END IF;
    -- Made beside the table, with a CHECK equal to the partition's bounds, so that ATTACH does not read the rows.
    EXECUTE format('CREATE TABLE runledger.%I (LIKE runledger.webhook_events INCLUDING ALL)', day_name);
    -- INCLUDING ALL has not copied this: a publication of the schema has the new table at once.
    EXECUTE format('ALTER TABLE runledger.%I REPLICA IDENTITY FULL', day_name);
    EXECUTE format('ALTER TABLE runledger.%I ADD CONSTRAINT of_its_day CHECK (applied_at >= %L AND applied_at < %L)',
                   day_name, beginning, ending);
    EXECUTE format('COMMENT ON TABLE runledger.%I IS %L', day_name, format('Events that were applied on %s (UTC).', p_day));
    -- Move the events that came before the day had its partition: first without a lock, then, while nobody writes,
    -- those that came meanwhile.
    FOR attempt IN 1..2 LOOP
        EXECUTE format(
            'WITH taken AS (DELETE FROM runledger.webhook_events_default WHERE applied_at >= %L AND applied_at < %L RETURNING *) '
            'INSERT INTO runledger.%I SELECT * FROM taken', beginning, ending, day_name);
        GET DIAGNOSTICS moved_now = ROW_COUNT;
        moved := moved + moved_now;
        -- An insert that is on its way to the DEFAULT partition when it stops being the day's would fail (23514). So
        -- running inserts have ended, and new ones wait before they look for their partition.
        IF p_day <= current_date THEN
            LOCK TABLE ONLY runledger.webhook_events IN SHARE ROW EXCLUSIVE MODE;
        END IF;
        LOCK TABLE runledger.webhook_events_default IN ACCESS EXCLUSIVE MODE;
    END LOOP;
    EXECUTE format('ALTER TABLE runledger.webhook_events ATTACH PARTITION runledger.%I FOR VALUES FROM (%L) TO (%L)',
                   day_name, beginning, ending);
    EXECUTE format('ALTER TABLE runledger.%I DROP CONSTRAINT of_its_day', day_name);
    RETURN CASE moved WHEN 0 THEN 'made' ELSE format('made, with %s events that came before it', moved) END;
END
$$;
COMMENT ON FUNCTION runledger.make_event_day(date) IS
    'Makes the partition of webhook_events for a UTC day of applied_at, and moves the events of that day from the DEFAULT partition into it, in one transaction. Returns "exists" or "made …". Raises lock_not_available (55P03) if that would delay apply: then nothing has changed. With its owner''s rights, for the daemon.';

CREATE OR REPLACE FUNCTION runledger.drop_event_day(p_day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET TimeZone = 'UTC' AS $$
DECLARE
    day_name text := 'webhook_events_' || to_char(p_day, 'YYYYMMDD');
BEGIN
    IF p_day IS NULL OR p_day >= current_date - 1 THEN
        -- A settlement may still need the last two days, whatever the retention says.
        RAISE EXCEPTION 'webhook_events of % are not old enough to be dropped', p_day;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'runledger.webhook_events'::regclass
                                             AND inhrelid = to_regclass('runledger.' || day_name)) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE runledger.%I', day_name);
    RETURN true;
END
$$;
COMMENT ON FUNCTION runledger.drop_event_day(date) IS
    'Drops the partition of webhook_events for a UTC day, with its events; false: there is none. The books (ledger_days) keep their sums. Raises lock_not_available (55P03) if that would delay apply: then nothing has changed. With its owner''s rights, for the daemon.';

CREATE OR REPLACE FUNCTION runledger.find_event_days(OUT day date, OUT is_partition boolean) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
BEGIN
    RETURN QUERY
        SELECT to_date(right(c.relname, 8), 'YYYYMMDD'), true
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'runledger.webhook_events'::regclass AND c.relname ~ '^webhook_events_[0-9]{8}$'
        UNION ALL
        SELECT * FROM (
            SELECT DISTINCT applied_at::date, false FROM (
                SELECT applied_at FROM runledger.webhook_events_default LIMIT 1000000) AS found) AS day;
END
$$;
COMMENT ON FUNCTION runledger.find_event_days() IS
    'The UTC days of webhook_events: those that have a partition, and those with events in the DEFAULT partition. With its owner''s rights, for the daemon.';
