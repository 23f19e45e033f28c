CREATE OR REPLACE VIEW runledger.corrections_v1 AS
SELECT c.id AS correction_id, c.period, c.posted_in, c.posted_at, c.posted_by, c.reason, s.why, c.generation_id,
       s.run_id, c.settlement_id, c.replaced_settlement_id, c.status_before, c.status_after,
       round(c.duration_us_before / 1000.0, 3) AS duration_ms_before,
       round(c.duration_us_after / 1000.0, 3) AS duration_ms_after,
       c.rate_amount_before, c.rate_amount_after, c.rate_unit_before, c.rate_unit_after, c.cost_usd_before,
       c.cost_usd_after, c.cost_note_before, c.cost_note_after, c.difference_usd,
       g.application_id::text AS application_id
FROM runledger.corrections AS c
LEFT JOIN runledger.settlements AS s ON s.id = c.settlement_id
LEFT JOIN runledger.generations AS g ON g.id = c.generation_id AND NOT s.row_is_gone;
COMMENT ON VIEW runledger.corrections_v1 IS
    'What changed in closed months after they were closed, with the reason and both numbers. No row of it ever changes, but for the run_id and why of a forgotten run, and the application_id of a deleted row.';
COMMENT ON COLUMN runledger.corrections_v1.correction_id IS 'A handle for people.';
COMMENT ON COLUMN runledger.corrections_v1.period IS 'The closed month that it corrects.';
COMMENT ON COLUMN runledger.corrections_v1.posted_in IS 'The month with which it is billed: the earliest that was open then.';
COMMENT ON COLUMN runledger.corrections_v1.posted_at IS 'When it was posted.';
COMMENT ON COLUMN runledger.corrections_v1.posted_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.corrections_v1.reason IS
    'settled: the run came late. resettled, kept: later events changed it. repriced: by `runledger reprice`. reopened: its row names another run.';
COMMENT ON COLUMN runledger.corrections_v1.why IS 'The settlement''s sentence for people.';
COMMENT ON COLUMN runledger.corrections_v1.generation_id IS 'The row that was settled.';
COMMENT ON COLUMN runledger.corrections_v1.run_id IS 'The provider''s id of the run, or the pseudonym of a forgotten one.';
COMMENT ON COLUMN runledger.corrections_v1.settlement_id IS 'The settlement that caused it.';
COMMENT ON COLUMN runledger.corrections_v1.replaced_settlement_id IS 'The settlement that gave the month''s line before; NULL: it had no line of the run.';
COMMENT ON COLUMN runledger.corrections_v1.status_before IS 'NULL: the month had no line of the run.';
COMMENT ON COLUMN runledger.corrections_v1.status_after IS 'NULL: the run is no longer in the month.';
COMMENT ON COLUMN runledger.corrections_v1.duration_ms_before IS 'Milliseconds; NULL: unknown, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.duration_ms_after IS 'Milliseconds; NULL: unknown, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.rate_amount_before IS 'US dollars per unit; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.rate_amount_after IS 'US dollars per unit; NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.rate_unit_before IS 'NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.rate_unit_after IS 'NULL: no usable rate, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.cost_usd_before IS 'US dollars; NULL: not charged, unknown, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.cost_usd_after IS 'US dollars; NULL: not charged, unknown, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.cost_note_before IS 'NULL: nothing to say, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.cost_note_after IS 'NULL: nothing to say, or no line.';
COMMENT ON COLUMN runledger.corrections_v1.difference_usd IS
    'US dollars: after minus before. An unknown cost adds nothing to a sum, so one that became known adds all of it.';
COMMENT ON COLUMN runledger.corrections_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
