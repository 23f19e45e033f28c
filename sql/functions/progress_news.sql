-- Progress of runs, told to the application.
CREATE OR REPLACE FUNCTION runledger.tell_progress(p_interval interval, p_runs_max integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told bigint := 0;
    run record;
BEGIN
    -- Nothing would be said. The progress is told when the queue is read.
    IF pg_notification_queue_usage() >= 0.5 THEN
        RETURN 0;
    END IF;
    FOR run IN
        WITH taken AS (
            INSERT INTO runledger.progress_news AS p (run_id, told_of)
            SELECT r.run_id, r.latest_at
            FROM runledger.runs AS r LEFT JOIN runledger.progress_news AS before ON before.run_id = r.run_id
            WHERE r.terminal_status IS NULL AND r.latest_at > now() - interval '1 hour'
              AND (before.run_id IS NULL
                   OR before.told_of < r.latest_at AND before.told_at < clock_timestamp() - p_interval)
              AND EXISTS (SELECT FROM runledger.generations AS g WHERE g.run_id = r.run_id)
            ORDER BY r.latest_at LIMIT p_runs_max
            -- Another daemon may have been faster.
            ON CONFLICT (run_id) DO UPDATE SET told_of = excluded.told_of, told_at = clock_timestamp()
                WHERE p.told_of < excluded.told_of AND p.told_at < clock_timestamp() - p_interval
            RETURNING p.run_id
        )
        SELECT runledger.handle_of(g.id, g.application_id::text) AS generation_id, r.run_id, r.latest_status, r.latest_progress, r.latest_live_status
        FROM taken JOIN runledger.runs AS r ON r.run_id = taken.run_id
        JOIN runledger.generations AS g ON g.run_id = taken.run_id
    LOOP
        PERFORM runledger.tell_listeners('runledger_progress', json_build_object(
            'generation_id', run.generation_id, 'run_id', run.run_id, 'status', left(run.latest_status, 100),
            'progress', run.latest_progress, 'live_status', left(run.latest_live_status, 200))::text);
        told := told + 1;
    END LOOP;
    DELETE FROM runledger.progress_news AS p
        WHERE p.run_id IN (SELECT old.run_id FROM runledger.progress_news AS old
                           WHERE old.told_at < now() - interval '3 hours' ORDER BY old.told_at LIMIT 1000);
    RETURN told;
END
$$;
COMMENT ON FUNCTION runledger.tell_progress(interval, integer) IS
    'NOTIFY runledger_progress, {"generation_id": …, "run_id": …, "status": …, "progress": …, "live_status": …}, the generation by handle_of, for up to so many runs in flight that have an event since it was last said and are named by a generation: at most once in the interval for each run. Returns how many. Called by the daemon.';
