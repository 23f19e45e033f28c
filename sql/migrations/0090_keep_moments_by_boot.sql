-- What a price depends on is kept for each boot of an edge.
CREATE TYPE runledger.run_moment AS (
    received_at timestamptz, boot_id uuid, boottime_us bigint, redelivered boolean, digest bigint,
    status text, progress double precision, live_status text, error text);
COMMENT ON TYPE runledger.run_moment IS
    'When an event of a run was received, by both clocks of an edge. An ending has its status and what was said with it; a running has NULLs there and digest 0.';
ALTER TABLE runledger.runs
    ADD COLUMN running_other_boots runledger.run_moment[],
    ADD COLUMN finished_other_boots runledger.run_moment[],
    ADD CONSTRAINT runs_running_other_boots_have_a_first CHECK (running_other_boots IS NULL OR running_at IS NOT NULL),
    ADD CONSTRAINT runs_finished_other_boots_have_a_first CHECK (finished_other_boots IS NULL OR finished_at IS NOT NULL);
COMMENT ON COLUMN runledger.runs.running_other_boots IS
    'The first running of each other boot that received one, in order of wall time; NULL: one boot received all. Kept since a boot''s first is decided by its boottime.';
COMMENT ON COLUMN runledger.runs.finished_other_boots IS
    'The first ending of each other boot that received one, in order of wall time; NULL: one boot received all.';

CREATE FUNCTION runledger.running_moment(r runledger.runs) RETURNS runledger.run_moment
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(r.running_at, r.running_boot_id, r.running_boottime_us, r.running_redelivered, 0::bigint,
               NULL::text, NULL::double precision, NULL::text, NULL::text)::runledger.run_moment;
COMMENT ON FUNCTION runledger.running_moment(runledger.runs) IS 'The running that stands in the row''s columns.';

CREATE FUNCTION runledger.ending_moment(r runledger.runs) RETURNS runledger.run_moment
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(r.finished_at, r.finished_boot_id, r.finished_boottime_us, r.finished_redelivered, r.finished_digest,
               r.terminal_status, r.finished_progress, r.finished_live_status, r.finished_error)::runledger.run_moment;
COMMENT ON FUNCTION runledger.ending_moment(runledger.runs) IS 'The webhook''s ending that stands in the row''s columns.';

CREATE FUNCTION runledger.join_moments(kept runledger.run_moment[], came runledger.run_moment)
    RETURNS runledger.run_moment[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
