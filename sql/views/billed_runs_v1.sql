CREATE OR REPLACE VIEW runledger.billed_runs_v1 AS
SELECT s.id AS settlement_id, s.generation_id, s.run_id, s.finished_at, s.status, s.duration_us, s.gpu, s.rate_amount,
       s.rate_unit, s.cost_usd, s.cost_note, g.application_id::text AS application_id
FROM runledger.settlements AS s
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id
WHERE NOT s.is_replaced AND s.finished_at IS NOT NULL AND s.outcome <> 'edited_by_hand'
  AND NOT EXISTS (
      SELECT FROM runledger.settlements AS other
      WHERE other.run_id = s.run_id AND other.id > s.id
        AND NOT other.is_replaced AND other.finished_at IS NOT NULL AND other.outcome <> 'edited_by_hand');
COMMENT ON VIEW runledger.billed_runs_v1 IS
    'The live books: each run once, by its last settlement that was not withdrawn, in whatever row. A row that was edited by hand or deleted after it was settled counts as it was settled. It reads only settlements that retention never removes. close_period() freezes a month of it.';
COMMENT ON COLUMN runledger.billed_runs_v1.settlement_id IS 'The run''s last settlement that was not withdrawn.';
COMMENT ON COLUMN runledger.billed_runs_v1.generation_id IS 'The row that was settled; it may have been deleted since.';
COMMENT ON COLUMN runledger.billed_runs_v1.run_id IS 'The provider''s id of the run, or the pseudonym of a forgotten one.';
COMMENT ON COLUMN runledger.billed_runs_v1.finished_at IS 'When the run''s ending was received: it assigns the run to a month.';
COMMENT ON COLUMN runledger.billed_runs_v1.status IS 'completed, failed or cancelled, or the status that the application had written itself.';
COMMENT ON COLUMN runledger.billed_runs_v1.duration_us IS 'Microseconds; NULL: unknown.';
COMMENT ON COLUMN runledger.billed_runs_v1.gpu IS 'metadata.gpu when it was settled; NULL: none.';
COMMENT ON COLUMN runledger.billed_runs_v1.rate_amount IS 'US dollars per rate_unit; NULL: no usable rate.';
COMMENT ON COLUMN runledger.billed_runs_v1.rate_unit IS 'The unit of the rate; NULL: no usable rate.';
COMMENT ON COLUMN runledger.billed_runs_v1.cost_usd IS 'US dollars, 12 decimals; NULL: nothing is charged, or the cost is unknown.';
COMMENT ON COLUMN runledger.billed_runs_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';
COMMENT ON COLUMN runledger.billed_runs_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
