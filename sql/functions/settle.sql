-- Settling: settle_runs takes many runs that are settled for the first time, settle_run any single run.
CREATE OR REPLACE FUNCTION runledger.report_edit(s runledger.settlements, g runledger.generations, p_why text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Once, until the row has the settled values again.
    IF (SELECT outcome FROM runledger.settlements WHERE generation_id = g.id AND NOT row_is_gone ORDER BY id DESC LIMIT 1)
       = 'edited_by_hand' THEN
        RETURN;
    END IF;
    s.outcome := 'edited_by_hand';
    s.why := p_why;
    PERFORM runledger.write_settlements(ARRAY[ROW(g, s, g.response_payload)::runledger.settlement_draft]);
END
$$;
COMMENT ON FUNCTION runledger.report_edit(runledger.settlements, runledger.generations, text) IS
    'Reports in the audit, once, that the row was edited by hand and is left unchanged.';

CREATE OR REPLACE FUNCTION runledger.keeps_edit(g runledger.generations, last runledger.settlements) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    -- Who gives the row to another run and says that it has not ended tries again, and leaves the rest to the ledger. It
    -- can't empty each column: those of an adopted table are beside its own.
    RETURN runledger.is_edited_by_hand(g, last) AND g.status NOT IN ('pending', 'processing');
COMMENT ON FUNCTION runledger.keeps_edit(runledger.generations, runledger.settlements) IS
    'Whether a row that names another run now is left as it is, because it was edited by hand since its last settlement, and still says that it has ended.';

CREATE OR REPLACE FUNCTION runledger.reopen(g runledger.generations, last runledger.settlements) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s runledger.settlements := last;
BEGIN
    IF runledger.keeps_edit(g, last) THEN
        PERFORM runledger.report_edit(s, g, format(
            'the row names %s run now, but it no longer says what this one settled; it is left as it is',
            CASE WHEN g.run_id IS NULL THEN 'no' ELSE 'another' END));
        RETURN false;
    END IF;
    s := NULL;
    s.generation_id := g.id;
    s.run_id := last.run_id;
    s.outcome := 'reopened';
    -- No run's id stands in a text: forgetting one would have to look for it in every text.
    s.why := format('the row names %s run now: what this one gave it is withdrawn',
                    CASE WHEN g.run_id IS NULL THEN 'no' ELSE 'another' END);
    s.keeps_status := last.keeps_status;
    s.status := CASE WHEN last.keeps_status THEN g.status ELSE 'pending' END;
    s.status_reason := CASE WHEN last.keeps_status THEN left(g.status_reason, 1000) END;
    s.output_count := 0;
    PERFORM runledger.write_settlements(ARRAY[ROW(g, s, NULL)::runledger.settlement_draft]);
    -- Sent messages stay. Those that wait, or that were only logged and can be sent later, would be about a picture
    -- that is no longer this row's. Receivers of webhooks get each settlement, and now that it is withdrawn.
    UPDATE runledger.notifications
        SET state = 'skipped', last_error = runledger.withdrawn()
        WHERE generation_id = g.id AND run_id = last.run_id AND channel = 'telegram'
              AND state IN ('pending', 'logged');
    RETURN true;
END
$$;
COMMENT ON FUNCTION runledger.reopen(runledger.generations, runledger.settlements) IS
    'Withdraws another run''s results from a row: it is pending again, without time and cost, with an audit row; its unsent notifications are skipped. False if the row was edited by hand: this is reported, and nothing else is done.';

CREATE OR REPLACE FUNCTION runledger.reopen_rows_of(p_run_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stale bigint;
    g runledger.generations;
    last runledger.settlements;
BEGIN
    -- If a row has lost its run_id and no other row has it, the row keeps its results: the money was spent, and one row
    -- must show it.
    FOR stale IN
        SELECT named.id FROM runledger.generations AS named
        WHERE named.id IN (SELECT generation_id FROM runledger.settlements WHERE run_id = p_run_id)
          AND named.run_id IS DISTINCT FROM p_run_id
          AND (named.run_id IS NOT NULL OR EXISTS (SELECT FROM runledger.generations WHERE run_id = p_run_id))
        ORDER BY named.id
    LOOP
        SELECT * INTO g FROM runledger.generations WHERE id = stale FOR NO KEY UPDATE NOWAIT;
        last := runledger.last_settlement(stale);
        IF g.run_id IS DISTINCT FROM p_run_id AND last.run_id = p_run_id AND last.outcome <> 'reopened' THEN
            PERFORM runledger.reopen(g, last);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION runledger.reopen_rows_of(text) IS
    'Reopens the rows that a run had settled and that name another run now. Raises lock_not_available if one is locked.';

CREATE OR REPLACE FUNCTION runledger.reopen_row_for(p_run_id text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g runledger.generations;
    last runledger.settlements;
BEGIN
    SELECT * INTO g FROM runledger.generations WHERE run_id = p_run_id;
    last := runledger.last_settlement(g.id);
    IF last.outcome <> 'reopened' AND last.run_id <> p_run_id THEN
        SELECT * INTO g FROM runledger.generations WHERE id = g.id FOR NO KEY UPDATE NOWAIT;
        last := runledger.last_settlement(g.id);
        IF g.run_id = p_run_id AND last.run_id <> p_run_id AND last.outcome <> 'reopened' THEN
            PERFORM runledger.reopen(g, last);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.reopen_row_for(text) IS
    'Reopens the row that names a run, if another run has settled it. Raises lock_not_available if it would, and the row is locked.';

CREATE OR REPLACE FUNCTION runledger.settle_new(
    p_run_ids text[], p_outputs_grace interval, p_duration_max interval,
    OUT run_id text, OUT outcome text, OUT detail text)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held text[];
    rows_held runledger.generations[];
    seen text[] := '{}';
    drafts runledger.settlement_draft[] := '{}';
    draft runledger.settlement_draft;
    begun_ids bigint[] := '{}';
    known record;
BEGIN
    -- One settlement of a run at a time. Whatever queued these runs had committed before the queue was read, so each
    -- statement from here on sees it.
    held := ARRAY(
        SELECT asked.id FROM runledger.each_of(p_run_ids) AS asked (id)
        WHERE pg_try_advisory_xact_lock(hashtextextended('runledger.settle_run ' || asked.id, 0)));
    -- NO KEY: an INSERT whose foreign key refers to the row does not wait.
    rows_held := ARRAY(
        SELECT g FROM runledger.each_of(held) AS asked (id) JOIN runledger.generations AS g ON g.run_id = asked.id
        ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED);

    FOR known IN
        SELECT g, (SELECT r FROM runledger.runs AS r WHERE r.run_id = g.run_id) AS r
        FROM runledger.each_of(rows_held) AS g
        WHERE coalesce((
            SELECT last.outcome = 'reopened' FROM runledger.settlements AS last
            WHERE last.generation_id = g.id AND last.outcome <> 'edited_by_hand' AND NOT last.row_is_gone
            ORDER BY last.id DESC LIMIT 1), true)
    LOOP
        run_id := (known.g).run_id;
        detail := NULL;
        seen := seen || run_id;
        IF (known.r).terminal_status IS NOT NULL THEN
            draft := runledger.draft_of(known.g, known.r, NULL, p_duration_max);
            drafts := drafts || draft;
            outcome := (draft.settlement).outcome;
            detail := (draft.settlement).why;
        ELSIF (known.r).run_id IS NULL THEN
            outcome := 'no_run';
            PERFORM runledger.scrub_if_forgotten((known.g).run_id);
        ELSIF (known.g).status = 'pending' AND (known.r).running_at IS NOT NULL THEN
            begun_ids := begun_ids || (known.g).id;
            outcome := 'processing';
        ELSE
            outcome := 'not_ended';
        END IF;
        RETURN NEXT;
    END LOOP;

    IF cardinality(drafts) > 0 THEN
        PERFORM runledger.write_settlements(drafts);
        PERFORM runledger.queue_endings(drafts, p_outputs_grace);
    END IF;
    IF cardinality(begun_ids) > 0 THEN
        UPDATE runledger.generations AS g SET status = 'processing', updated_at = runledger.later_than(g.updated_at)
            FROM runledger.each_of(begun_ids) AS begun (id) WHERE g.id = begun.id;
    END IF;
    IF cardinality(seen) < cardinality(held) THEN
        RETURN QUERY SELECT absent.id, absent.outcome, NULL::text FROM (
            SELECT asked.id, CASE
                WHEN (SELECT true FROM runledger.generations AS g WHERE g.run_id = asked.id) THEN NULL
                WHEN (SELECT true FROM runledger.runs AS r WHERE r.run_id = asked.id) THEN 'no_generation'
                ELSE 'no_run' END AS outcome
            FROM (SELECT * FROM unnest(held) EXCEPT SELECT * FROM unnest(seen)) AS asked (id)) AS absent
        WHERE absent.outcome IS NOT NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.settle_new(text[], interval, interval) IS
    'Settles the generations of these runs (each at most once) that have no settlement yet: writes rows, audit rows and notifications with a few statements for all. outcome and detail as in settle_run. No row for a run that another transaction is settling, or whose generation is locked or was settled before.';

CREATE OR REPLACE FUNCTION runledger.settle_runs(
    p_run_ids text[], p_outputs_grace interval, p_duration_max interval,
    OUT run_id text, OUT outcome text, OUT detail text)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- The application's deferred constraints refuse here, not at COMMIT.
    SET CONSTRAINTS ALL IMMEDIATE;
    -- A run that has settled a row before may have to be withdrawn; settle_run does that.
    RETURN QUERY SELECT * FROM runledger.settle_new(
        ARRAY(SELECT asked.id FROM runledger.each_of(p_run_ids) AS asked (id)
              WHERE (SELECT true FROM runledger.settlements AS s WHERE s.run_id = asked.id LIMIT 1) IS NULL),
        p_outputs_grace, p_duration_max);
EXCEPTION
    -- One of them was refused, and it is unknown which; nothing was changed.
    WHEN query_canceled OR OTHERS THEN
        RETURN;
END
$$;
COMMENT ON FUNCTION runledger.settle_runs(text[], interval, interval) IS
    'Settles together those of the runs that are settled for the first time. Returns no row for a run that settle_run has to settle: one that was settled before, is locked or busy. If one row is refused, all are rolled back, and no row is returned.';

CREATE OR REPLACE FUNCTION runledger.settle_run(
    p_run_id text, p_outputs_grace interval, p_duration_max interval,
    OUT outcome text, OUT detail text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r runledger.runs;
    g runledger.generations;
    last runledger.settlements;
    s runledger.settlements;
    draft runledger.settlement_draft;
BEGIN
    -- The application's deferred constraints refuse here, where it is known whose row they refuse, not at COMMIT.
    SET CONSTRAINTS ALL IMMEDIATE;
    -- One settlement of a run at a time; the other transaction tries again a moment later.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('runledger.settle_run ' || p_run_id, 0)) THEN
        outcome := 'busy';
        RETURN;
    END IF;

    -- Whatever queued this run had committed before the queue was read, so each statement from here on sees it.
    SELECT * INTO r FROM runledger.runs WHERE run_id = p_run_id;
    IF r.run_id IS NULL THEN
        -- Not heard of yet, or removed by retention: then the row that it settled keeps what it cost, since no other row
        -- can be given it. But the row that names it keeps nothing of another run.
        BEGIN
            PERFORM runledger.reopen_row_for(p_run_id);
            PERFORM runledger.scrub_if_forgotten(p_run_id);
            outcome := 'no_run';
        EXCEPTION WHEN lock_not_available THEN
            outcome := 'locked';
            detail := 'the generations row is locked by another transaction';
        END;
        RETURN;
    END IF;
    BEGIN
        PERFORM runledger.reopen_rows_of(p_run_id);
        SELECT * INTO g FROM runledger.generations WHERE run_id = p_run_id FOR NO KEY UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        outcome := 'locked';
        detail := 'the generations row is locked by another transaction';
        RETURN;
    END;
    IF g.id IS NULL THEN
        outcome := 'no_generation';
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
        -- The row, or a deleted one of its id, may name a run again whose message reopen() had withdrawn: the message is
        -- made anew.
        IF r.terminal_status IS NOT NULL THEN
            DELETE FROM runledger.notifications
                WHERE generation_id = g.id AND run_id = p_run_id
                  AND state = 'skipped' AND last_error = runledger.withdrawn();
        END IF;
        SELECT settled.outcome, settled.detail INTO STRICT outcome, detail
            FROM runledger.settle_new(ARRAY[p_run_id], p_outputs_grace, p_duration_max) AS settled;
        IF outcome = 'settled' THEN
            PERFORM runledger.queue_late_corrections(g.id);
        END IF;
        RETURN;
    END IF;

    IF r.terminal_status IS NULL THEN
        outcome := 'not_ended';
        RETURN;
    END IF;
    draft := runledger.draft_of(g, r, last, p_duration_max);
    s := draft.settlement;
    IF runledger.is_edited_by_hand(g, last) THEN
        PERFORM runledger.report_edit(s, g, 'the row no longer says what was settled; it is left as it is');
        outcome := 'edited_by_hand';
        RETURN;
    END IF;
    IF s.why IS NULL THEN
        outcome := 'unchanged';
        RETURN;
    END IF;
    PERFORM runledger.write_settlements(ARRAY[draft]);
    IF NOT s.keeps_status THEN
        PERFORM runledger.queue_notification(g, last, s.status, s.status_reason, s.duration_us, s.cost_usd, s.cost_note,
                                             draft.payload -> 'outputs', s.output_count, p_outputs_grace);
    END IF;
    outcome := s.outcome;
    detail := s.why;
EXCEPTION
    WHEN SQLSTATE 'RL002' THEN  -- hold_periods.
        outcome := 'busy';
        detail := SQLERRM;
    -- The application's own triggers and constraints may refuse the row, or hang until statement_timeout: this affects
    -- only this run.
    WHEN query_canceled OR OTHERS THEN
        outcome := 'failed';
        detail := left(SQLSTATE || ': ' || SQLERRM, 1000);
END
$$;
COMMENT ON FUNCTION runledger.settle_run(text, interval, interval) IS
    'Settles the generations row of a run: writes the row, its audit row and the notification together. outcome: settled, resettled, kept, edited_by_hand, processing, unchanged (nothing to do), not_ended, no_run, no_generation (not both exist yet), busy or locked (try again), failed (detail says why; nothing was changed).';
