CREATE OR REPLACE VIEW runledger.unpriced_generations_v1 AS
SELECT g.id AS generation_id, g.run_id, g.status, g.cost_note, g.response_timestamp,
       g.application_id::text AS application_id
FROM runledger.generations AS g
WHERE g.cost_usd IS NULL AND g.response_timestamp IS NOT NULL;
COMMENT ON VIEW runledger.unpriced_generations_v1 IS 'Ended generations without a cost, and why.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.status IS
    'completed: there is a cost, but it is unknown. failed, cancelled: nothing is charged.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.cost_note IS 'Why there is no cost; docs/dba.md lists the words.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.response_timestamp IS 'When the edge received the run''s ending.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key.';
