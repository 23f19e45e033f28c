-- Retention: removes rows that are older than the operator wants to keep, a bounded number at a time.
-- A step begins where the last one ended (p_from, its up_to): what that one removed stays in the index until vacuum, and
-- while a pg_dump runs it can't, so that a step from the beginning would walk all that the steps before it removed.
-- For the same reason the queue is asked run by run, by its index: an anti join would walk it as a whole, with every entry
-- that settle has taken out since the dump began.
CREATE OR REPLACE FUNCTION runledger.remove_expired(
    p_what text, p_days integer, p_rows_max integer, p_from timestamptz DEFAULT '-infinity',
    p_waits boolean DEFAULT true,
    OUT removed bigint, OUT looked_at bigint, OUT up_to timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
    SET enable_seqscan = off AS $$
DECLARE
    cutoff timestamptz := now() - p_days * interval '1 day';
    run_ids text[];
    ids bigint[];
    segment_ids uuid[];
BEGIN
    IF p_days IS NULL OR p_days < 1 OR p_rows_max IS NULL OR p_rows_max NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'remove_expired: % days and % rows are not within 1 day or more and 1 to 100000 rows',
            p_days, p_rows_max;
    END IF;
    CASE p_what
    WHEN 'runs' THEN
        -- Runs that ended, were settled or have no generation, and have been silent since. The settlement stays: by
        -- it apply recognises a late event of the run, which must not start a new run without its running. The runs
        -- are found before the lock is taken, because apply waits for it (runledger.late_events_of): no run disappears
        -- between apply's look and its write.
        SELECT array_agg(e.run_id), count(*), max(e.changed_at) INTO run_ids, looked_at, up_to FROM (
            SELECT r.run_id, r.changed_at FROM runledger.runs AS r
            WHERE r.changed_at < cutoff AND r.applied_at < cutoff AND r.terminal_status IS NOT NULL
                  AND r.changed_at >= p_from
                  AND (EXISTS (SELECT FROM runledger.settlements AS s WHERE s.run_id = r.run_id)
                       OR NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = r.run_id))
                  AND (SELECT q.run_id FROM runledger.settle_queue AS q WHERE q.run_id = r.run_id LIMIT 1) IS NULL
            ORDER BY r.changed_at LIMIT p_rows_max) AS e;
        IF looked_at = 0 THEN
            removed := 0;
            RETURN;
        END IF;
        -- What will be deleted is read from the disk before the lock is taken.
        PERFORM count(*) FROM runledger.run_outputs WHERE run_id = ANY (run_ids);
        PERFORM count(*) FROM runledger.run_other_statuses WHERE run_id = ANY (run_ids);
        PERFORM count(*) FROM runledger.provider_reports WHERE run_id = ANY (run_ids);
        -- Whoever waits for it has every apply behind him wait, too.
        IF p_waits THEN
            PERFORM pg_advisory_xact_lock(hashtextextended('runledger.forget', 0));
        ELSIF NOT pg_try_advisory_xact_lock(hashtextextended('runledger.forget', 0)) THEN
            looked_at := NULL;
            RETURN;
        END IF;
        -- Again, for what was committed since then.
        run_ids := ARRAY(
            SELECT r.run_id FROM runledger.runs AS r
            WHERE r.run_id = ANY (run_ids) AND r.changed_at < cutoff AND r.applied_at < cutoff
                  AND (EXISTS (SELECT FROM runledger.settlements AS s WHERE s.run_id = r.run_id)
                       OR NOT EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = r.run_id))
                  AND (SELECT q.run_id FROM runledger.settle_queue AS q WHERE q.run_id = r.run_id LIMIT 1) IS NULL
            FOR UPDATE SKIP LOCKED);
        DELETE FROM runledger.run_outputs WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.run_other_statuses WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.provider_reports WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.runs WHERE run_id = ANY (run_ids);
    WHEN 'notifications' THEN
        SELECT array_agg(e.id), count(*), max(e.created_at) INTO ids, looked_at, up_to FROM (
            SELECT id, created_at FROM runledger.notifications
            WHERE created_at < cutoff AND created_at >= p_from AND state NOT IN ('pending', 'leased')
            ORDER BY created_at LIMIT p_rows_max FOR UPDATE SKIP LOCKED) AS e;
        DELETE FROM runledger.notifications WHERE id = ANY (ids);
    WHEN 'settlements' THEN
        -- The newest one of a generation stays: the row is compared with it, and a late event's run is recognised by
        -- it. So do those that the lines and corrections of closed months name, which are asked by index, one by one.
        SELECT array_agg(e.id), count(*), max(e.settled_at) INTO ids, looked_at, up_to FROM (
            SELECT id, settled_at FROM runledger.settlements
            WHERE settled_at < cutoff AND settled_at >= p_from AND is_replaced
                  AND (SELECT true FROM runledger.closed_runs AS line WHERE line.settlement_id = settlements.id LIMIT 1) IS NULL
                  AND (SELECT true FROM runledger.corrections AS c WHERE c.settlement_id = settlements.id LIMIT 1) IS NULL
                  AND (SELECT true FROM runledger.corrections AS c WHERE c.line_settlement_id = settlements.id LIMIT 1) IS NULL
            ORDER BY settled_at LIMIT p_rows_max) AS e;
        DELETE FROM runledger.settlements WHERE id = ANY (ids);
    WHEN 'quarantine' THEN
        SELECT array_agg(e.id), count(*), max(e.quarantined_at) INTO ids, looked_at, up_to FROM (
            SELECT id, quarantined_at FROM runledger.quarantine
            WHERE quarantined_at < cutoff AND quarantined_at >= p_from
            ORDER BY quarantined_at LIMIT p_rows_max) AS e;
        DELETE FROM runledger.quarantine WHERE id = ANY (ids);
    WHEN 'tombstones' THEN
        SELECT array_agg(e.segment_id), count(*), max(e.retired_at) INTO segment_ids, looked_at, up_to FROM (
            SELECT s.segment_id, s.retired_at FROM runledger.spool_segments AS s
            WHERE s.retired_at < cutoff AND s.retired_at >= p_from
                  AND NOT EXISTS (SELECT FROM runledger.ingested_batches AS b WHERE b.segment_id = s.segment_id)
            ORDER BY s.retired_at LIMIT p_rows_max FOR UPDATE SKIP LOCKED) AS e;
        DELETE FROM runledger.spool_segments WHERE segment_id = ANY (segment_ids);
    WHEN 'news' THEN
        SELECT array_agg(e.id), count(*), max(e.happened_at) INTO ids, looked_at, up_to FROM (
            SELECT id, happened_at FROM runledger.application_news
            WHERE happened_at < cutoff AND happened_at >= p_from
            ORDER BY happened_at LIMIT p_rows_max) AS e;
        DELETE FROM runledger.application_news WHERE id = ANY (ids);
    ELSE
        RAISE EXCEPTION 'remove_expired: "%" is not one of runs, notifications, settlements, quarantine, tombstones, news', p_what;
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION runledger.remove_expired(text, integer, integer, timestamptz, boolean) IS
    'Removes at most this many rows that are older than this many days and not older than p_from. Returns how many were removed, how many it looked at (others may have locked a few), and the instant of the last one, from which the next step goes on; NULL for all, and nothing was done, if an apply turn is under way and p_waits is false. They are settled runs and those without a generation, with their outputs, notifications that were sent or given up, settlements that a newer one has replaced and no closed month stands on, quarantine, tombstones of retired segments, news for the application. With its owner''s rights, for the daemon.';
