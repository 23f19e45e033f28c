-- Settlement in parts that can be read one by one. From facts to a row: run_timing, run_reason, run_payload and
-- rate_for say what is known; settlement_of puts it together; write_settlement writes it; settle_run decides.
--
-- What has a query in it is plpgsql, which keeps its plan; SQL functions are for expressions, which are inlined.

CREATE FUNCTION runledger.run_timing(
    r runledger.runs, p_duration_max interval,
    OUT duration_us bigint, OUT clock text, OUT note text)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF r.running_at IS NULL THEN
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
    IF duration_us < 0 THEN
        note := 'running_after_end';
    ELSIF duration_us > extract(epoch FROM p_duration_max) * 1000000 THEN
        note := 'clock_implausible';
    ELSE
        RETURN;
    END IF;
    duration_us := NULL;
    clock := NULL;
END
$$;
COMMENT ON FUNCTION runledger.run_timing(runledger.runs, interval) IS
    'Of a run that ended: microseconds from its first running to its ending, by which clock; or NULL, and why. clocks_differ comes beside a duration.';

CREATE FUNCTION runledger.run_reason(r runledger.runs) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE
        WHEN r.terminal_status IS NULL OR r.terminal_status = 'success' THEN NULL
        ELSE coalesce(
            nullif(r.finished_error, ''),
            CASE r.terminal_status WHEN 'timeout' THEN 'timed out' ELSE r.terminal_status END
                || coalesce(' while ' || nullif(r.finished_live_status, ''), '')
                || coalesce(' (' || round(r.finished_progress::numeric * 100) || ' %)', ''))
    END;
COMMENT ON FUNCTION runledger.run_reason(runledger.runs) IS
    'What is known of why a run did not succeed: the sender''s error text if it sent one, else what it was doing and how far it was.';

CREATE FUNCTION runledger.run_payload(p_run_id text, OUT payload jsonb, OUT output_count integer)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT jsonb_build_object('outputs', coalesce(
               jsonb_agg(o.output ORDER BY o.position, o.output_key) FILTER (WHERE o.output IS NOT NULL), '[]')),
           count(*)
        INTO payload, output_count
        FROM runledger.run_outputs AS o WHERE o.run_id = p_run_id;
END
$$;
COMMENT ON FUNCTION runledger.run_payload(text) IS
    'The run''s merged outputs as response_payload has them, and how many there are, with those that jsonb can''t hold.';

CREATE FUNCTION runledger.last_settlement(p_generation_id bigint) RETURNS runledger.settlements
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    last runledger.settlements;
BEGIN
    SELECT * INTO last FROM runledger.settlements
        WHERE generation_id = p_generation_id AND outcome <> 'edited_by_hand' ORDER BY id DESC LIMIT 1;
    RETURN last;
END
$$;
COMMENT ON FUNCTION runledger.last_settlement(bigint) IS
    'The last settlement that was written to the row; NULLs where there is none.';

CREATE FUNCTION runledger.is_edited_by_hand(g runledger.generations, last runledger.settlements) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (g.status, g.status_reason, g.response_timestamp, g.duration_ms, g.cost_usd, g.cost_note)
           IS DISTINCT FROM
           (last.status, last.status_reason, last.finished_at, round(last.duration_us / 1000.0, 3), last.cost_usd,
            last.cost_note)
        OR last.response_payload_md5 IS NOT NULL
           AND last.response_payload_md5 IS DISTINCT FROM md5(g.response_payload::text);
COMMENT ON FUNCTION runledger.is_edited_by_hand(runledger.generations, runledger.settlements) IS
    'Whether a settled column of the row differs from its last settlement.';

CREATE FUNCTION runledger.settlement_of(
    g runledger.generations, r runledger.runs, last runledger.settlements, p_duration_max interval)
    RETURNS runledger.settlements LANGUAGE plpgsql STABLE AS $$
DECLARE
    s runledger.settlements;
    timing record;
    rate record;
BEGIN
    s.generation_id := g.id;
    s.run_id := r.run_id;
    s.running_at := r.running_at;
    s.finished_at := r.finished_at;

    -- An ending that the application wrote itself stands.
    s.keeps_status := CASE WHEN last.id IS NULL THEN g.status NOT IN ('pending', 'processing') ELSE last.keeps_status END;
    IF s.keeps_status THEN
        s.status := g.status;
        s.status_reason := g.status_reason;
    ELSE
        s.status := CASE r.terminal_status
            WHEN 'success' THEN 'completed' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END;
        s.status_reason := runledger.run_reason(r);
    END IF;

    SELECT * INTO timing FROM runledger.run_timing(r, p_duration_max);
    s.duration_us := timing.duration_us;
    s.duration_clock := timing.clock;
    s.duration_note := timing.note;

    -- A rate is copied once; a repaired one prices what had none.
    SELECT * INTO rate FROM runledger.rate_for(g.metadata, r.finished_at);
    IF last.rate_amount IS NOT NULL THEN
        s.rate_amount := last.rate_amount;
        s.rate_unit := last.rate_unit;
        s.rate_source := last.rate_source;
        s.gpu := CASE last.rate_source WHEN 'gpu_rates' THEN last.gpu ELSE coalesce(rate.gpu, last.gpu) END;
    ELSE
        s.rate_amount := rate.amount;
        s.rate_unit := rate.unit;
        s.rate_source := rate.source;
        s.gpu := rate.gpu;
    END IF;

    -- Only a success is charged, whatever the application calls the row.
    IF r.terminal_status <> 'success' THEN
        s.cost_note := 'not_charged';
    ELSIF s.rate_amount IS NULL THEN
        s.cost_note := rate.note;
    ELSE
        s.cost_usd := runledger.cost_of(s.rate_amount, s.rate_unit, s.duration_us);
        IF s.rate_unit <> 'run' THEN
            s.cost_note := s.duration_note;
        END IF;
    END IF;
    RETURN s;
END
$$;
COMMENT ON FUNCTION runledger.settlement_of(runledger.generations, runledger.runs, runledger.settlements, interval) IS
    'What the row of a run that ended must say, as a settlement that is not written yet: without outcome, why and what stood before.';

CREATE FUNCTION runledger.settled_columns(g runledger.generations) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'status', g.status, 'status_reason', g.status_reason, 'duration_ms', g.duration_ms,
        'cost_usd', g.cost_usd, 'cost_note', g.cost_note, 'response_timestamp', g.response_timestamp);
COMMENT ON FUNCTION runledger.settled_columns(runledger.generations) IS
    'The settled columns as settlements.before keeps them.';

CREATE FUNCTION runledger.tell_settled(p_generation_id bigint, p_run_id text, p_status text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    -- A listener that never reads fills the server's queue, and a full one would refuse the settlement: before that,
    -- nothing more is said.
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('runledger_settled', json_build_object(
            'generation_id', p_generation_id, 'run_id', p_run_id, 'status', p_status)::text);
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.tell_settled(bigint, text, text) IS
    'NOTIFY runledger_settled, {"generation_id": …, "run_id": …, "status": …}: heard once the settlement is committed, by whoever listens.';

CREATE FUNCTION runledger.write_settlement(s runledger.settlements, g runledger.generations, p_payload jsonb)
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO runledger.settlements (
        generation_id, run_id, outcome, why, status, status_reason, keeps_status, running_at, finished_at,
        duration_us, duration_clock, duration_note, gpu, rate_amount, rate_unit, rate_source, cost_usd, cost_note,
        output_count, response_payload_md5, before)
    VALUES (
        s.generation_id, s.run_id, s.outcome, s.why, s.status, s.status_reason, s.keeps_status, s.running_at,
        s.finished_at, s.duration_us, s.duration_clock, s.duration_note, s.gpu, s.rate_amount, s.rate_unit,
        s.rate_source, s.cost_usd, s.cost_note, s.output_count, md5(p_payload::text), runledger.settled_columns(g));
    IF s.outcome = 'edited_by_hand' THEN
        RETURN;
    END IF;
    UPDATE runledger.generations SET
        status = s.status,
        status_reason = s.status_reason,
        response_timestamp = s.finished_at,
        response_payload = p_payload,
        duration_ms = round(s.duration_us / 1000.0, 3),
        cost_usd = s.cost_usd,
        cost_note = s.cost_note,
        updated_at = clock_timestamp()
    WHERE id = g.id;
    PERFORM runledger.tell_settled(g.id, g.run_id, s.status);
END
$$;
COMMENT ON FUNCTION runledger.write_settlement(runledger.settlements, runledger.generations, jsonb) IS
    'Writes a settlement: the audit row, with what the generation said before, and the generation, whose listeners are told. One that reports an edit by hand changes no generation.';

CREATE FUNCTION runledger.report_edit(s runledger.settlements, g runledger.generations, p_why text)
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Once, until the row says again what was settled.
    IF (SELECT outcome FROM runledger.settlements WHERE generation_id = g.id ORDER BY id DESC LIMIT 1)
       = 'edited_by_hand' THEN
        RETURN;
    END IF;
    s.outcome := 'edited_by_hand';
    s.why := p_why;
    PERFORM runledger.write_settlement(s, g, g.response_payload);
END
$$;
COMMENT ON FUNCTION runledger.report_edit(runledger.settlements, runledger.generations, text) IS
    'Reports in the audit, once, that the row was edited by hand and is left as it is.';

CREATE FUNCTION runledger.withdrawn() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'the record names another run now';
COMMENT ON FUNCTION runledger.withdrawn() IS
    'last_error of a notification that was skipped since its row was reopened before it was sent.';

CREATE FUNCTION runledger.reopen(g runledger.generations, last runledger.settlements) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    s runledger.settlements := last;
BEGIN
    -- A row that was emptied by whoever changed the run holds nothing that could be overwritten.
    IF runledger.is_edited_by_hand(g, last)
       AND NOT (g.status IN ('pending', 'processing')
                AND num_nonnulls(g.duration_ms, g.cost_usd, g.response_timestamp) = 0) THEN
        PERFORM runledger.report_edit(s, g, format(
            'the row names %s instead of the run that settled it, but it no longer says what was settled; it is left as it is',
            coalesce('run ' || g.run_id, 'no run')));
        RETURN false;
    END IF;
    s := NULL;
    s.generation_id := g.id;
    s.run_id := last.run_id;
    s.outcome := 'reopened';
    s.why := format('the row names %s now: what run %s gave it is withdrawn',
                    coalesce('run ' || g.run_id, 'no run'), last.run_id);
    s.keeps_status := last.keeps_status;
    s.status := CASE WHEN last.keeps_status THEN g.status ELSE 'pending' END;
    s.status_reason := CASE WHEN last.keeps_status THEN g.status_reason END;
    s.output_count := 0;
    PERFORM runledger.write_settlement(s, g, NULL);
    -- What was said stays said; what waits would tell of a picture that is no longer this row's.
    UPDATE runledger.notifications
        SET state = 'skipped', last_error = runledger.withdrawn()
        WHERE generation_id = g.id AND run_id = last.run_id AND state = 'pending';
    RETURN true;
END
$$;
COMMENT ON FUNCTION runledger.reopen(runledger.generations, runledger.settlements) IS
    'Withdraws from a row what another run had given it: pending again, without time and cost, with an audit row; its unsent notifications are skipped. False where the row was edited by hand: that is reported, and nothing else done.';

CREATE FUNCTION runledger.reopen_rows_of(p_run_id text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    stale bigint;
    g runledger.generations;
    last runledger.settlements;
BEGIN
    -- A row that lost its run_id, while no other row has it, keeps what was settled: that money was spent, and one row
    -- must show it.
    FOR stale IN
        SELECT named.id FROM runledger.generations AS named
        WHERE named.id IN (SELECT generation_id FROM runledger.settlements WHERE run_id = p_run_id)
          AND named.run_id IS DISTINCT FROM p_run_id
          AND (named.run_id IS NOT NULL OR EXISTS (SELECT FROM runledger.generations WHERE run_id = p_run_id))
        ORDER BY named.id
    LOOP
        SELECT * INTO g FROM runledger.generations WHERE id = stale FOR UPDATE NOWAIT;
        last := runledger.last_settlement(stale);
        IF g.run_id IS DISTINCT FROM p_run_id AND last.run_id = p_run_id AND last.outcome <> 'reopened' THEN
            PERFORM runledger.reopen(g, last);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.reopen_rows_of(text) IS
    'Reopens the rows that a run had settled and that name another run now. Raises lock_not_available where one is locked.';

CREATE FUNCTION runledger.why_resettled(
    s runledger.settlements, last runledger.settlements, p_outputs_changed boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(
        nullif(concat_ws(', ',
            CASE WHEN s.status <> last.status THEN format('status was %s', last.status) END,
            CASE WHEN s.duration_us IS DISTINCT FROM last.duration_us THEN 'timing changed' END,
            CASE WHEN s.cost_usd IS DISTINCT FROM last.cost_usd THEN 'cost changed' END,
            CASE WHEN p_outputs_changed THEN 'outputs changed' END), ''),
        CASE WHEN (s.status, s.duration_us, s.cost_usd, s.cost_note, s.finished_at, s.status_reason)
                  IS DISTINCT FROM
                  (last.status, last.duration_us, last.cost_usd, last.cost_note, last.finished_at, last.status_reason)
             THEN 'the ending''s time, reason or note changed' END);
COMMENT ON FUNCTION runledger.why_resettled(runledger.settlements, runledger.settlements, boolean) IS
    'In what a settlement differs from the last one; NULL: in nothing.';

CREATE OR REPLACE FUNCTION runledger.settle_run(
    p_run_id text, p_outputs_grace interval, p_duration_max interval,
    OUT outcome text, OUT detail text)
    LANGUAGE plpgsql AS $$
DECLARE
    r runledger.runs;
    g runledger.generations;
    last runledger.settlements;
    s runledger.settlements;
    merged record;
BEGIN
    -- The application's deferred constraints refuse here, where it is known whose row they refuse, not at COMMIT.
    SET CONSTRAINTS ALL IMMEDIATE;
    -- One settlement of a run at a time; the other one looks again a moment later.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('runledger.settle_run ' || p_run_id, 0)) THEN
        outcome := 'busy';
        RETURN;
    END IF;

    -- Whatever queued this run had committed before the queue was read, so each statement from here on sees it.
    BEGIN
        PERFORM runledger.reopen_rows_of(p_run_id);
        SELECT * INTO g FROM runledger.generations WHERE run_id = p_run_id FOR UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        outcome := 'locked';
        detail := 'the generations row is locked by another transaction';
        RETURN;
    END;
    SELECT * INTO r FROM runledger.runs WHERE run_id = p_run_id;
    IF r.run_id IS NULL OR g.id IS NULL THEN
        outcome := CASE WHEN r.run_id IS NULL THEN 'no_run' ELSE 'no_generation' END;
        RETURN;
    END IF;

    last := runledger.last_settlement(g.id);
    IF last.run_id <> p_run_id AND last.outcome <> 'reopened' THEN
        IF NOT runledger.reopen(g, last) THEN
            outcome := 'edited_by_hand';
            RETURN;
        END IF;
        SELECT * INTO g FROM runledger.generations WHERE id = g.id;
        last := NULL;
    ELSIF last.outcome = 'reopened' THEN
        last := NULL;
    END IF;

    IF r.terminal_status IS NULL THEN
        IF r.running_at IS NOT NULL AND g.status = 'pending' THEN
            UPDATE runledger.generations SET status = 'processing', updated_at = clock_timestamp() WHERE id = g.id;
            outcome := 'processing';
        ELSE
            outcome := 'not_ended';
        END IF;
        RETURN;
    END IF;

    s := runledger.settlement_of(g, r, last, p_duration_max);
    SELECT * INTO merged FROM runledger.run_payload(p_run_id);
    s.output_count := merged.output_count;

    IF last.id IS NULL THEN
        s.outcome := CASE WHEN s.keeps_status THEN 'kept' ELSE 'settled' END;
        s.why := CASE WHEN s.keeps_status
            THEN format('the application had written %s, the run ended: %s', g.status, r.terminal_status)
            ELSE 'the run ended: ' || r.terminal_status END;
    ELSIF runledger.is_edited_by_hand(g, last) THEN
        PERFORM runledger.report_edit(s, g, 'the row no longer says what was settled; it is left as it is');
        outcome := 'edited_by_hand';
        RETURN;
    ELSE
        s.outcome := CASE WHEN s.keeps_status THEN 'kept' ELSE 'resettled' END;
        s.why := runledger.why_resettled(s, last, g.response_payload IS DISTINCT FROM merged.payload);
        IF s.why IS NULL THEN
            outcome := 'unchanged';
            RETURN;
        END IF;
    END IF;

    PERFORM runledger.write_settlement(s, g, merged.payload);
    IF NOT s.keeps_status THEN
        IF last.id IS NULL THEN
            -- The row may have come back to a run whose message reopen() had withdrawn: it is made anew.
            DELETE FROM runledger.notifications
                WHERE generation_id = g.id AND run_id = p_run_id
                  AND state = 'skipped' AND last_error = runledger.withdrawn();
        END IF;
        PERFORM runledger.queue_notification(g, last, s.status, s.status_reason, s.duration_us, s.cost_usd, s.cost_note,
                                             merged.payload -> 'outputs', s.output_count, p_outputs_grace);
    END IF;
    outcome := s.outcome;
    detail := s.why;
EXCEPTION
    -- The application's own triggers and constraints may refuse the row, or hang until statement_timeout: that is this
    -- run's trouble alone.
    WHEN query_canceled OR OTHERS THEN
        outcome := 'failed';
        detail := SQLSTATE || ': ' || SQLERRM;
END
$$;
COMMENT ON FUNCTION runledger.settle_run(text, interval, interval) IS
    'Brings the generations row of a run up to what is known: the row, its audit row and the notification together. outcome: settled, resettled, kept, edited_by_hand, processing, unchanged (nothing to do), not_ended, no_run, no_generation (not both there yet), busy or locked (look again), failed (detail says why; nothing was changed).';
