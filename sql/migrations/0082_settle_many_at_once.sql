-- Settlements by the turn: the first settlement of many generations is a few statements for all of them, since each
-- statement costs more than a row. There is one way for a first settlement, settle_new; settle_run comes to it with one
-- run, and keeps for itself what was settled before.

CREATE FUNCTION runledger.notice_payload(
    g runledger.generations, p_status text, p_reason text, p_duration_us bigint, p_cost numeric, p_note text,
    p_outputs jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'status', p_status, 'status_reason', p_reason, 'duration_ms', round(p_duration_us / 1000.0, 3),
        'cost_usd', p_cost, 'cost_note', p_note, 'outputs', p_outputs,
        'generation_id', g.id,
        'message_thread_id', runledger.message_number_of(g.metadata, 'message_thread_id', 'telegramMessageThreadId'),
        'reply_to_message_id',
            runledger.message_number_of(g.metadata, 'reply_to_message_id', 'telegramMessageId'));
COMMENT ON FUNCTION runledger.notice_payload(runledger.generations, text, text, bigint, numeric, text, jsonb) IS
    'notifications.payload: what is to be told of a settlement, and where in the chat.';

CREATE FUNCTION runledger.each_of(p_values anyarray) RETURNS SETOF anyelement
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
BEGIN
    RETURN QUERY SELECT * FROM unnest(p_values);
END
$$;
COMMENT ON FUNCTION runledger.each_of(anyarray) IS
    'unnest(), of which the planner expects one row: each is looked up by index in what it is joined with, however small a table seems when the plan is made, and the plan is kept however many come.';

CREATE FUNCTION runledger.settle_new(
    p_run_ids text[], p_outputs_grace interval, p_duration_max interval,
    OUT run_id text, OUT outcome text, OUT detail text)
    RETURNS SETOF record LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held text[];
    rows_held runledger.generations[];
    is_told boolean := false;
    settled record;
BEGIN
    -- One settlement of a run at a time. Whatever queued these runs had committed before the queue was read, so each
    -- statement from here on sees it.
    held := ARRAY(
        SELECT asked.id FROM runledger.each_of(p_run_ids) AS asked (id)
        WHERE pg_try_advisory_xact_lock(hashtextextended('runledger.settle_run ' || asked.id, 0)));
    rows_held := ARRAY(
        SELECT g FROM runledger.each_of(held) AS asked (id) JOIN runledger.generations AS g ON g.run_id = asked.id
        ORDER BY g.id FOR UPDATE OF g SKIP LOCKED);

    FOR settled IN
        WITH known AS MATERIALIZED (
            SELECT g, (SELECT r FROM runledger.runs AS r WHERE r.run_id = g.run_id) AS r
            FROM runledger.each_of(rows_held) AS g
            WHERE coalesce((
                SELECT last.outcome = 'reopened' FROM runledger.settlements AS last
                WHERE last.generation_id = g.id AND last.outcome <> 'edited_by_hand'
                ORDER BY last.id DESC LIMIT 1), true)
        ),
        ended AS MATERIALIZED (
            SELECT known.g, (known.r).terminal_status,
                   runledger.settlement_of(known.g, known.r, NULL, p_duration_max) AS s,
                   merged.payload, merged.output_count
            FROM known CROSS JOIN LATERAL runledger.run_payload((known.r).run_id) AS merged
            WHERE (known.r).terminal_status IS NOT NULL
        ),
        explained AS MATERIALIZED (
            SELECT ended.*, CASE WHEN (s).keeps_status
                THEN format('the application had written %s, the run ended: %s', (g).status, terminal_status)
                ELSE 'the run ended: ' || terminal_status END AS why
            FROM ended
        ),
        audited AS (
            INSERT INTO runledger.settlements (
                generation_id, run_id, outcome, why, status, status_reason, keeps_status, running_at, finished_at,
                duration_us, duration_clock, duration_note, gpu, rate_amount, rate_unit, rate_source, cost_usd,
                cost_note, output_count, response_payload_md5, before)
            SELECT (s).generation_id, (s).run_id, CASE WHEN (s).keeps_status THEN 'kept' ELSE 'settled' END, why,
                   (s).status, (s).status_reason, (s).keeps_status, (s).running_at, (s).finished_at, (s).duration_us,
                   (s).duration_clock, (s).duration_note, (s).gpu, (s).rate_amount, (s).rate_unit, (s).rate_source,
                   (s).cost_usd, (s).cost_note, output_count, md5(payload::text), runledger.settled_columns(g)
            FROM explained ORDER BY (s).generation_id
        ),
        written AS (
            UPDATE runledger.generations AS old SET
                status = (e.s).status,
                status_reason = (e.s).status_reason,
                response_timestamp = (e.s).finished_at,
                response_payload = e.payload,
                duration_ms = round((e.s).duration_us / 1000.0, 3),
                cost_usd = (e.s).cost_usd,
                cost_note = (e.s).cost_note,
                updated_at = clock_timestamp()
            FROM explained AS e WHERE old.id = (e.g).id
        ),
        begun AS (
            UPDATE runledger.generations AS old SET status = 'processing', updated_at = clock_timestamp()
            FROM known
            WHERE old.id = (known.g).id AND (known.g).status = 'pending'
              AND (known.r).terminal_status IS NULL AND (known.r).running_at IS NOT NULL
            RETURNING old.id
        ),
        notified AS (
            -- Without a chat there is nobody to tell; one that can't be read is worth a row that says so.
            INSERT INTO runledger.notifications (
                generation_id, run_id, kind, for_status, chat_id, payload, not_before, state, last_error)
            SELECT (s).generation_id, (s).run_id, 'ending', '', runledger.telegram_chat_now((g).telegram_chat_id),
                   runledger.notice_payload(g, (s).status, (s).status_reason, (s).duration_us, (s).cost_usd,
                                            (s).cost_note, payload -> 'outputs'),
                   CASE WHEN (s).status = 'completed' AND output_count = 0 THEN now() + p_outputs_grace ELSE now() END,
                   CASE WHEN (g).telegram_chat_id IS NULL THEN 'skipped' ELSE 'pending' END,
                   CASE WHEN (g).telegram_chat_id IS NULL
                        THEN 'metadata.telegramChatId is neither a number nor a string of digits' END
            FROM explained
            WHERE NOT (s).keeps_status
              AND ((g).telegram_chat_id IS NOT NULL
                   OR coalesce(jsonb_typeof((g).metadata -> 'telegramChatId'), 'null') <> 'null')
            ORDER BY (s).generation_id
            ON CONFLICT DO NOTHING
            RETURNING state
        )
        SELECT (s).run_id, CASE WHEN (s).keeps_status THEN 'kept' ELSE 'settled' END AS outcome, why AS detail,
               (s).generation_id, (s).status,
               EXISTS (SELECT FROM notified WHERE notified.state = 'pending') AS is_told
        FROM explained
        UNION ALL
        SELECT (known.g).run_id,
               CASE WHEN (known.r).run_id IS NULL THEN 'no_run'
                    WHEN EXISTS (SELECT FROM begun WHERE begun.id = (known.g).id) THEN 'processing'
                    ELSE 'not_ended' END,
               NULL, NULL, NULL, false
        FROM known WHERE (known.r).terminal_status IS NULL
        UNION ALL
        SELECT absent.run_id, absent.outcome, NULL, NULL, NULL, false
        FROM (
            SELECT asked.id AS run_id, CASE
                WHEN (SELECT true FROM runledger.runs AS r WHERE r.run_id = asked.id) IS NULL THEN 'no_run'
                WHEN (SELECT true FROM runledger.generations AS g WHERE g.run_id = asked.id) IS NULL
                    THEN 'no_generation' END AS outcome
            FROM runledger.each_of(held) AS asked (id)
            WHERE NOT EXISTS (SELECT FROM known WHERE (known.g).run_id = asked.id)) AS absent
        WHERE absent.outcome IS NOT NULL
    LOOP
        run_id := settled.run_id;
        outcome := settled.outcome;
        detail := settled.detail;
        is_told := is_told OR settled.is_told;
        IF settled.generation_id IS NOT NULL THEN
            PERFORM runledger.tell_settled(settled.generation_id, settled.run_id, settled.status);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF is_told THEN
        -- Heard when this transaction has committed; several in one transaction are one.
        PERFORM pg_notify('runledger_outbox', '');
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.settle_new(text[], interval, interval) IS
    'Brings the generations of these runs, each at most once, up to what is known, where they hold no settlement: the rows, their audit rows and notifications, by one statement for all. outcome and detail as of settle_run. No row for a run that another transaction is settling, or whose generation is locked or was settled before.';

CREATE FUNCTION runledger.settle_runs(
    p_run_ids text[], p_outputs_grace interval, p_duration_max interval,
    OUT run_id text, OUT outcome text, OUT detail text)
    RETURNS SETOF record LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- The application's deferred constraints refuse here, not at COMMIT.
    SET CONSTRAINTS ALL IMMEDIATE;
    -- A run that has settled a row before may have to withdraw that: settle_run's affair.
    RETURN QUERY SELECT * FROM runledger.settle_new(
        ARRAY(SELECT asked.id FROM runledger.each_of(p_run_ids) AS asked (id)
              WHERE (SELECT true FROM runledger.settlements AS s WHERE s.run_id = asked.id LIMIT 1) IS NULL),
        p_outputs_grace, p_duration_max);
EXCEPTION
    -- Of one of them, nobody knows which; nothing was changed.
    WHEN query_canceled OR OTHERS THEN
        RETURN;
END
$$;
COMMENT ON FUNCTION runledger.settle_runs(text[], interval, interval) IS
    'Settles those of the runs that are settled for the first time, all at once. No row for a run that settle_run has to be asked for: one that was settled before, is locked or busy; none at all where one of them was refused.';

CREATE OR REPLACE FUNCTION runledger.queue_notification(
    g runledger.generations, last runledger.settlements, p_status text, p_reason text, p_duration_us bigint,
    p_cost numeric, p_note text, p_outputs jsonb, p_output_count integer, p_outputs_grace interval)
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told jsonb := runledger.notice_payload(g, p_status, p_reason, p_duration_us, p_cost, p_note, p_outputs);
    new_kind text;
    new_for_status text := '';
BEGIN
    IF p_status <> last.status THEN
        new_kind := 'correction';
        new_for_status := p_status;
    ELSIF p_output_count > last.output_count AND last.output_count = 0 AND p_status = 'completed' THEN
        new_kind := 'follow_up';
    ELSE
        RETURN;
    END IF;
    -- What waits unsent tells the newer truth instead, and nothing is said twice.
    UPDATE runledger.notifications SET
        payload = told,
        not_before = CASE WHEN attempts = 0 THEN least(not_before, now()) ELSE not_before END
    WHERE generation_id = g.id AND state = 'pending' AND kind = 'ending' AND parts_sent = 0;
    IF NOT FOUND THEN
        IF g.telegram_chat_id IS NULL THEN
            RETURN;
        END IF;
        INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, not_before)
        VALUES (g.id, g.run_id, new_kind, new_for_status, runledger.telegram_chat_now(g.telegram_chat_id), told, now())
        ON CONFLICT ON CONSTRAINT notifications_are_made_once DO NOTHING;
    END IF;
    PERFORM pg_notify('runledger_outbox', '');
END
$$;
COMMENT ON FUNCTION runledger.queue_notification(
    runledger.generations, runledger.settlements, text, text, bigint, numeric, text, jsonb, integer, interval) IS
    'Of a row that is settled again: what there is to tell of the change, in the message that waits unsent or in a new one. A first settlement''s message is settle_new''s.';

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
        last.outcome := 'reopened';
    END IF;
    IF last.id IS NULL OR last.outcome = 'reopened' THEN
        -- The row may have come back to a run whose message reopen() had withdrawn: it is made anew.
        IF last.outcome = 'reopened' AND r.terminal_status IS NOT NULL THEN
            DELETE FROM runledger.notifications
                WHERE generation_id = g.id AND run_id = p_run_id
                  AND state = 'skipped' AND last_error = runledger.withdrawn();
        END IF;
        SELECT settled.outcome, settled.detail INTO STRICT outcome, detail
            FROM runledger.settle_new(ARRAY[p_run_id], p_outputs_grace, p_duration_max) AS settled;
        RETURN;
    END IF;

    IF r.terminal_status IS NULL THEN
        outcome := 'not_ended';
        RETURN;
    END IF;
    s := runledger.settlement_of(g, r, last, p_duration_max);
    SELECT * INTO merged FROM runledger.run_payload(p_run_id);
    s.output_count := merged.output_count;
    IF runledger.is_edited_by_hand(g, last) THEN
        PERFORM runledger.report_edit(s, g, 'the row no longer says what was settled; it is left as it is');
        outcome := 'edited_by_hand';
        RETURN;
    END IF;
    s.outcome := CASE WHEN s.keeps_status THEN 'kept' ELSE 'resettled' END;
    s.why := runledger.why_resettled(s, last, g.response_payload IS DISTINCT FROM merged.payload);
    IF s.why IS NULL THEN
        outcome := 'unchanged';
        RETURN;
    END IF;
    PERFORM runledger.write_settlement(s, g, merged.payload);
    IF NOT s.keeps_status THEN
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
