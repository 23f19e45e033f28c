-- Closed months: what was billed, frozen, and the corrections that came afterwards. Rows are only added. They hold no
-- run's id and no chat: a line names its settlement, so that forgetting a person never has to change a closed month.
CREATE TABLE runledger.closed_periods (
    period text COLLATE "C" PRIMARY KEY,
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    closed_at timestamptz NOT NULL,
    closed_by text NOT NULL,
    unsettled bigint NOT NULL,
    runs bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    duration_us numeric,
    cost_usd numeric,
    corrections bigint NOT NULL,
    corrections_usd numeric NOT NULL,
    CONSTRAINT closed_periods_period_is_a_month CHECK (period ~ '^[1-9][0-9]{3}-(0[1-9]|1[0-2])$'),
    CONSTRAINT closed_periods_never_overlap EXCLUDE USING gist (tstzrange(begins_at, ends_at) WITH &&),
    CONSTRAINT closed_periods_were_closed_after_their_end CHECK (begins_at < ends_at AND ends_at <= closed_at),
    CONSTRAINT closed_periods_cost_unless_all_are_unpriced CHECK ((cost_usd IS NULL) = (priced = 0 AND unpriced > 0))
);
COMMENT ON TABLE runledger.closed_periods IS
    'The closed months, one row each: what was billed, when, and by whom. Written by runledger.close_period(), never changed.';
COMMENT ON COLUMN runledger.closed_periods.period IS 'The month, as 2026-06.';
COMMENT ON COLUMN runledger.closed_periods.begins_at IS
    'Its first instant: the end of the month that was closed before it; of the first one, by time_zone.';
COMMENT ON COLUMN runledger.closed_periods.ends_at IS 'The first instant after it, by time_zone.';
COMMENT ON COLUMN runledger.closed_periods.time_zone IS 'runledger.time_zone_of_the_database() when it was closed.';
COMMENT ON COLUMN runledger.closed_periods.closed_at IS
    'When it was closed, by the database''s clock. A settlement that was committed before is in its lines; a later one is a correction.';
COMMENT ON COLUMN runledger.closed_periods.closed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.closed_periods.unsettled IS
    'How many of its runs were waiting to be settled when it was closed: they became corrections. If more than 10,000 runs waited in all, when the closing began.';
COMMENT ON COLUMN runledger.closed_periods.runs IS 'Number of its lines: runs that had ended in it and were settled, with any status.';
COMMENT ON COLUMN runledger.closed_periods.completed IS 'How many of them were completed.';
COMMENT ON COLUMN runledger.closed_periods.failed IS 'How many had failed or timed out.';
COMMENT ON COLUMN runledger.closed_periods.cancelled IS 'How many were cancelled.';
COMMENT ON COLUMN runledger.closed_periods.priced IS 'How many had a known cost.';
COMMENT ON COLUMN runledger.closed_periods.unpriced IS 'How many were completed without a known cost.';
COMMENT ON COLUMN runledger.closed_periods.duration_us IS 'Microseconds: the exact sum of the known durations; 0 if there was no run. NULL: none was known.';
COMMENT ON COLUMN runledger.closed_periods.cost_usd IS 'US dollars: the exact sum of the known costs of its lines; 0 if none of them was charged. NULL: some were, and no cost was known.';
COMMENT ON COLUMN runledger.closed_periods.corrections IS 'Number of corrections of earlier months that were posted into it.';
COMMENT ON COLUMN runledger.closed_periods.corrections_usd IS 'US dollars: the sum of their differences.';

CREATE TABLE runledger.closed_runs (
    settlement_id bigint PRIMARY KEY,
    period text COLLATE "C" NOT NULL,
    generation_id bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    status text NOT NULL,
    duration_us bigint,
    gpu text,
    rate_amount numeric,
    rate_unit text,
    cost_usd numeric,
    cost_note text
);
CREATE INDEX closed_runs_period_idx ON runledger.closed_runs USING brin (period);
COMMENT ON INDEX runledger.closed_runs_period_idx IS
    'The lines of a month stand together, because it is closed by one statement: BRIN finds them, and costs nothing.';
COMMENT ON TABLE runledger.closed_runs IS
    'The lines of the closed months: a run each, as it was settled when its month was closed. Written by runledger.close_period(), never changed. No foreign key to closed_periods: a check for each of a million lines would wait in memory.';
COMMENT ON COLUMN runledger.closed_runs.settlement_id IS
    'The settlement that the line was copied from; retention keeps it. The run''s id is there.';
COMMENT ON COLUMN runledger.closed_runs.period IS 'The month that was closed.';
COMMENT ON COLUMN runledger.closed_runs.generation_id IS 'The row that was settled.';
COMMENT ON COLUMN runledger.closed_runs.finished_at IS 'When the run''s ending was received: it assigns the run to the month.';
COMMENT ON COLUMN runledger.closed_runs.status IS 'completed, failed or cancelled, or the status that the application had written itself.';
COMMENT ON COLUMN runledger.closed_runs.duration_us IS 'Microseconds; NULL: unknown.';
COMMENT ON COLUMN runledger.closed_runs.gpu IS 'metadata.gpu when it was settled; NULL: none.';
COMMENT ON COLUMN runledger.closed_runs.rate_amount IS 'US dollars per rate_unit; NULL: no usable rate.';
COMMENT ON COLUMN runledger.closed_runs.rate_unit IS 'The unit of the rate; NULL: no usable rate.';
COMMENT ON COLUMN runledger.closed_runs.cost_usd IS 'US dollars; NULL: nothing is charged, or the cost is unknown.';
COMMENT ON COLUMN runledger.closed_runs.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';

CREATE TYPE runledger.line_sum AS (
    status text, has_duration boolean, cost_scale integer, lines bigint, duration_us numeric, cost_usd numeric);
COMMENT ON TYPE runledger.line_sum IS
    'The sums of the lines of one status, with or without a known duration, whose costs have so many digits behind the point (NULL: no known cost). close_period() adds a month up by them; no table has one.';

CREATE TABLE runledger.corrections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    period text COLLATE "C" NOT NULL,
    posted_in text COLLATE "C" NOT NULL,
    posted_at timestamptz NOT NULL,
    posted_by text NOT NULL,
    reason text NOT NULL,
    settlement_id bigint NOT NULL,
    replaced_settlement_id bigint,
    line_settlement_id bigint,
    generation_id bigint NOT NULL,
    status_before text,
    status_after text,
    duration_us_before bigint,
    duration_us_after bigint,
    rate_amount_before numeric,
    rate_amount_after numeric,
    rate_unit_before text,
    rate_unit_after text,
    cost_usd_before numeric,
    cost_usd_after numeric,
    cost_note_before text,
    cost_note_after text,
    difference_usd numeric NOT NULL GENERATED ALWAYS AS (coalesce(cost_usd_after, 0) - coalesce(cost_usd_before, 0)) STORED,
    CONSTRAINT corrections_are_posted_later CHECK (posted_in > period),
    CONSTRAINT corrections_are_of_a_run_in_the_period CHECK (num_nonnulls(status_before, status_after) > 0),
    CONSTRAINT corrections_before_is_of_a_line
        CHECK (status_before IS NOT NULL OR num_nonnulls(duration_us_before, rate_amount_before, rate_unit_before,
                                                         cost_usd_before, cost_note_before) = 0),
    CONSTRAINT corrections_before_has_its_settlement CHECK ((replaced_settlement_id IS NULL) = (status_before IS NULL)),
    CONSTRAINT corrections_after_is_of_a_line
        CHECK (status_after IS NOT NULL OR num_nonnulls(duration_us_after, rate_amount_after, rate_unit_after,
                                                        cost_usd_after, cost_note_after) = 0),
    CONSTRAINT corrections_after_has_its_settlement CHECK ((line_settlement_id IS NULL) = (status_after IS NULL))
);
CREATE INDEX corrections_period_idx ON runledger.corrections (period, posted_at);
COMMENT ON INDEX runledger.corrections_period_idx IS 'A statement adds up the corrections of its month, up to an instant.';
CREATE INDEX corrections_posted_in_idx ON runledger.corrections (posted_in);
COMMENT ON INDEX runledger.corrections_posted_in_idx IS 'A statement adds up the corrections that its month has taken.';
CREATE INDEX corrections_settlement_id_idx ON runledger.corrections (settlement_id);
COMMENT ON INDEX runledger.corrections_settlement_id_idx IS
    'Each settlement asks for the corrections of its run; retention, whether a correction stands on a settlement.';
CREATE INDEX corrections_line_settlement_id_idx ON runledger.corrections (line_settlement_id);
COMMENT ON INDEX runledger.corrections_line_settlement_id_idx IS
    'Retention asks whether a month''s line stands on a settlement.';
COMMENT ON TABLE runledger.corrections IS
    'What changed in a closed month after it was closed: a row for each run and change, with the line before and after it. Written by a trigger on settlements, in the transaction of the settlement, and never changed.';
COMMENT ON COLUMN runledger.corrections.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.corrections.period IS 'The closed month that the run''s ending is in.';
COMMENT ON COLUMN runledger.corrections.posted_in IS 'The month that was open then, the earliest one: the correction is billed with it.';
COMMENT ON COLUMN runledger.corrections.posted_at IS
    'By the database''s clock, under the lock for which runledger.statement() and close_period() wait: no correction appears later with an earlier instant.';
COMMENT ON COLUMN runledger.corrections.posted_by IS 'The role that had logged in; the daemon''s, unless a person repriced.';
COMMENT ON COLUMN runledger.corrections.reason IS
    'The outcome of the settlement: settled (the run came late), resettled, kept, repriced or reopened (the row names another run, and this one is withdrawn). Its sentence is settlements.why.';
COMMENT ON COLUMN runledger.corrections.settlement_id IS 'The settlement that caused it; retention keeps it.';
COMMENT ON COLUMN runledger.corrections.replaced_settlement_id IS
    'The settlement that gave the month''s line of the run before: that of its own line, or line_settlement_id of its last correction of the run. NULL: it had no line of it.';
COMMENT ON COLUMN runledger.corrections.line_settlement_id IS
    'The settlement that gives the month''s line of the run from then on. Not always settlement_id: if the run''s row is withdrawn and an earlier one of the run was deleted, the run is billed by that one''s. NULL: the run is no longer in the month.';
COMMENT ON COLUMN runledger.corrections.generation_id IS 'The row of the settlement that caused it.';
COMMENT ON COLUMN runledger.corrections.status_before IS 'The status that the month had for the run. NULL: it had no line of it.';
COMMENT ON COLUMN runledger.corrections.status_after IS 'The status from then on. NULL: the run is no longer in the month.';
COMMENT ON COLUMN runledger.corrections.duration_us_before IS 'Microseconds before; NULL: unknown, or no line.';
COMMENT ON COLUMN runledger.corrections.duration_us_after IS 'Microseconds after; NULL: unknown, or no line.';
COMMENT ON COLUMN runledger.corrections.rate_amount_before IS 'US dollars per unit before; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections.rate_amount_after IS 'US dollars per unit after; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections.rate_unit_before IS 'The unit before; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections.rate_unit_after IS 'The unit after; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections.cost_usd_before IS 'US dollars before; NULL: not charged, unknown, or no line.';
COMMENT ON COLUMN runledger.corrections.cost_usd_after IS 'US dollars after; NULL: not charged, unknown, or no line.';
COMMENT ON COLUMN runledger.corrections.cost_note_before IS 'The note before; NULL: none, or no line.';
COMMENT ON COLUMN runledger.corrections.cost_note_after IS 'The note after; NULL: none, or no line.';
COMMENT ON COLUMN runledger.corrections.difference_usd IS
    'US dollars: what the sum of the known costs changes by, after minus before. An unknown cost adds nothing to a sum. Generated.';
