-- Settlements: their values, their difference from the last one, and the one function that writes them.
CREATE OR REPLACE FUNCTION runledger.each_of(p_values anyarray) RETURNS SETOF anyelement
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
BEGIN
    RETURN QUERY SELECT * FROM pg_catalog.unnest(p_values);
END
$$;
COMMENT ON FUNCTION runledger.each_of(anyarray) IS
    'unnest() for which the planner expects one row. So the plan always looks each value up by index, even if the joined table seems small when the plan is made, and the plan is kept for any number of values.';

CREATE OR REPLACE FUNCTION runledger.last_settlement(p_generation_id bigint) RETURNS runledger.settlements
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last runledger.settlements;
BEGIN
    SELECT * INTO last FROM runledger.settlements
        WHERE generation_id = p_generation_id AND outcome <> 'edited_by_hand' AND NOT row_is_gone ORDER BY id DESC LIMIT 1;
    RETURN last;
END
$$;
COMMENT ON FUNCTION runledger.last_settlement(bigint) IS
    'The last settlement that was written to the row; NULLs if there is none. Not those of a deleted row that had the id before.';

CREATE OR REPLACE FUNCTION runledger.is_imported(p_generation_id bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM runledger.imported_documents WHERE generation_id = p_generation_id);
END
$$;
COMMENT ON FUNCTION runledger.is_imported(bigint) IS
    'Whether `runledger import` has made the generation: then what its document says of its ending stays.';

CREATE OR REPLACE FUNCTION runledger.leave_id_of_deleted_rows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE runledger.settlements AS s SET row_is_gone = true
        FROM (SELECT DISTINCT id FROM gone) AS g WHERE s.generation_id = g.id AND NOT s.row_is_gone;
    UPDATE runledger.imported_documents AS d SET generation_id = NULL FROM gone AS g WHERE d.generation_id = g.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.leave_id_of_deleted_rows() IS
    'Marks the settlements of deleted generations, and takes the generations from their documents: another row may get the id, and has nothing to do with them.';

CREATE OR REPLACE FUNCTION runledger.leave_all_ids() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- TRUNCATE removes rows that an older snapshot does not see, too. A DELETE with one is refused by PostgreSQL itself: a
    -- settlement changes its row.
    PERFORM runledger.check_sees_commits();
    UPDATE runledger.settlements SET row_is_gone = true WHERE NOT row_is_gone;
    UPDATE runledger.imported_documents SET generation_id = NULL WHERE generation_id IS NOT NULL;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.leave_all_ids() IS
    'As leave_id_of_deleted_rows, when generations is truncated. Raises invalid_transaction_state unless the transaction is READ COMMITTED.';

CREATE OR REPLACE FUNCTION runledger.is_edited_by_hand(g runledger.generations, last runledger.settlements) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (g.status, CASE WHEN last.keeps_status THEN left(g.status_reason, 1000) ELSE g.status_reason END,
            g.response_timestamp, g.duration_ms, g.cost_usd, g.cost_note)
           IS DISTINCT FROM
           (last.status, last.status_reason, last.finished_at, round(last.duration_us / 1000.0, 3), last.cost_usd,
            last.cost_note)
        OR last.response_payload_md5 IS NOT NULL
           AND last.response_payload_md5 IS DISTINCT FROM md5(g.response_payload::text);
COMMENT ON FUNCTION runledger.is_edited_by_hand(runledger.generations, runledger.settlements) IS
    'Whether a settled column of the row differs from its last settlement.';

CREATE OR REPLACE FUNCTION runledger.edited_columns(g runledger.generations, last runledger.settlements) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN nullif(concat_ws(', ',
        CASE WHEN g.status IS DISTINCT FROM last.status THEN 'status' END,
        CASE WHEN CASE WHEN last.keeps_status THEN left(g.status_reason, 1000) ELSE g.status_reason END
                  IS DISTINCT FROM last.status_reason THEN 'status_reason' END,
        CASE WHEN g.response_timestamp IS DISTINCT FROM last.finished_at THEN 'response_timestamp' END,
        CASE WHEN g.duration_ms IS DISTINCT FROM round(last.duration_us / 1000.0, 3) THEN 'duration_ms' END,
        CASE WHEN g.cost_usd IS DISTINCT FROM last.cost_usd THEN 'cost_usd' END,
        CASE WHEN g.cost_note IS DISTINCT FROM last.cost_note THEN 'cost_note' END,
        CASE WHEN last.response_payload_md5 IS NOT NULL
                  AND last.response_payload_md5 IS DISTINCT FROM md5(g.response_payload::text) THEN 'response_payload' END), '');
COMMENT ON FUNCTION runledger.edited_columns(runledger.generations, runledger.settlements) IS
    'Names of the settled columns of the row that differ from its last settlement; NULL: none does.';

CREATE OR REPLACE FUNCTION runledger.settled_columns(g runledger.generations) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object(
        'status', g.status, 'status_reason', left(g.status_reason, 1000), 'duration_ms', g.duration_ms,
        'cost_usd', g.cost_usd, 'cost_note', g.cost_note, 'response_timestamp', g.response_timestamp);
COMMENT ON FUNCTION runledger.settled_columns(runledger.generations) IS
    'The settled columns in the form of settlements.before; of status_reason the first 1000 characters.';

CREATE OR REPLACE FUNCTION runledger.settlement_of(
    g runledger.generations, r runledger.runs, last runledger.settlements, p_duration_max interval)
    RETURNS runledger.settlements LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s runledger.settlements;
    timing record;
    rate record;
    is_imported boolean := false;
    given_at timestamptz;
    given_us bigint;
    given_cost numeric;
BEGIN
    s.generation_id := g.id;
    s.run_id := r.run_id;
    s.running_at := r.running_at;
    s.finished_at := runledger.ended_at(r);

    -- An ending that the application wrote itself stays.
    s.keeps_status := CASE WHEN last.id IS NULL THEN g.status NOT IN ('pending', 'processing') ELSE last.keeps_status END;
    IF s.keeps_status THEN
        s.status := g.status;
        -- The row keeps all of it. The audit and webhooks have room for a sentence.
        s.status_reason := left(g.status_reason, 1000);
        -- So do the time and the cost that it wrote, if the ledger knows none; of an imported row in any case.
        is_imported := runledger.is_imported(g.id);
        IF last.id IS NULL THEN
            given_at := CASE WHEN isfinite(g.response_timestamp) THEN g.response_timestamp END;
            given_us := CASE WHEN g.duration_ms BETWEEN 0 AND 1e15 THEN round(g.duration_ms * 1000) END;
            given_cost := CASE WHEN g.cost_usd >= 0 AND g.cost_usd < 'Infinity' THEN g.cost_usd END;
        ELSE
            given_at := last.finished_at;
            given_us := CASE WHEN last.duration_clock = 'application' THEN last.duration_us END;
            given_cost := CASE WHEN last.rate_amount IS NULL THEN last.cost_usd END;
        END IF;
        IF is_imported THEN
            s.finished_at := coalesce(given_at, s.finished_at);
        END IF;
    ELSE
        s.status := CASE r.terminal_status
            WHEN 'success' THEN 'completed' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END;
        s.status_reason := runledger.run_reason(r);
    END IF;

    SELECT * INTO timing FROM runledger.run_timing(r, p_duration_max);
    s.duration_us := timing.duration_us;
    s.duration_clock := timing.clock;
    s.duration_note := timing.note;

    -- A rate is copied once; a corrected one prices a row that had none. One that gpu_rates gave is that of an instant,
    -- so it is looked up again where another ending counts.
    IF last.rate_source = 'gpu_rates' AND last.finished_at IS DISTINCT FROM s.finished_at THEN
        SELECT * INTO rate FROM runledger.rate_for(jsonb_build_object('gpu', last.gpu), s.finished_at);
        last.rate_amount := NULL;
    ELSE
        SELECT * INTO rate FROM runledger.rate_for(g.metadata, s.finished_at);
    END IF;
    IF last.rate_amount IS NOT NULL THEN
        s.rate_amount := last.rate_amount;
        s.rate_unit := last.rate_unit;
        s.rate_source := last.rate_source;
        s.token_count := last.token_count;
        s.gpu := CASE last.rate_source WHEN 'gpu_rates' THEN last.gpu ELSE coalesce(rate.gpu, last.gpu) END;
    ELSE
        s.rate_amount := rate.amount;
        s.rate_unit := rate.unit;
        s.rate_source := rate.source;
        s.token_count := rate.token_count;
        s.gpu := rate.gpu;
    END IF;

    -- Only a success is charged, whatever status the application gave the row.
    IF r.terminal_status <> 'success' THEN
        s.cost_note := 'not_charged';
    ELSIF s.rate_amount IS NULL THEN
        s.cost_note := rate.note;
    ELSE
        s.cost_usd := runledger.cost_of(s.rate_amount, s.rate_unit, s.duration_us, s.token_count);
        -- A price that no duration is in needs none.
        IF runledger.unit_us(s.rate_unit) IS NOT NULL THEN
            s.cost_note := s.duration_note;
        END IF;
    END IF;
    IF given_us IS NOT NULL AND (is_imported OR s.duration_us IS NULL) THEN
        IF s.duration_us IS NOT NULL THEN
            s.duration_note := NULL;
        END IF;
        s.duration_us := given_us;
        s.duration_clock := 'application';
    END IF;
    -- That a failed run costs nothing is known.
    IF given_cost IS NOT NULL
       AND (is_imported OR s.cost_usd IS NULL AND s.cost_note IS DISTINCT FROM 'not_charged') THEN
        s.cost_usd := given_cost;
        s.cost_note := NULL;
        s.rate_amount := NULL;
        s.rate_unit := NULL;
        s.rate_source := NULL;
        s.token_count := NULL;
    END IF;
    RETURN s;
END
$$;
COMMENT ON FUNCTION runledger.settlement_of(runledger.generations, runledger.runs, runledger.settlements, interval) IS
    'The values for the row of a run that ended, as a settlement that is not written yet: without outcome, why and before.';

CREATE OR REPLACE FUNCTION runledger.why_resettled(
    s runledger.settlements, last runledger.settlements, p_outputs_changed boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT p_outputs_changed
       AND s.status = last.status
       AND s.duration_us IS NOT DISTINCT FROM last.duration_us
       AND s.cost_usd IS NOT DISTINCT FROM last.cost_usd THEN
        RETURN CASE WHEN (s.cost_note, s.finished_at, s.status_reason)
                         IS DISTINCT FROM (last.cost_note, last.finished_at, last.status_reason)
                    THEN 'the ending''s time, reason or note changed' END;
    END IF;
    RETURN concat_ws(', ',
        CASE WHEN s.status <> last.status THEN format('status was %s', last.status) END,
        CASE WHEN s.duration_us IS DISTINCT FROM last.duration_us THEN 'timing changed' END,
        CASE WHEN s.cost_usd IS DISTINCT FROM last.cost_usd THEN 'cost changed' END,
        CASE WHEN p_outputs_changed THEN 'outputs changed' END);
END
$$;
COMMENT ON FUNCTION runledger.why_resettled(runledger.settlements, runledger.settlements, boolean) IS
    'How a settlement differs from the last one; NULL: it does not.';

CREATE OR REPLACE FUNCTION runledger.tell_settled(p_generation_id jsonb, p_run_id text, p_status text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.tell_listeners('runledger_settled', json_build_object(
        'generation_id', p_generation_id, 'run_id', p_run_id, 'status', p_status)::text);
END
$$;
COMMENT ON FUNCTION runledger.tell_settled(jsonb, text, text) IS
    'NOTIFY runledger_settled, {"generation_id": …, "run_id": …, "status": …}, the generation by handle_of: listeners receive it when the settlement is committed.';

CREATE OR REPLACE FUNCTION runledger.draft_of(
    g runledger.generations, r runledger.runs, last runledger.settlements, p_duration_max interval)
    RETURNS runledger.settlement_draft LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s runledger.settlements := runledger.settlement_of(g, r, last, p_duration_max);
    merged record;
BEGIN
    SELECT * INTO merged FROM runledger.run_payload(r.run_id);
    s.output_count := merged.output_count;
    IF s.keeps_status THEN
        s.outcome := 'kept';
        -- What the application wrote, if the ledger knows no outputs; of an imported row in any case.
        IF g.response_payload IS NOT NULL AND (merged.output_count = 0 OR runledger.is_imported(g.id)) THEN
            merged.payload := g.response_payload;
        END IF;
    ELSE
        s.outcome := CASE WHEN last.id IS NULL THEN 'settled' ELSE 'resettled' END;
    END IF;
    IF last.id IS NOT NULL THEN
        s.why := runledger.why_resettled(s, last, g.response_payload IS DISTINCT FROM merged.payload);
    ELSIF s.keeps_status THEN
        s.why := format('the application had written %s, the run ended: %s', g.status, r.terminal_status);
    ELSE
        s.why := 'the run ended: ' || r.terminal_status;
    END IF;
    RETURN ROW(g, s, merged.payload);
END
$$;
COMMENT ON FUNCTION runledger.draft_of(runledger.generations, runledger.runs, runledger.settlements, interval) IS
    'The settlement of a run that ended, ready to be written. last is the last one that was written to the row, NULL for the first. Its why is NULL if nothing differs from the last one.';

CREATE OR REPLACE FUNCTION runledger.write_settlements(p_drafts runledger.settlement_draft[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    written record;
    settlement_ids bigint[] := '{}';
BEGIN
    FOR written IN
        WITH draft AS MATERIALIZED (
            SELECT (d.settlement).*, runledger.settled_columns(d.generation) AS stood_before, d.payload
            FROM runledger.each_of(p_drafts) AS d
        ),
        audited AS (
            INSERT INTO runledger.settlements (
                generation_id, run_id, outcome, why, status, status_reason, keeps_status, running_at, finished_at,
                duration_us, duration_clock, duration_note, gpu, rate_amount, rate_unit, rate_source, cost_usd,
                cost_note, output_count, response_payload_md5, before, token_count, settled_at)
            SELECT generation_id, run_id, outcome, why, status, status_reason, keeps_status, running_at, finished_at,
                   duration_us, duration_clock, duration_note, gpu, rate_amount, rate_unit, rate_source, cost_usd,
                   cost_note, output_count, md5(payload::text), stood_before,
                   token_count,
                   -- Each is later than the one before it, whatever the clock says. So a receiver can order what it
                   -- gets by it, also if the database goes back to an earlier point and gives numbers a second time.
                   greatest(clock_timestamp(), (
                       SELECT earlier.settled_at + interval '1 microsecond' FROM runledger.settlements AS earlier
                       WHERE earlier.generation_id = draft.generation_id ORDER BY earlier.id DESC LIMIT 1))
            FROM draft ORDER BY generation_id
            RETURNING id, generation_id
        ),
        replaced AS (
            -- Not those that this statement writes: it does not see them.
            UPDATE runledger.settlements AS older SET is_replaced = true
            FROM draft AS d
            WHERE older.generation_id = d.generation_id AND older.run_id = d.run_id AND NOT older.is_replaced
                  AND d.outcome <> 'edited_by_hand'
        )
        UPDATE runledger.generations AS g SET
            status = d.status,
            status_reason = CASE WHEN d.keeps_status THEN g.status_reason ELSE d.status_reason END,
            response_timestamp = d.finished_at,
            response_payload = d.payload,
            duration_ms = round(d.duration_us / 1000.0, 3),
            cost_usd = d.cost_usd,
            cost_note = d.cost_note,
            updated_at = runledger.later_than(g.updated_at)
        FROM draft AS d JOIN audited AS a ON a.generation_id = d.generation_id
        WHERE g.id = d.generation_id AND d.outcome <> 'edited_by_hand'
        RETURNING runledger.handle_of(g.id, g.application_id::text) AS id, g.run_id, d.status, a.id AS settlement_id
    LOOP
        PERFORM runledger.tell_settled(written.id, written.run_id, written.status);
        settlement_ids := settlement_ids || written.settlement_id;
    END LOOP;
    PERFORM runledger.queue_webhooks(settlement_ids);
END
$$;
COMMENT ON FUNCTION runledger.write_settlements(runledger.settlement_draft[]) IS
    'The only writer of settlements. For each (at most one for a generation) it writes the audit row with the values before, updates the generation, notifies listeners, and writes the webhooks about it to the outbox. A settlement that reports an edit by hand changes no generation.';
