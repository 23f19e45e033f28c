-- Closed months. close_period() copies the lines of a month and adds them up; from then on a trigger on settlements
-- posts a correction for each change of a run in it. Two advisory locks order them, so that each settlement is either in
-- the lines or a correction, never both and never neither:
--   runledger.periods      shared by each transaction that settles, before it has the number of its settlement, until
--                          it has ended; close_period() takes it alone for the last step.
--   runledger.corrections  shared by each that posts a correction, before it reads the clock, until it has ended;
--                          close_period() and statement() take it alone, so that no correction with an earlier instant
--                          appears afterwards.
-- They are taken in this order.
CREATE OR REPLACE FUNCTION runledger.next_period(period text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(to_date(period || '-01', 'YYYY-MM-DD') + interval '1 month', 'YYYY-MM');
COMMENT ON FUNCTION runledger.next_period(text) IS 'The month after this one: 2026-07 after 2026-06.';

CREATE OR REPLACE FUNCTION runledger.sum_billed(sum_of_known numeric, unpriced bigint) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN sum_of_known IS NULL AND unpriced = 0 THEN 0 ELSE sum_of_known END;
COMMENT ON FUNCTION runledger.sum_billed(numeric, bigint) IS
    'What runs cost together: a sum of no cost is 0 if none of them is without a price; NULL, which is unknown, only if one is.';

CREATE OR REPLACE FUNCTION runledger.check_is_month(p_period text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_period IS NULL OR p_period !~ '^[1-9][0-9]{3}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION '"%" is no month', p_period
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a month as 2026-06.';
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.check_is_month(text) IS 'Raises invalid_parameter_value if it is not a month, as 2026-06.';

CREATE OR REPLACE FUNCTION runledger.check_sees_commits() RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'a month is settled, closed and stated, and generations is truncated, in a transaction that is READ COMMITTED, not %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state',
                  DETAIL = 'With an older snapshot it would not see what was committed while it waited for a lock.';
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.check_sees_commits() IS
    'Raises invalid_transaction_state unless each statement of the transaction sees what was committed before it.';

CREATE OR REPLACE FUNCTION runledger.take_lock_alone(p_name text, p_waits boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    lock_key CONSTANT bigint := hashtextextended(p_name, 0);
BEGIN
    -- Transactions that settle are short and have gaps between them. Who waits in the lock's queue has all the later
    -- ones wait behind him, so this comes last, and never for long.
    FOR attempt IN 1..2000 LOOP
        IF pg_try_advisory_xact_lock(lock_key) THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.002);
    END LOOP;
    FOR attempt IN 1..5 LOOP
        EXIT WHEN NOT p_waits;
        BEGIN
            PERFORM pg_advisory_xact_lock(lock_key);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.5);
        END;
    END LOOP;
    RAISE EXCEPTION 'a transaction that settles runs has been open for seconds'
        USING ERRCODE = 'lock_not_available', HINT = 'Nothing was changed. Try again when it has ended.';
END
$$;
COMMENT ON FUNCTION runledger.take_lock_alone(text, boolean) IS
    'Takes the advisory lock of this name until the transaction or savepoint ends, within a few seconds. p_waits: at last also by waiting in its queue, half a second at a time. Raises lock_not_available.';

CREATE OR REPLACE FUNCTION runledger.hold_periods() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lock_key CONSTANT bigint := hashtextextended('runledger.periods', 0);
BEGIN
    PERFORM runledger.check_sees_commits();
    IF NOT pg_try_advisory_xact_lock_shared(lock_key) THEN
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(lock_key);
        EXCEPTION WHEN lock_not_available THEN
            -- By an error of its own: settle tries again soon, and tells nobody that a row was refused.
            RAISE EXCEPTION 'a month is being closed' USING ERRCODE = 'RL002', HINT = 'Try again in a moment.';
        END;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.hold_periods() IS
    'Before settlements are inserted: until the transaction ends, no month is closed. Its numbers come after the lock. Raises RL002 if a month is being closed for longer than lock_timeout.';

CREATE OR REPLACE FUNCTION runledger.post_corrections() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_closed runledger.closed_periods;
    drafts runledger.corrections[];
BEGIN
    SELECT * INTO last_closed FROM runledger.closed_periods ORDER BY ends_at DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- What the closed months say of these runs, beside the live books. By run, not by row: a run that was given to
    -- another row, or whose row was deleted, is billed once.
    SELECT array_agg(ROW(0, changed.period, '', '-infinity', '', n.outcome, n.id, was.settlement_id,
                         now.settlement_id, n.generation_id, was.status, now.status, was.duration_us, now.duration_us,
                         was.rate_amount, now.rate_amount, was.rate_unit, now.rate_unit, was.cost_usd, now.cost_usd, was.cost_note, now.cost_note,
                         0)::runledger.corrections ORDER BY n.id)
        INTO drafts
        FROM (
            SELECT DISTINCT ON (s.run_id, said.period) s.run_id, said.*
            FROM (SELECT DISTINCT w.run_id FROM written AS w WHERE w.outcome <> 'edited_by_hand') AS touched
            JOIN runledger.settlements AS s ON s.run_id = touched.run_id
            CROSS JOIN LATERAL (
                SELECT line.period, 0 AS correction_id, line.settlement_id, line.status, line.duration_us,
                       line.rate_amount, line.rate_unit, line.cost_usd, line.cost_note
                FROM runledger.closed_runs AS line WHERE line.settlement_id = s.id
                UNION ALL
                SELECT c.period, c.id, c.line_settlement_id, c.status_after, c.duration_us_after, c.rate_amount_after,
                       c.rate_unit_after, c.cost_usd_after, c.cost_note_after
                FROM runledger.corrections AS c WHERE c.settlement_id = s.id) AS said
            ORDER BY s.run_id, said.period, said.correction_id DESC) AS was
        FULL JOIN (
            SELECT b.*, p.period
            FROM (SELECT DISTINCT w.run_id FROM written AS w WHERE w.outcome <> 'edited_by_hand') AS touched
            JOIN runledger.billed_runs_v1 AS b ON b.run_id = touched.run_id
            JOIN runledger.closed_periods AS p ON b.finished_at >= p.begins_at AND b.finished_at < p.ends_at) AS now
            USING (run_id, period) AS changed
        CROSS JOIN LATERAL (
            SELECT w.id, w.outcome, w.generation_id FROM written AS w
            WHERE w.run_id = changed.run_id AND w.outcome <> 'edited_by_hand' ORDER BY w.id DESC LIMIT 1) AS n
        WHERE (was.status, was.duration_us, was.rate_amount, was.rate_unit, was.cost_usd, was.cost_note)
              IS DISTINCT FROM
              (now.status, now.duration_us, now.rate_amount, now.rate_unit, now.cost_usd, now.cost_note);
    IF drafts IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('runledger.corrections', 0));
    INSERT INTO runledger.corrections (
        period, posted_in, posted_at, posted_by, reason, settlement_id, replaced_settlement_id, line_settlement_id,
        generation_id, status_before, status_after, duration_us_before, duration_us_after, rate_amount_before,
        rate_amount_after, rate_unit_before, rate_unit_after, cost_usd_before, cost_usd_after, cost_note_before, cost_note_after)
    SELECT d.period, runledger.next_period(last_closed.period), clock_timestamp(), session_user, d.reason,
           d.settlement_id, d.replaced_settlement_id, d.line_settlement_id, d.generation_id,
           d.status_before, d.status_after, d.duration_us_before, d.duration_us_after, d.rate_amount_before,
           d.rate_amount_after, d.rate_unit_before, d.rate_unit_after, d.cost_usd_before, d.cost_usd_after,
           d.cost_note_before, d.cost_note_after
    FROM unnest(drafts) AS d;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.post_corrections() IS
    'After settlements are inserted: posts a correction for each that changes a line of a closed month, adds one, or takes one out. With its owner''s rights, because the daemon has none on closed months.';

CREATE OR REPLACE FUNCTION runledger.refuse_change_of_closed_period() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- While it is being closed, close_period() takes back lines of runs that were settled again meanwhile.
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'closed_runs' THEN
        IF NOT EXISTS (SELECT FROM runledger.closed_periods WHERE period = OLD.period) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% on %: a closed month is never changed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'What changes later is posted as a correction into the open month.';
END
$$;
COMMENT ON FUNCTION runledger.refuse_change_of_closed_period() IS
    'Refuses UPDATE, DELETE and TRUNCATE on closed_periods, closed_runs and corrections, whoever asks.';

CREATE OR REPLACE FUNCTION runledger.refuse_line_of_closed_period() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM runledger.closed_periods AS p WHERE p.period IN (SELECT a.period FROM added AS a)) THEN
        RAISE EXCEPTION 'INSERT on closed_runs: a closed month gets no more lines'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'What changes later is posted as a correction into the open month.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.refuse_line_of_closed_period() IS
    'Refuses lines of a month that is closed, whoever inserts them. close_period() closes it behind its lines.';

CREATE OR REPLACE FUNCTION runledger.refuse_correction_in_closed_period() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM runledger.closed_periods AS p WHERE p.period IN (SELECT a.posted_in FROM added AS a)) THEN
        RAISE EXCEPTION 'INSERT on corrections: a closed month takes no more corrections'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'A correction is posted into the month that is open.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.refuse_correction_in_closed_period() IS
    'Refuses corrections that are posted into a month that is closed, whoever inserts them.';

CREATE OR REPLACE FUNCTION runledger.period_to_close(
    p_period text, OUT begins_at timestamptz, OUT ends_at timestamptz, OUT time_zone text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_closed record;
BEGIN
    PERFORM runledger.check_is_month(p_period);
    time_zone := runledger.time_zone_of_the_database();
    ends_at := runledger.report_day_begins_at(to_date(runledger.next_period(p_period) || '-01', 'YYYY-MM-DD'), time_zone);
    SELECT p.period, p.ends_at INTO last_closed FROM runledger.closed_periods_v1 AS p ORDER BY p.ends_at DESC LIMIT 1;
    IF NOT FOUND THEN
        begins_at := runledger.report_day_begins_at(to_date(p_period || '-01', 'YYYY-MM-DD'), time_zone);
        -- All months after the first one have to be closed: a wrong year would be for ever.
        IF ends_at <= clock_timestamp()
           AND NOT EXISTS (SELECT FROM runledger.billed_runs_v1 AS b WHERE b.finished_at < period_to_close.ends_at) THEN
            RAISE EXCEPTION 'no run that ended in % or before was ever settled', p_period
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'The first month that is closed is one with a run, or a later one.';
        END IF;
    ELSIF p_period <= last_closed.period THEN
        RAISE EXCEPTION 'the month % is before the first month that was closed', p_period
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'The closed months begin with that one; no month before it can be closed any more.';
    ELSIF p_period <> runledger.next_period(last_closed.period) THEN
        RAISE EXCEPTION 'the month % can''t be closed before %', p_period, runledger.next_period(last_closed.period)
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Close the months in their order.';
    ELSE
        -- Without a gap, also if report_time_zone() has changed since.
        begins_at := last_closed.ends_at;
    END IF;
    IF ends_at > clock_timestamp() THEN
        RAISE EXCEPTION 'the month % ends at %, which has not come', p_period, ends_at
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Close it when it has ended.';
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.period_to_close(text) IS
    'The bounds of a month that is not closed and may be closed now. Raises object_not_in_prerequisite_state if it may not: it has not ended, another one has to be closed first, it is the first and no run has ended by then, or the session has a time zone of its own.';

CREATE OR REPLACE FUNCTION runledger.unsettled_in(
    p_period text, p_begins_at timestamptz, p_ends_at timestamptz, p_are_allowed boolean) RETURNS bigint
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting text[] := ARRAY(SELECT u.run_id FROM runledger.unsettled_endings_v1 AS u
                            WHERE u.ended_at >= p_begins_at AND u.ended_at < p_ends_at ORDER BY u.ended_at, u.run_id);
BEGIN
    IF cardinality(waiting) > 0 AND NOT p_are_allowed THEN
        RAISE EXCEPTION '% runs that ended in % wait to be settled', cardinality(waiting), p_period
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'The first ones: ' || array_to_string(waiting[1:10], ', '),
                  HINT = 'runledger.unsettled_v1 says why. If the month is closed without them, they become corrections.';
    END IF;
    RETURN cardinality(waiting);
END
$$;
COMMENT ON FUNCTION runledger.unsettled_in(text, timestamptz, timestamptz, boolean) IS
    'How many runs that ended within these bounds wait to be settled. Raises object_not_in_prerequisite_state if there are some and they are not allowed.';

CREATE OR REPLACE FUNCTION runledger.last_ended_settlement() RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last_id bigint;
BEGIN
    -- The savepoint ends at once, and the lock with it.
    BEGIN
        PERFORM runledger.take_lock_alone('runledger.periods', true);
        SELECT coalesce(max(s.id), 0) INTO last_id FROM runledger.settlements AS s;
        RAISE EXCEPTION USING ERRCODE = 'RL001', MESSAGE = 'ends the savepoint';
    EXCEPTION WHEN SQLSTATE 'RL001' THEN
        NULL;  -- The variable keeps its value.
    END;
    RETURN last_id;
END
$$;
COMMENT ON FUNCTION runledger.last_ended_settlement() IS
    'A number of a settlement: the transactions of all up to it have ended. Raises lock_not_available.';

CREATE OR REPLACE FUNCTION runledger.settlements_after(p_id bigint) RETURNS bigint[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN ARRAY(SELECT s.id FROM runledger.settlements AS s WHERE s.id > p_id);
END
$$;
COMMENT ON FUNCTION runledger.settlements_after(bigint) IS
    'The settlements after this number, by the index, whatever the planner knows of the table.';

CREATE OR REPLACE FUNCTION runledger.copy_lines_again(
    p_period text, p_begins_at timestamptz, p_ends_at timestamptz, p_last_id bigint, p_sums runledger.line_sum[])
    RETURNS runledger.line_sum[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    settled_since bigint[] := runledger.settlements_after(p_last_id);
    changes runledger.line_sum[];
BEGIN
    -- By settlement, because forgetting may change the id of a run between two statements.
    WITH taken_back AS (
        DELETE FROM runledger.closed_runs AS line
        USING runledger.each_of(settled_since) AS since (id)
        JOIN runledger.settlements AS newer ON newer.id = since.id
        JOIN runledger.settlements AS copied ON copied.run_id = newer.run_id
        WHERE line.settlement_id = copied.id AND line.period = p_period
        RETURNING line.status, line.duration_us, line.cost_usd)
    SELECT array_agg(ROW(t.status, t.duration_us IS NOT NULL, scale(t.cost_usd), -1, -coalesce(t.duration_us, 0),
                         -coalesce(t.cost_usd, 0))::runledger.line_sum) INTO changes FROM taken_back AS t;
    WITH copied AS (
        INSERT INTO runledger.closed_runs
        SELECT DISTINCT ON (b.settlement_id) b.settlement_id, p_period, b.generation_id, b.finished_at, b.status,
               b.duration_us, b.gpu, b.rate_amount, b.rate_unit, b.cost_usd, b.cost_note
        FROM runledger.each_of(settled_since) AS since (id)
        JOIN runledger.settlements AS newer ON newer.id = since.id
        JOIN runledger.billed_runs_v1 AS b ON b.run_id = newer.run_id
        WHERE b.finished_at >= p_begins_at AND b.finished_at < p_ends_at
        RETURNING status, duration_us, cost_usd)
    SELECT changes || array_agg(ROW(c.status, c.duration_us IS NOT NULL, scale(c.cost_usd), 1, coalesce(c.duration_us, 0),
                                    coalesce(c.cost_usd, 0))::runledger.line_sum) INTO changes FROM copied AS c;
    -- By the digits of the cost: so a sum has as many as its lines, though others were taken out of it.
    RETURN ARRAY(
        SELECT ROW(part.status, part.has_duration, part.cost_scale, sum(part.lines), sum(part.duration_us),
                   sum(part.cost_usd))::runledger.line_sum
        FROM unnest(p_sums || changes) AS part
        GROUP BY part.status, part.has_duration, part.cost_scale HAVING sum(part.lines) > 0);
END
$$;
COMMENT ON FUNCTION runledger.copy_lines_again(text, timestamptz, timestamptz, bigint, runledger.line_sum[]) IS
    'Copies the lines of the runs with settlements after this number again, in a month that is being closed, and returns its sums with that change. What is committed meanwhile may be in it or not: call it again for that.';

CREATE OR REPLACE FUNCTION runledger.close_period(
    p_period text, p_allows_unsettled boolean DEFAULT false,
    OUT closed runledger.closed_periods, OUT is_new boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bounds record;
    last_id bigint;
    unsettled bigint;
    next_id bigint;
    sums runledger.line_sum[];
    taken record;
BEGIN
    PERFORM runledger.check_sees_commits();
    PERFORM runledger.check_is_month(p_period);
    PERFORM pg_advisory_xact_lock(hashtextextended('runledger.close_period', 0));
    SELECT * INTO closed FROM runledger.closed_periods AS p WHERE p.period = p_period;
    is_new := NOT FOUND;
    IF NOT is_new THEN
        RETURN;
    END IF;
    SELECT * INTO bounds FROM runledger.period_to_close(p_period);
    unsettled := runledger.unsettled_in(p_period, bounds.begins_at, bounds.ends_at, p_allows_unsettled);

    -- The lines are copied and added up while settling goes on. The runs that were settled meanwhile are copied again,
    -- until they are few: the last ones while nothing is settled, for a moment that does not depend on the month's size.
    last_id := runledger.last_ended_settlement();
    INSERT INTO runledger.closed_runs
    SELECT b.settlement_id, p_period, b.generation_id, b.finished_at, b.status, b.duration_us, b.gpu, b.rate_amount,
           b.rate_unit, b.cost_usd, b.cost_note
    FROM runledger.billed_runs_v1 AS b WHERE b.finished_at >= bounds.begins_at AND b.finished_at < bounds.ends_at;
    sums := ARRAY(
        SELECT ROW(line.status, line.duration_us IS NOT NULL, scale(line.cost_usd), count(*),
                   coalesce(sum(line.duration_us), 0), coalesce(sum(line.cost_usd), 0))::runledger.line_sum
        FROM runledger.closed_runs AS line WHERE line.period = p_period
        GROUP BY line.status, line.duration_us IS NOT NULL, scale(line.cost_usd));
    FOR turn IN 1..5 LOOP
        EXIT WHEN (SELECT count(*) FROM (SELECT FROM runledger.settlements AS s WHERE s.id > last_id LIMIT 1000) AS newer) < 1000;
        next_id := runledger.last_ended_settlement();
        sums := runledger.copy_lines_again(p_period, bounds.begins_at, bounds.ends_at, last_id, sums);
        last_id := next_id;
    END LOOP;
    SELECT count(*) AS count, sum(c.difference_usd) AS usd INTO taken
        FROM runledger.corrections AS c WHERE c.posted_in = p_period AND c.settlement_id <= last_id;

    PERFORM runledger.take_lock_alone('runledger.periods', true);
    sums := runledger.copy_lines_again(p_period, bounds.begins_at, bounds.ends_at, last_id, sums);
    -- Some have been settled since the first look, and others have ended. While all wait, a long queue is not read.
    IF (SELECT count(*) FROM (SELECT FROM runledger.settle_queue LIMIT 10001) AS q) <= 10000 THEN
        unsettled := runledger.unsettled_in(p_period, bounds.begins_at, bounds.ends_at, p_allows_unsettled);
    END IF;
    PERFORM runledger.take_lock_alone('runledger.corrections', true);
    INSERT INTO runledger.closed_periods
    SELECT p_period, bounds.begins_at, bounds.ends_at, bounds.time_zone, clock_timestamp(), session_user,
           unsettled, line.*, taken.count + since.count, coalesce(taken.usd + since.usd, taken.usd, since.usd, 0)
    FROM (SELECT coalesce(sum(lines), 0), coalesce(sum(lines) FILTER (WHERE status = 'completed'), 0),
                 coalesce(sum(lines) FILTER (WHERE status = 'failed'), 0),
                 coalesce(sum(lines) FILTER (WHERE status = 'cancelled'), 0),
                 coalesce(sum(lines) FILTER (WHERE cost_scale IS NOT NULL), 0),
                 coalesce(sum(lines) FILTER (WHERE status = 'completed' AND cost_scale IS NULL), 0),
                 CASE WHEN coalesce(sum(lines), 0) = 0 THEN 0 ELSE sum(duration_us) FILTER (WHERE has_duration) END,
                 runledger.sum_billed(sum(cost_usd) FILTER (WHERE cost_scale IS NOT NULL),
                                      coalesce(sum(lines) FILTER (WHERE status = 'completed' AND cost_scale IS NULL), 0)::bigint)
          FROM unnest(sums)) AS line,
         (SELECT count(*) AS count, sum(c.difference_usd) AS usd
          FROM runledger.each_of(runledger.settlements_after(last_id)) AS newer (id)
          JOIN runledger.corrections AS c ON c.settlement_id = newer.id AND c.posted_in = p_period) AS since
    RETURNING * INTO closed;
END
$$;
COMMENT ON FUNCTION runledger.close_period(text, boolean) IS
    'Closes a month: freezes its lines and sums. is_new is false if it was closed before; then closed says when and by whom. Raises object_not_in_prerequisite_state if it has not ended, is not the next one, or runs in it are unsettled and p_allows_unsettled is false; lock_not_available if a transaction that settles stays open. With its owner''s rights: who may close is who may execute it. Called by `runledger close`.';

CREATE OR REPLACE FUNCTION runledger.statement(
    p_period text, p_as_of timestamptz DEFAULT NULL,
    OUT period text, OUT state text, OUT as_of timestamptz, OUT begins_at timestamptz, OUT ends_at timestamptz,
    OUT time_zone text, OUT closed_at timestamptz, OUT closed_by text,
    OUT runs bigint, OUT completed bigint, OUT failed bigint, OUT cancelled bigint, OUT priced bigint, OUT unpriced bigint,
    OUT duration_ms numeric, OUT cost_usd numeric,
    OUT corrections_taken bigint, OUT corrections_taken_usd numeric, OUT billed_usd numeric,
    OUT corrections_since bigint, OUT corrections_since_usd numeric, OUT restated_usd numeric)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    frozen record;
BEGIN
    PERFORM runledger.check_is_month(p_period);
    period := p_period;
    as_of := coalesce(p_as_of, clock_timestamp());
    IF p_as_of IS NOT NULL THEN
        IF p_as_of > clock_timestamp() THEN
            RAISE EXCEPTION 'a statement as of % has no answer yet', p_as_of
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Ask for an instant that has passed.';
        END IF;
        PERFORM runledger.check_sees_commits();
        -- Corrections that have an instant and are not committed; later ones get later instants. The lock ends with the
        -- savepoint.
        BEGIN
            PERFORM runledger.take_lock_alone('runledger.corrections', false);
            RAISE EXCEPTION USING ERRCODE = 'RL001', MESSAGE = 'ends the savepoint';
        EXCEPTION WHEN SQLSTATE 'RL001' THEN
            NULL;
        END;
    END IF;
    SELECT * INTO frozen FROM runledger.closed_periods_v1 AS p WHERE p.period = p_period;
    IF FOUND THEN
        begins_at := frozen.begins_at;
        ends_at := frozen.ends_at;
        time_zone := frozen.time_zone;
        IF frozen.closed_at > as_of THEN
            state := 'open';
            RETURN;
        END IF;
        state := 'closed';
        closed_at := frozen.closed_at;
        closed_by := frozen.closed_by;
        SELECT frozen.runs, frozen.completed, frozen.failed, frozen.cancelled, frozen.priced, frozen.unpriced,
               frozen.duration_ms, frozen.cost_usd, frozen.corrections_taken, frozen.corrections_taken_usd
            INTO runs, completed, failed, cancelled, priced, unpriced, duration_ms, cost_usd, corrections_taken,
                 corrections_taken_usd;
        SELECT count(*), coalesce(sum(c.difference_usd), 0) INTO corrections_since, corrections_since_usd
            FROM runledger.corrections_v1 AS c WHERE c.period = p_period AND c.posted_at <= as_of;
        restated_usd := CASE WHEN cost_usd IS NOT NULL OR corrections_since > 0
                             THEN coalesce(cost_usd, 0) + corrections_since_usd END;
    ELSE
        state := 'open';
        time_zone := runledger.report_time_zone();
        begins_at := coalesce(
            (SELECT p.ends_at FROM runledger.closed_periods_v1 AS p WHERE runledger.next_period(p.period) = p_period),
            runledger.report_day_begins_at(to_date(p_period || '-01', 'YYYY-MM-DD'), time_zone));
        ends_at := runledger.report_day_begins_at(to_date(runledger.next_period(p_period) || '-01', 'YYYY-MM-DD'), time_zone);
        IF p_as_of IS NOT NULL THEN
            RETURN;
        END IF;
        SELECT count(*), count(*) FILTER (WHERE b.status = 'completed'), count(*) FILTER (WHERE b.status = 'failed'),
               count(*) FILTER (WHERE b.status = 'cancelled'), count(b.cost_usd),
               count(*) FILTER (WHERE b.status = 'completed' AND b.cost_usd IS NULL),
               CASE WHEN count(*) = 0 THEN 0 ELSE round(sum(b.duration_us) / 1000.0, 3) END,
               runledger.sum_billed(sum(b.cost_usd), count(*) FILTER (WHERE b.status = 'completed' AND b.cost_usd IS NULL))
            INTO runs, completed, failed, cancelled, priced, unpriced, duration_ms, cost_usd
            FROM runledger.billed_runs_v1 AS b WHERE b.finished_at >= begins_at AND b.finished_at < ends_at;
        SELECT count(*), coalesce(sum(c.difference_usd), 0) INTO corrections_taken, corrections_taken_usd
            FROM runledger.corrections_v1 AS c WHERE c.posted_in = p_period;
    END IF;
    billed_usd := CASE WHEN cost_usd IS NOT NULL OR corrections_taken > 0 THEN coalesce(cost_usd, 0) + corrections_taken_usd END;
END
$$;
COMMENT ON FUNCTION runledger.statement(text, timestamptz) IS
    'What was billed for a month, as of an instant. The answer never changes: all but corrections_since and restated_usd is frozen when the month is closed, and those count corrections up to the instant. As of an instant before the closing the state is open and the numbers are NULL: nothing had been billed. Without an instant: as of now; an open month then has the numbers so far. Columns as in statement_v1.';
