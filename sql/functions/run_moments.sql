-- The moments of a run that a price depends on, by the boot of the edge that received them.
CREATE OR REPLACE FUNCTION runledger.running_moment(r runledger.runs) RETURNS runledger.run_moment
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(r.running_at, r.running_boot_id, r.running_boottime_us, r.running_redelivered, 0::bigint,
               NULL::text, NULL::double precision, NULL::text, NULL::text)::runledger.run_moment;
COMMENT ON FUNCTION runledger.running_moment(runledger.runs) IS 'The running event in the row''s columns.';

CREATE OR REPLACE FUNCTION runledger.ending_moment(r runledger.runs) RETURNS runledger.run_moment
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered, r.finished_digest,
               r.terminal_status, r.finished_progress, r.finished_live_status, r.finished_error)::runledger.run_moment;
COMMENT ON FUNCTION runledger.ending_moment(runledger.runs) IS 'The webhook''s ending in the row''s columns.';

CREATE OR REPLACE FUNCTION runledger.join_moments(kept runledger.run_moment[], came runledger.run_moment)
    RETURNS runledger.run_moment[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kept IS NULL THEN
        RETURN ARRAY[came];
    END IF;
    IF cardinality(kept) = 1 AND kept[1].boot_id = came.boot_id THEN  -- Nearly always.
        RETURN CASE
            WHEN (came.boottime_us, came.received_at, came.redelivered, came.digest)
               < (kept[1].boottime_us, kept[1].received_at, kept[1].redelivered, kept[1].digest)
            THEN ARRAY[came] ELSE kept END;
    END IF;
    RETURN ARRAY(
        SELECT first_of_boot FROM (
            SELECT DISTINCT ON (m.boot_id) m::runledger.run_moment AS first_of_boot
            FROM unnest(kept || came) AS m
            ORDER BY m.boot_id, m.boottime_us, m.received_at, m.redelivered, m.digest) AS firsts
        ORDER BY (first_of_boot).received_at, (first_of_boot).boot_id, (first_of_boot).boottime_us,
                 (first_of_boot).redelivered, (first_of_boot).digest);
END
$$;
COMMENT ON FUNCTION runledger.join_moments(runledger.run_moment[], runledger.run_moment) IS
    'The first moment of each boot, by its boottime; the earliest of them by wall time, which is the one that counts, comes first.';

CREATE OR REPLACE FUNCTION runledger.without_words(moments runledger.run_moment[]) RETURNS runledger.run_moment[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN moments IS NOT NULL THEN ARRAY(
        SELECT ROW(m.received_at, m.boot_id, m.boottime_us, m.redelivered, m.digest, m.status, m.progress, NULL, NULL)
               ::runledger.run_moment
        FROM unnest(moments) WITH ORDINALITY AS m ORDER BY m.ordinality) END;
END
$$;
COMMENT ON FUNCTION runledger.without_words(runledger.run_moment[]) IS
    'The moments without what the sender said with them, its live_status and error: for a run that is forgotten.';
