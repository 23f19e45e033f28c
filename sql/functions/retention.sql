-- Retention: removes rows that are older than the operator wants to keep, a bounded number at a time.
CREATE OR REPLACE FUNCTION runledger.remove_expired(p_what text, p_days integer, p_rows_max integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    cutoff timestamptz := now() - p_days * interval '1 day';
    run_ids text[];
    removed bigint;
BEGIN
    IF p_days IS NULL OR p_days < 1 OR p_rows_max IS NULL OR p_rows_max NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'remove_expired: % days and % rows are not within 1 day or more and 1 to 100000 rows',
            p_days, p_rows_max;
    END IF;
    CASE p_what
    WHEN 'runs' THEN
        -- Runs that ended, were settled, and have been silent since. The settlement stays: by it apply recognises a
        -- late event of the run, which must not start a new run without its running. Apply waits meanwhile
        -- (runledger.late_events_of), so that no run disappears between its look and its write.
        PERFORM pg_advisory_xact_lock(hashtextextended('runledger.forget', 0));
        run_ids := ARRAY(
            SELECT r.run_id FROM runledger.runs AS r
            WHERE r.first_received_at < cutoff AND r.applied_at < cutoff AND r.terminal_status IS NOT NULL
                  AND EXISTS (SELECT FROM runledger.settlements AS s WHERE s.run_id = r.run_id)
                  AND NOT EXISTS (SELECT FROM runledger.settle_queue AS q WHERE q.run_id = r.run_id)
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED);
        DELETE FROM runledger.run_outputs WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.run_other_statuses WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.provider_reports WHERE run_id = ANY (run_ids);
        DELETE FROM runledger.runs WHERE run_id = ANY (run_ids);
    WHEN 'notifications' THEN
        DELETE FROM runledger.notifications WHERE id IN (
            SELECT id FROM runledger.notifications
            WHERE created_at < cutoff AND state NOT IN ('pending', 'leased')
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED);
    WHEN 'settlements' THEN
        -- The newest one of a generation stays: the row is compared with it, and a late event's run is recognised by
        -- it.
        DELETE FROM runledger.settlements WHERE id IN (
            SELECT s.id FROM runledger.settlements AS s
            WHERE s.settled_at < cutoff AND EXISTS (
                SELECT FROM runledger.settlements AS newer
                WHERE newer.generation_id = s.generation_id AND newer.run_id = s.run_id AND newer.id > s.id
                      AND newer.outcome <> 'edited_by_hand')
            LIMIT p_rows_max);
    WHEN 'quarantine' THEN
        DELETE FROM runledger.quarantine WHERE id IN (
            SELECT id FROM runledger.quarantine WHERE quarantined_at < cutoff ORDER BY id LIMIT p_rows_max);
    WHEN 'tombstones' THEN
        DELETE FROM runledger.spool_segments WHERE segment_id IN (
            SELECT s.segment_id FROM runledger.spool_segments AS s
            WHERE s.retired_at < cutoff
                  AND NOT EXISTS (SELECT FROM runledger.ingested_batches AS b WHERE b.segment_id = s.segment_id)
            LIMIT p_rows_max FOR UPDATE SKIP LOCKED);
    ELSE
        RAISE EXCEPTION 'remove_expired: "%" is not one of runs, notifications, settlements, quarantine, tombstones', p_what;
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION runledger.remove_expired(text, integer, integer) IS
    'Removes at most this many rows that are older than this many days, and returns their number: settled runs with their outputs, notifications that were sent or given up, settlements that a newer one has replaced, quarantine, tombstones of retired segments. With its owner''s rights, for the daemon.';
