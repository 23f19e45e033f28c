-- The settlement of one run, whole: what a row must say is computed here and nowhere else.
CREATE FUNCTION runledger.rate_of(
    metadata jsonb,
    OUT amount numeric, OUT unit text, OUT unit_us bigint, OUT note text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    rate jsonb := metadata -> 'costRate';
    amount_text text;
BEGIN
    IF rate IS NULL OR jsonb_typeof(rate) = 'null' THEN
        note := 'rate_missing';
        RETURN;
    END IF;
    IF jsonb_typeof(rate) <> 'object' OR jsonb_typeof(rate -> 'amount') IS NULL
       OR jsonb_typeof(rate -> 'amount') NOT IN ('number', 'string') THEN
        note := 'rate_malformed';  -- The application has been seen to store "error: …" here.
        RETURN;
    END IF;
    amount_text := rate ->> 'amount';
    IF amount_text !~ '^-?[0-9]{1,12}(\.[0-9]{1,24})?$' THEN
        note := 'rate_malformed';
        RETURN;
    END IF;
    IF amount_text::numeric < 0 THEN
        note := 'rate_negative';
        RETURN;
    END IF;
    IF rate ->> 'currency' IS DISTINCT FROM 'USD' THEN
        note := 'currency_not_usd';
        RETURN;
    END IF;
    CASE rate ->> 'unit'
        WHEN 'second', 'seconds' THEN unit := 'second'; unit_us := 1000000;
        WHEN 'minute', 'minutes' THEN unit := 'minute'; unit_us := 60000000;
        WHEN 'hour', 'hours' THEN unit := 'hour'; unit_us := 3600000000;
        WHEN 'run', 'fixed' THEN unit := 'run';
        ELSE
            note := 'unit_unknown';
            RETURN;
    END CASE;
    amount := amount_text::numeric;
END
$$;
COMMENT ON FUNCTION runledger.rate_of(jsonb) IS
    'The rate in metadata.costRate: amount in US dollars per unit, and the unit''s microseconds (NULL for run, a flat price); or, where there is no usable one, a note that says why and NULL for the rest. Never raises.';

CREATE FUNCTION runledger.settle_run(
    p_run_id text, p_outputs_grace interval, p_duration_max interval,
    OUT outcome text, OUT detail text)
    LANGUAGE plpgsql AS $$
DECLARE
    r runledger.runs;
    g runledger.generations;
    last runledger.settlements;      -- The last one that was written to the row.
    newest_outcome text;             -- Of the last one of any kind.
    rate record;
    s_status text;
    s_reason text;
    s_duration_us bigint;
    s_clock text;
    s_cost numeric;
    s_note text;
    s_outputs jsonb;
    s_output_count integer;
    s_why text;
    s_outcome text;
    s_payload jsonb;
    duration_note text;
BEGIN
    -- One settlement of a run at a time; the other one looks again a moment later.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('runledger.settle_run ' || p_run_id, 0)) THEN
        outcome := 'busy';
        RETURN;
    END IF;

    -- Whatever queued this run had committed before the queue was read, so each statement from here on sees it.
    SELECT * INTO r FROM runledger.runs WHERE run_id = p_run_id;
    IF NOT FOUND THEN
        outcome := 'no_run';
        RETURN;
    END IF;
    BEGIN
        SELECT * INTO g FROM runledger.generations WHERE run_id = p_run_id FOR UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        outcome := 'locked';
        detail := 'the generations row is locked by another transaction';
        RETURN;
    END;
    IF g.id IS NULL THEN
        outcome := 'no_generation';
        RETURN;
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

    SELECT settlement.outcome INTO newest_outcome
        FROM runledger.settlements AS settlement WHERE generation_id = g.id ORDER BY id DESC LIMIT 1;
    SELECT * INTO last
        FROM runledger.settlements AS settlement
        WHERE generation_id = g.id AND settlement.outcome <> 'edited_by_hand' ORDER BY id DESC LIMIT 1;

    -- What the run says.
    s_status := CASE r.terminal_status
        WHEN 'success' THEN 'completed' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END;
    IF s_status <> 'completed' THEN
        s_reason := coalesce(
            nullif(r.finished_error, ''),
            CASE r.terminal_status WHEN 'timeout' THEN 'timed out' ELSE r.terminal_status END
                || coalesce(' while ' || nullif(r.finished_live_status, ''), '')
                || coalesce(' (' || round(r.finished_progress::numeric * 100) || ' %)', ''));
    END IF;

    IF r.running_at IS NULL THEN
        duration_note := 'no_running_event';
    ELSIF r.running_boot_id = r.finished_boot_id THEN
        s_clock := 'boottime';
        s_duration_us := r.finished_boottime_us - r.running_boottime_us;
    ELSE
        s_clock := 'realtime';
        -- extract() of an interval of days and microseconds is exact numeric.
        s_duration_us := extract(epoch FROM r.finished_at - r.running_at) * 1000000;
        duration_note := 'clocks_differ';
    END IF;
    IF s_duration_us < 0 THEN
        s_duration_us := NULL;
        duration_note := 'running_after_end';
    ELSIF s_duration_us > extract(epoch FROM p_duration_max) * 1000000 THEN
        s_duration_us := NULL;
        duration_note := 'clock_implausible';
    END IF;
    IF s_duration_us IS NULL THEN
        s_clock := NULL;
    END IF;

    -- The price: only a success is charged. A rate is copied once; a repaired one prices what had none.
    SELECT * INTO rate FROM runledger.rate_of(g.metadata);
    IF last.rate_amount IS NOT NULL THEN
        rate.amount := last.rate_amount;
        rate.unit := last.rate_unit;
        rate.unit_us := CASE last.rate_unit
            WHEN 'second' THEN 1000000 WHEN 'minute' THEN 60000000 WHEN 'hour' THEN 3600000000 END;
        rate.note := NULL;
    END IF;
    IF s_status <> 'completed' THEN
        s_note := 'not_charged';
    ELSIF rate.amount IS NULL THEN
        s_note := rate.note;
    ELSIF rate.unit = 'run' THEN
        s_cost := round(rate.amount, 12);
    ELSIF s_duration_us IS NULL THEN
        s_note := duration_note;
    ELSE
        -- The zeros make the quotient carry 40 decimals, so that rounding it once more to 12 is exact.
        s_cost := round(rate.amount * s_duration_us * 1.0000000000000000000000000000000000000000 / rate.unit_us, 12);
        s_note := duration_note;
    END IF;

    SELECT coalesce(jsonb_agg(o.output ORDER BY o.position, o.output_key) FILTER (WHERE o.output IS NOT NULL), '[]'),
           count(*)
        INTO s_outputs, s_output_count
        FROM runledger.run_outputs AS o WHERE o.run_id = p_run_id;
    s_payload := jsonb_build_object('outputs', s_outputs);

    -- What the row says already.
    IF last.id IS NULL THEN
        IF g.status IN ('pending', 'processing') THEN
            s_outcome := 'settled';
            s_why := 'the run ended: ' || r.terminal_status;
        ELSE
            s_outcome := 'kept';
            s_why := format('the application had written %s, the run ended: %s', g.status, r.terminal_status);
            s_status := g.status;
            s_reason := g.status_reason;
        END IF;
    ELSE
        IF (g.status, g.duration_ms, g.cost_usd) IS DISTINCT FROM (last.status, round(last.duration_us / 1000.0, 3), last.cost_usd) THEN
            outcome := 'edited_by_hand';
            IF newest_outcome <> 'edited_by_hand' THEN
                s_outcome := 'edited_by_hand';
                s_why := 'the row no longer says what was settled; it is left as it is';
            END IF;
        ELSIF last.outcome = 'kept' THEN
            s_status := last.status;
            s_reason := last.status_reason;
        END IF;
        IF s_outcome IS NULL AND outcome IS NULL
           AND (s_status, s_duration_us, s_cost, s_note, r.finished_at, s_reason)
               IS DISTINCT FROM
               (last.status, last.duration_us, last.cost_usd, last.cost_note, last.finished_at, last.status_reason)
           OR outcome IS NULL AND g.response_payload IS DISTINCT FROM s_payload THEN
            s_outcome := CASE last.outcome WHEN 'kept' THEN 'kept' ELSE 'resettled' END;
            s_why := concat_ws(', ',
                CASE WHEN s_status <> last.status THEN format('status was %s', last.status) END,
                CASE WHEN s_duration_us IS DISTINCT FROM last.duration_us THEN 'timing changed' END,
                CASE WHEN s_cost IS DISTINCT FROM last.cost_usd THEN 'cost changed' END,
                CASE WHEN g.response_payload IS DISTINCT FROM s_payload THEN 'outputs changed' END);
            IF s_why = '' THEN
                s_why := 'the ending''s time or reason changed';
            END IF;
        END IF;
        IF s_outcome IS NULL THEN
            outcome := coalesce(outcome, 'unchanged');
            RETURN;
        END IF;
    END IF;

    INSERT INTO runledger.settlements (
        generation_id, run_id, outcome, why, status, status_reason, running_at, finished_at,
        duration_us, duration_clock, rate_amount, rate_unit, cost_usd, cost_note, output_count, before)
    VALUES (
        g.id, p_run_id, s_outcome, s_why, s_status, s_reason, r.running_at, r.finished_at,
        s_duration_us, s_clock, rate.amount, rate.unit, s_cost, s_note, s_output_count,
        jsonb_build_object(
            'status', g.status, 'status_reason', g.status_reason, 'duration_ms', g.duration_ms,
            'cost_usd', g.cost_usd, 'cost_note', g.cost_note, 'response_timestamp', g.response_timestamp));
    outcome := s_outcome;
    detail := s_why;
    IF s_outcome = 'edited_by_hand' THEN
        RETURN;
    END IF;

    UPDATE runledger.generations SET
        status = s_status,
        status_reason = s_reason,
        response_timestamp = r.finished_at,
        response_payload = s_payload,
        duration_ms = round(s_duration_us / 1000.0, 3),
        cost_usd = s_cost,
        cost_note = s_note,
        updated_at = clock_timestamp()
    WHERE id = g.id;

    IF s_outcome <> 'kept' THEN
        PERFORM runledger.queue_notification(g, last, s_status, s_reason, s_duration_us, s_cost, s_note,
                                             s_outputs, s_output_count, p_outputs_grace);
    END IF;
EXCEPTION
    -- The application's own triggers and constraints may refuse the row: that is this run's trouble alone.
    WHEN OTHERS THEN
        outcome := 'failed';
        detail := SQLSTATE || ': ' || SQLERRM;
END
$$;

CREATE FUNCTION runledger.queue_notification(
    g runledger.generations, last runledger.settlements, p_status text, p_reason text, p_duration_us bigint,
    p_cost numeric, p_note text, p_outputs jsonb, p_output_count integer, p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told jsonb := jsonb_build_object(
        'status', p_status, 'status_reason', p_reason, 'duration_ms', round(p_duration_us / 1000.0, 3),
        'cost_usd', p_cost, 'cost_note', p_note, 'outputs', p_outputs);
    new_kind text;
    new_for_status text := '';
BEGIN
    IF last.id IS NULL THEN
        new_kind := 'ending';
    ELSIF p_status <> last.status THEN
        new_kind := 'correction';
        new_for_status := p_status;
    ELSIF p_output_count > last.output_count AND last.output_count = 0 AND p_status = 'completed' THEN
        new_kind := 'follow_up';
    ELSE
        RETURN;
    END IF;
    IF new_kind <> 'ending' THEN
        -- What waits unsent tells the newer truth instead, and nothing is said twice.
        UPDATE runledger.notifications SET
            payload = told,
            not_before = CASE WHEN attempts = 0 THEN least(not_before, now()) ELSE not_before END
        WHERE generation_id = g.id AND state = 'pending' AND kind = 'ending';
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF g.telegram_chat_id IS NULL THEN
        -- Without a chat there is nobody to tell; one that can't be read is worth a row that says so.
        IF new_kind = 'ending' AND coalesce(jsonb_typeof(g.metadata -> 'telegramChatId'), 'null') <> 'null' THEN
            INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload, state, last_error)
            VALUES (g.id, g.run_id, new_kind, new_for_status, told, 'skipped',
                    'metadata.telegramChatId is neither a number nor a string of digits')
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN;
    END IF;
    INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, not_before)
    VALUES (g.id, g.run_id, new_kind, new_for_status, g.telegram_chat_id, told,
            CASE WHEN new_kind = 'ending' AND p_status = 'completed' AND p_output_count = 0
                 THEN now() + p_outputs_grace ELSE now() END)
    ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
END
$$;

COMMENT ON FUNCTION runledger.settle_run(text, interval, interval) IS
    'Brings the generations row of a run up to what is known: the row, its audit row and the notification together. outcome: settled, resettled, kept, edited_by_hand, processing, unchanged (nothing to do), not_ended, no_run, no_generation (not both there yet), busy or locked (look again), failed (detail says why; nothing was changed).';
COMMENT ON FUNCTION runledger.queue_notification(runledger.generations, runledger.settlements, text, text, bigint, numeric, text, jsonb, integer, interval) IS
    'Puts into the outbox what a settlement gives to tell: the ending; one correction for each other status; one follow-up when outputs come after an ending that had none. Called by settle_run.';
