-- What apply and settle call for each turn and each run, without what made PostgreSQL read whole tables or plan again.
--
-- EXISTS may be answered by hashing the whole table, which the planner prefers as long as it takes it for small; a
-- LIMIT may not. A function in SQL with a query in it is planned anew by each statement that calls it; plpgsql keeps its
-- plan.

CREATE OR REPLACE FUNCTION runledger.late_events_of(
    p_run_ids text[], OUT run_id text, OUT pseudonym text, OUT is_removed boolean)
    RETURNS SETOF record LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    -- Forgetting takes it exclusively: until this transaction has ended nobody is forgotten, and the next statement
    -- sees whoever was.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('runledger.forget', 0));
    RETURN QUERY
        SELECT incoming.id, named.pseudonym, gone.is_removed
        FROM unnest(p_run_ids) AS incoming (id)
        LEFT JOIN LATERAL (
            SELECT runledger.pseudonym_of(incoming.id) FROM runledger.forgotten_runs AS f
            WHERE f.run_digest = sha256(convert_to(incoming.id, 'UTF8')) LIMIT 1) AS named (pseudonym) ON true
        CROSS JOIN LATERAL (
            SELECT (SELECT true FROM runledger.runs AS r
                    WHERE r.run_id = coalesce(named.pseudonym, incoming.id) LIMIT 1) IS NULL
                   AND (SELECT true FROM runledger.settlements AS s
                        WHERE s.run_id = coalesce(named.pseudonym, incoming.id) LIMIT 1) IS NOT NULL
            ) AS gone (is_removed)
        WHERE named.pseudonym IS NOT NULL OR gone.is_removed;
END
$$;

CREATE OR REPLACE FUNCTION runledger.message_number_of(metadata jsonb, VARIADIC p_keys text[]) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    key text;
    digits text;
BEGIN
    FOREACH key IN ARRAY p_keys LOOP
        digits := metadata ->> key;
        IF digits ~ '^[0-9]{1,18}$' AND digits !~ '^0+$' AND jsonb_typeof(metadata -> key) IN ('number', 'string') THEN
            RETURN digits::bigint;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION runledger.telegram_chat_now(p_chat_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    moved bigint;
BEGIN
    SELECT migrated_to INTO moved FROM runledger.telegram_chats WHERE chat_id = p_chat_id;
    RETURN coalesce(moved, p_chat_id);
END
$$;

CREATE OR REPLACE FUNCTION runledger.why_resettled(
    s runledger.settlements, last runledger.settlements, p_outputs_changed boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE AS $$
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
