CREATE OR REPLACE VIEW runledger.settlements_v1 AS
SELECT s.id AS settlement_id, s.generation_id, s.run_id, s.settled_at, s.outcome, s.why, s.status, s.finished_at,
       s.duration_us, s.duration_clock, s.rate_amount, s.rate_unit, s.cost_usd, s.cost_note, s.gpu,
       s.token_count, g.application_id::text AS application_id
FROM runledger.settlements AS s
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id;
COMMENT ON VIEW runledger.settlements_v1 IS
    'The audit: each settlement of a generation, with its reason. The last ones are those with the highest settlement_id; settled_at minus finished_at is how long a run''s ending took from its receipt to its settlement.';
COMMENT ON COLUMN runledger.settlements_v1.settlement_id IS 'The order in which they were made.';
COMMENT ON COLUMN runledger.settlements_v1.generation_id IS 'The generation that was settled.';
COMMENT ON COLUMN runledger.settlements_v1.run_id IS 'The run whose results were written.';
COMMENT ON COLUMN runledger.settlements_v1.settled_at IS 'When it was written; later than each earlier settlement of the generation.';
COMMENT ON COLUMN runledger.settlements_v1.outcome IS 'settled, resettled, kept, repriced, reopened or edited_by_hand.';
COMMENT ON COLUMN runledger.settlements_v1.why IS 'A sentence for people.';
COMMENT ON COLUMN runledger.settlements_v1.status IS 'The generation''s status that was written.';
COMMENT ON COLUMN runledger.settlements_v1.finished_at IS 'When the edge received the ending; NULL only for a reopened row.';
COMMENT ON COLUMN runledger.settlements_v1.duration_us IS 'Microseconds; NULL if it is unknown.';
COMMENT ON COLUMN runledger.settlements_v1.duration_clock IS 'boottime, realtime or provider: the clock of the duration; application: as the application wrote it; NULL: no duration.';
COMMENT ON COLUMN runledger.settlements_v1.rate_amount IS 'US dollars per rate_unit; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements_v1.rate_unit IS 'second, minute, hour, run, request or token; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements_v1.cost_usd IS 'US dollars, 12 decimals; NULL if nothing is charged or the cost is unknown.';
COMMENT ON COLUMN runledger.settlements_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';
COMMENT ON COLUMN runledger.settlements_v1.gpu IS 'metadata.gpu; NULL: there was none.';
COMMENT ON COLUMN runledger.settlements_v1.token_count IS
    'metadata.tokenCount as copied with a rate whose unit is token; NULL: the rate has another unit, or there is none.';
COMMENT ON COLUMN runledger.settlements_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
