-- Facts about a run that ended: when, for how long, why, and its outputs.
CREATE OR REPLACE FUNCTION runledger.ended_at(r runledger.runs) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(r.finished_at, r.reported_at);
COMMENT ON FUNCTION runledger.ended_at(runledger.runs) IS
    'When the ending was received by a webhook, else when the provider''s report was stored. Never a time by the provider''s clock. NULL: not ended.';

CREATE OR REPLACE FUNCTION runledger.run_timing(
    r runledger.runs, p_duration_max interval,
    OUT duration_us bigint, OUT clock text, OUT note text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF r.finished_at IS NULL THEN
        -- Only the provider reported the ending. Use both of its times, never one of its and one of ours.
        clock := 'provider';
        note := CASE WHEN num_nulls(r.provider_started_at, r.provider_ended_at) = 0 THEN 'provider_times'
                     ELSE 'provider_times_missing' END;
        duration_us := extract(epoch FROM r.provider_ended_at - r.provider_started_at) * 1000000;
    ELSIF r.running_at IS NULL THEN
        note := 'no_running_event';
        RETURN;
    ELSIF r.running_boot_id = r.finished_boot_id THEN
        clock := 'boottime';
        duration_us := r.finished_boottime_us - r.running_boottime_us;
    ELSE
        clock := 'realtime';
        note := 'clocks_differ';
        -- extract() of an interval of days and microseconds is exact numeric.
        duration_us := extract(epoch FROM r.finished_at - r.running_at) * 1000000;
    END IF;
    IF duration_us BETWEEN 0 AND extract(epoch FROM p_duration_max) * 1000000 THEN
        RETURN;
    END IF;
    note := CASE WHEN duration_us IS NULL THEN note
                 WHEN clock = 'provider' THEN 'provider_times_implausible'
                 WHEN duration_us < 0 THEN 'running_after_end'
                 ELSE 'clock_implausible' END;
    duration_us := NULL;
    clock := NULL;
END
$$;
COMMENT ON FUNCTION runledger.run_timing(runledger.runs, interval) IS
    'For a run that ended: microseconds from its first running to its ending, and by which clock; or NULL, and why. If only the provider reported the ending, from its started_at to its ended_at. The notes clocks_differ and provider_times come with a duration.';

CREATE OR REPLACE FUNCTION runledger.run_reason(r runledger.runs) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE
        WHEN r.terminal_status IS NULL OR r.terminal_status = 'success' THEN NULL
        WHEN runledger.is_pseudonym(r.run_id) THEN 'forgotten'
        ELSE coalesce(
            nullif(r.finished_error, ''),
            CASE r.terminal_status WHEN 'timeout' THEN 'timed out' ELSE r.terminal_status END
                || coalesce(' while ' || nullif(r.finished_live_status, ''), '')
                || coalesce(' (' || round(r.finished_progress::numeric * 100) || ' %)', ''))
    END;
COMMENT ON FUNCTION runledger.run_reason(runledger.runs) IS
    'What is known about why a run did not succeed: the sender''s error text if there is one, else its last live status and progress; forgotten if its person was.';

CREATE OR REPLACE FUNCTION runledger.run_payload(p_run_id text, OUT payload jsonb, OUT output_count integer)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT jsonb_build_object('outputs', coalesce(
               jsonb_agg(o.output ORDER BY o.position, o.output_key) FILTER (WHERE o.output IS NOT NULL), '[]')),
           count(*)
        INTO payload, output_count
        FROM runledger.run_outputs AS o WHERE o.run_id = p_run_id;
END
$$;
COMMENT ON FUNCTION runledger.run_payload(text) IS
    'The run''s merged outputs in the form of response_payload, and their number, which includes those that jsonb can''t hold even with masked values.';
