-- After a change of gpu_rates: shows and writes the new costs of runs that were settled before.
CREATE OR REPLACE FUNCTION runledger.repricing(p_gpu text, p_from timestamptz, p_to timestamptz)
    RETURNS TABLE (generation_id bigint, run_id text, finished_at timestamptz, verdict text,
                   rate_before numeric, rate_after numeric, cost_before numeric, cost_after numeric)
    LANGUAGE sql STABLE
    -- Bound to what it calls when it is made; a SET clause would keep it from being inlined.
BEGIN ATOMIC
    SELECT s.generation_id, s.run_id, s.finished_at,
           CASE
               WHEN s.rate_source = 'metadata'
                    OR s.rate_source IS NULL AND (runledger.rate_of(g.metadata)).note IS DISTINCT FROM 'rate_missing'
                   THEN 'priced_by_metadata'
               WHEN rate.usd_per_second IS NULL THEN 'no_rate'
               WHEN rate.usd_per_second = s.rate_amount THEN 'same'
               WHEN runledger.is_edited_by_hand(g, s) THEN 'edited_by_hand'
               ELSE 'reprice'
           END,
           s.rate_amount, trim_scale(rate.usd_per_second), s.cost_usd,
           CASE WHEN s.cost_note IS DISTINCT FROM 'not_charged'
               THEN runledger.cost_of(rate.usd_per_second, 'second', s.duration_us, NULL) END
    FROM runledger.settlements AS s
    JOIN runledger.generations AS g ON g.id = s.generation_id AND NOT s.row_is_gone
    LEFT JOIN runledger.gpu_rates AS rate ON rate.gpu = p_gpu AND rate.effective @> s.finished_at
    WHERE s.gpu = p_gpu AND s.finished_at >= p_from AND s.finished_at < p_to AND s.outcome <> 'edited_by_hand'
      -- A row that names another run is about to be reopened.
      AND coalesce(g.run_id, s.run_id) = s.run_id
      AND NOT EXISTS (
          SELECT FROM runledger.settlements AS later
          WHERE later.generation_id = s.generation_id AND later.id > s.id AND later.outcome <> 'edited_by_hand');
END;
COMMENT ON FUNCTION runledger.repricing(text, timestamptz, timestamptz) IS
    'The costs by the current gpu_rates of a GPU''s settled runs that ended within [from, to). verdict: reprice (the rate differs), same, edited_by_hand (would differ, is left unchanged), priced_by_metadata (metadata.costRate decides, usable or not), no_rate (gpu_rates has no rate in force then: left unchanged). Changes nothing.';

CREATE OR REPLACE FUNCTION runledger.reprice_generation(
    p_generation_id bigint, p_gpu text, p_from timestamptz, p_to timestamptz,
    OUT verdict text, OUT detail text, OUT cost_before numeric, OUT cost_after numeric)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    g runledger.generations;
    s runledger.settlements;
    priced record;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    BEGIN
        SELECT * INTO g FROM runledger.generations WHERE id = p_generation_id FOR NO KEY UPDATE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        verdict := 'locked';
        detail := 'the generations row is locked by another transaction';
        RETURN;
    END;
    -- In a statement of its own: with the row locked, no settlement comes in between any more.
    SELECT * INTO priced FROM runledger.repricing(p_gpu, p_from, p_to) AS r WHERE r.generation_id = p_generation_id;
    verdict := coalesce(priced.verdict, 'gone');
    IF verdict <> 'reprice' THEN
        RETURN;
    END IF;
    s := runledger.last_settlement(p_generation_id);
    s.outcome := 'repriced';
    s.why := format('gpu_rates gives %s USD a second for %s at the ending, it was %s; runledger reprice, as %s',
                    priced.rate_after, p_gpu, coalesce(priced.rate_before::text, 'unknown'), session_user);
    s.rate_amount := priced.rate_after;
    s.rate_unit := 'second';
    s.rate_source := 'gpu_rates';
    s.cost_usd := priced.cost_after;
    IF s.cost_note IS DISTINCT FROM 'not_charged' THEN
        s.cost_note := s.duration_note;
    END IF;
    PERFORM runledger.write_settlements(ARRAY[ROW(g, s, g.response_payload)::runledger.settlement_draft]);
    cost_before := priced.cost_before;
    cost_after := priced.cost_after;
EXCEPTION
    -- The application's triggers and constraints, as in settle_run.
    WHEN query_canceled OR OTHERS THEN
        verdict := 'failed';
        detail := SQLSTATE || ': ' || SQLERRM;
END
$$;
COMMENT ON FUNCTION runledger.reprice_generation(bigint, text, timestamptz, timestamptz) IS
    'Writes the result of repricing() for one row, if its verdict is still reprice: the row, and an audit row with the outcome repriced. Nobody is notified. verdict: as in repricing(); gone (no longer among its rows), locked or failed (try again; detail says why; nothing was changed).';
