-- A run that only the provider has ended is settled by the provider's own times, and says so.
ALTER TABLE runledger.settlements
    DROP CONSTRAINT settlements_duration_clock_is_known,
    DROP CONSTRAINT settlements_duration_note_is_known,
    DROP CONSTRAINT settlements_cost_note_is_known,
    DROP CONSTRAINT settlements_known_cost_has_no_reason_to_be_null,
    ADD CONSTRAINT settlements_duration_clock_is_known CHECK (duration_clock IN ('boottime', 'realtime', 'provider')),
    ADD CONSTRAINT settlements_duration_note_is_known
        CHECK (duration_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                                 'provider_times', 'provider_times_missing', 'provider_times_implausible')),
    ADD CONSTRAINT settlements_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'provider_times', 'provider_times_missing', 'provider_times_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'not_charged')),
    ADD CONSTRAINT settlements_known_cost_has_no_reason_to_be_null
        CHECK (cost_usd IS NULL OR cost_note IS NULL OR cost_note IN ('clocks_differ', 'provider_times'));
ALTER TABLE runledger.generations
    DROP CONSTRAINT generations_cost_note_is_known,
    ADD CONSTRAINT generations_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'provider_times', 'provider_times_missing', 'provider_times_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'not_charged'));
COMMENT ON COLUMN runledger.settlements.finished_at IS
    'The instant that it counts to; where only the provider tells of the ending, when its report was stored. NULL only of a reopened row.';
COMMENT ON COLUMN runledger.settlements.duration_clock IS
    'boottime: both instants from one boot of one edge, immune to clock steps. realtime: from wall clocks. provider: the provider''s ended_at minus its started_at (runs.provider_…), since no webhook ended the run. NULL: no duration.';
COMMENT ON COLUMN runledger.settlements.duration_note IS
    'What there is to know of the duration, whether or not anything is charged: no_running_event, running_after_end, clock_implausible, provider_times_missing, provider_times_implausible: why it is NULL; clocks_differ: from wall clocks; provider_times: from the provider''s. NULL: one boot''s clock, nothing to say.';
COMMENT ON COLUMN runledger.generations.response_timestamp IS
    'When the edge received the run''s ending; where only the provider tells of it, when its report was stored. NULL until then. Written by the daemon.';

CREATE OR REPLACE FUNCTION runledger.run_timing(
    r runledger.runs, p_duration_max interval,
    OUT duration_us bigint, OUT clock text, OUT note text)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF r.finished_at IS NULL THEN
        -- Only the provider tells of the ending. Both of its times, never one of its and one of ours.
        clock := 'provider';
        note := CASE WHEN num_nulls(r.provider_started_at, r.provider_ended_at) = 0 THEN 'provider_times'
                     ELSE 'provider_times_missing' END;
        duration_us := extract(epoch FROM r.provider_ended_at - r.provider_started_at) * 1000000;
    ELSIF r.running_at IS NULL THEN
        note := 'no_running_event';
        RETURN;
    ELSIF r.running_boot_id = r.finished_boot_id THEN
        clock := 'boottime';
        duration_us := r.finished_boottime_us - r.running_boottime_us;
    ELSE
        clock := 'realtime';
        note := 'clocks_differ';
        -- extract() of an interval of days and microseconds is exact numeric.
        duration_us := extract(epoch FROM r.finished_at - r.running_at) * 1000000;
    END IF;
    IF duration_us BETWEEN 0 AND extract(epoch FROM p_duration_max) * 1000000 THEN
        RETURN;
    END IF;
    note := CASE WHEN duration_us IS NULL THEN note
                 WHEN clock = 'provider' THEN 'provider_times_implausible'
                 WHEN duration_us < 0 THEN 'running_after_end'
                 ELSE 'clock_implausible' END;
    duration_us := NULL;
    clock := NULL;
END
$$;
COMMENT ON FUNCTION runledger.run_timing(runledger.runs, interval) IS
    'Of a run that ended: microseconds from its first running to its ending, by which clock; or NULL, and why. Where only the provider tells of the ending, from its started_at to its ended_at. clocks_differ and provider_times come beside a duration.';

CREATE FUNCTION runledger.ended_at(r runledger.runs) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE
    RETURN coalesce(r.finished_at, r.reported_at);
COMMENT ON FUNCTION runledger.ended_at(runledger.runs) IS
    'When we were told how the run ended: by a webhook, else by the provider''s report. Never a time of the provider''s. NULL: not ended.';

-- As before, but for ended_at.
CREATE OR REPLACE FUNCTION runledger.settlement_of(
    g runledger.generations, r runledger.runs, last runledger.settlements, p_duration_max interval)
    RETURNS runledger.settlements LANGUAGE plpgsql STABLE AS $$
DECLARE
    s runledger.settlements;
    timing record;
    rate record;
BEGIN
    s.generation_id := g.id;
    s.run_id := r.run_id;
    s.running_at := r.running_at;
    s.finished_at := runledger.ended_at(r);

    -- An ending that the application wrote itself stands.
    s.keeps_status := CASE WHEN last.id IS NULL THEN g.status NOT IN ('pending', 'processing') ELSE last.keeps_status END;
    IF s.keeps_status THEN
        s.status := g.status;
        s.status_reason := g.status_reason;
    ELSE
        s.status := CASE r.terminal_status
            WHEN 'success' THEN 'completed' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END;
        s.status_reason := runledger.run_reason(r);
    END IF;

    SELECT * INTO timing FROM runledger.run_timing(r, p_duration_max);
    s.duration_us := timing.duration_us;
    s.duration_clock := timing.clock;
    s.duration_note := timing.note;

    -- A rate is copied once; a repaired one prices what had none.
    SELECT * INTO rate FROM runledger.rate_for(g.metadata, s.finished_at);
    IF last.rate_amount IS NOT NULL THEN
        s.rate_amount := last.rate_amount;
        s.rate_unit := last.rate_unit;
        s.rate_source := last.rate_source;
        s.gpu := CASE last.rate_source WHEN 'gpu_rates' THEN last.gpu ELSE coalesce(rate.gpu, last.gpu) END;
    ELSE
        s.rate_amount := rate.amount;
        s.rate_unit := rate.unit;
        s.rate_source := rate.source;
        s.gpu := rate.gpu;
    END IF;

    -- Only a success is charged, whatever the application calls the row.
    IF r.terminal_status <> 'success' THEN
        s.cost_note := 'not_charged';
    ELSIF s.rate_amount IS NULL THEN
        s.cost_note := rate.note;
    ELSE
        s.cost_usd := runledger.cost_of(s.rate_amount, s.rate_unit, s.duration_us);
        IF s.rate_unit <> 'run' THEN
            s.cost_note := s.duration_note;
        END IF;
    END IF;
    RETURN s;
END
$$;
