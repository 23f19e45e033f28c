-- Groups of generations: noticed by triggers, told when the last member has ended.
CREATE OR REPLACE FUNCTION runledger.queue_group() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    joins boolean;
    -- The key was taken from metadata that were there before, as when an adopted table is filled or other keys are chosen.
    is_taken_anew boolean;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.group_key IS NOT NULL
       AND (TG_OP = 'DELETE' OR OLD.group_key IS DISTINCT FROM NEW.group_key) THEN
        INSERT INTO runledger.group_queue (group_key, opens, may_end)
            VALUES (OLD.group_key, false, NOT runledger.is_ended(OLD.status));
    END IF;
    -- A row with a forgotten run leaves its group before the transaction ends (queue_settlement).
    IF TG_OP = 'DELETE' OR NEW.group_key IS NULL OR runledger.is_forgotten(NEW.run_id) THEN
        RETURN NULL;
    END IF;
    -- A row that had ended before the ledger had it, or before it had the key, is history: it opens no group.
    IF TG_OP = 'INSERT' THEN
        INSERT INTO runledger.group_queue (group_key, opens, may_end)
            VALUES (NEW.group_key, NEW.adopted_at IS NULL OR NOT runledger.is_ended(NEW.status), false);
    ELSE
        joins := OLD.group_key IS DISTINCT FROM NEW.group_key;
        is_taken_anew := OLD.metadata IS NOT DISTINCT FROM NEW.metadata
                         OR OLD.metadata IS NULL AND NEW.adopted_at IS NOT NULL;
        INSERT INTO runledger.group_queue (group_key, opens, may_end) VALUES (
            NEW.group_key,
            CASE WHEN joins THEN NOT is_taken_anew OR NOT runledger.is_ended(NEW.status)
                 ELSE runledger.is_ended(OLD.status) AND NOT runledger.is_ended(NEW.status) END,
            NOT joins AND (runledger.is_ended(NEW.status) AND NOT runledger.is_ended(OLD.status)
                           OR OLD.group_size IS DISTINCT FROM NEW.group_size AND NOT is_taken_anew));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.queue_group() IS
    'Queues the group of a generation that was inserted or deleted, has ended or is open again, or names another group or size, in the transaction that does it. With its owner''s rights, because the application has none on the queue.';

CREATE OR REPLACE FUNCTION runledger.tell_group(
    p_group_key text, p_members bigint, p_completed bigint, p_failed bigint, p_cancelled bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM runledger.tell_listeners('runledger_group', json_build_object(
        'group_id', p_group_key, 'runs', p_members, 'completed', p_completed, 'failed', p_failed,
        'cancelled', p_cancelled)::text);
END
$$;
COMMENT ON FUNCTION runledger.tell_group(text, bigint, bigint, bigint, bigint) IS
    'NOTIFY runledger_group, {"group_id": …, "runs": …, "completed": …, "failed": …, "cancelled": …}: all of the group have ended.';

CREATE OR REPLACE FUNCTION runledger.tell_groups(
    p_from xid8, p_entries_max integer, OUT looked_at bigint, OUT told bigint, OUT is_all boolean, OUT up_to xid8)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Whatever an older transaction has queued, the statements from here on see.
    oldest CONSTANT xid8 := pg_snapshot_xmin(pg_current_snapshot());
    keys text[];
    entries bigint;
    key text;
    state runledger.generation_groups;
    is_new boolean;
    seen record;
BEGIN
    looked_at := 0;
    told := 0;
    SELECT array_agg(DISTINCT q.group_key ORDER BY q.group_key), count(*) INTO keys, entries
        FROM (SELECT group_key FROM runledger.group_queue WHERE queued_in >= p_from
              ORDER BY queued_in LIMIT p_entries_max) AS q;
    is_all := entries < p_entries_max;
    up_to := p_from;
    FOREACH key IN ARRAY coalesce(keys, '{}') LOOP
        -- One look at a group at a time. Another daemon's leaves what it does not see to the next look.
        IF NOT pg_try_advisory_xact_lock(hashtextextended('runledger.group ' || key, 0)) THEN
            is_all := false;
            CONTINUE;
        END IF;
        INSERT INTO runledger.generation_groups (group_key) VALUES (key) ON CONFLICT DO NOTHING;
        is_new := FOUND;
        SELECT * INTO state FROM runledger.generation_groups WHERE group_key = key;
        -- In one statement, so of one moment: a change is in the count exactly if its entry is removed. What is not
        -- committed yet leaves an entry for later. So the end of a group is told by the look that first sees all of
        -- it, however its members' transactions overlap.
        WITH gone AS (DELETE FROM runledger.group_queue WHERE group_key = key RETURNING opens, may_end)
        SELECT (SELECT coalesce(bool_or(opens), false) FROM gone) AS opened,
               (SELECT coalesce(bool_or(may_end), false) FROM gone) AS may_have_ended,
               count(*) AS members,
               count(*) FILTER (WHERE g.status = 'completed') AS completed,
               count(*) FILTER (WHERE g.status = 'failed') AS failed,
               count(*) FILTER (WHERE g.status = 'cancelled') AS cancelled,
               bool_and(runledger.is_ended(g.status)) AND count(*) >= coalesce(max(g.group_size), 0) AS have_ended,
               -- What a webhook says (docs/webhooks.md); as group_costs_v1.
               jsonb_build_object(
                   'account_id', CASE WHEN min(g.account_key) = max(g.account_key) THEN min(g.account_key) END,
                   'runs', count(*),
                   'group_size', max(g.group_size),
                   'completed', count(*) FILTER (WHERE g.status = 'completed'),
                   'failed', count(*) FILTER (WHERE g.status = 'failed'),
                   'cancelled', count(*) FILTER (WHERE g.status = 'cancelled'),
                   'duration_ms', round(sum(g.duration_ms), 3)::text,
                   'cost', sum(g.cost_usd)::text,
                   'currency', 'USD',
                   'priced', count(g.cost_usd),
                   'unpriced', count(*) FILTER (WHERE g.status = 'completed' AND g.cost_usd IS NULL),
                   'first_requested_at', runledger.utc_text(min(g.request_timestamp)),
                   'last_finished_at', runledger.utc_text(max(g.response_timestamp))) AS sums
            INTO seen
            FROM runledger.generations AS g WHERE g.group_key = key;
        looked_at := looked_at + 1;
        -- A group that nobody has seen open, and that has not ended just now, ended before the ledger had it: a member
        -- that was removed or forgotten since is no news.
        IF seen.members = 0 OR is_new AND seen.have_ended AND NOT (seen.opened OR seen.may_have_ended) THEN
            DELETE FROM runledger.generation_groups WHERE group_key = key;
        ELSIF seen.have_ended AND (state.told_at IS NULL OR seen.opened) THEN
            UPDATE runledger.generation_groups
                SET members = seen.members, told_at = clock_timestamp(), told_count = told_count + 1, ending = DEFAULT
                WHERE group_key = key
                RETURNING * INTO state;
            PERFORM runledger.tell_group(key, seen.members, seen.completed, seen.failed, seen.cancelled);
            PERFORM runledger.queue_group_webhooks(key, state.ending, state.told_at, seen.sums);
            told := told + 1;
        ELSIF state.members <> seen.members OR state.told_at IS NOT NULL AND NOT seen.have_ended THEN
            UPDATE runledger.generation_groups
                SET members = seen.members, told_at = CASE WHEN seen.have_ended THEN told_at END
                WHERE group_key = key;
        END IF;
    END LOOP;
    IF is_all THEN
        up_to := oldest;
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.tell_groups(xid8, integer) IS
    'Looks at the groups in group_queue, of up to so many entries, and says NOTIFY runledger_group for each whose members have all ended, and are as many as it will have, and writes its webhooks: once, and again after it was open again; never of a group that had ended before the ledger had it. p_from: no entry is of an older transaction; up_to: the same, for the next look. is_all: nothing that can be seen now is left. Called by the daemon.';
