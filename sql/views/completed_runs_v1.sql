CREATE OR REPLACE VIEW runledger.completed_runs_v1 AS
SELECT g.id AS generation_id, g.response_timestamp, g.tool_key AS tool,
       runledger.word_at(g.metadata, 'workflow') AS workflow, runledger.gpu_of(g.metadata) AS gpu,
       g.duration_ms, g.cost_usd, g.application_id::text AS application_id
FROM runledger.generations AS g
WHERE g.status = 'completed';
COMMENT ON VIEW runledger.completed_runs_v1 IS
    'Each completed generation with what it was made with: run_estimates() reads it. A condition on response_timestamp keeps it from reading the others.';
COMMENT ON COLUMN runledger.completed_runs_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.completed_runs_v1.response_timestamp IS
    'When the edge received the run''s ending; NULL: adopted with its table, and unknown.';
COMMENT ON COLUMN runledger.completed_runs_v1.tool IS 
    'metadata.tool, or the keys that runledger.use_metadata_keys has chosen; NULL: none, or unusable.';
COMMENT ON COLUMN runledger.completed_runs_v1.workflow IS 'metadata.workflow if it is a string of 1 to 128 bytes, else NULL.';
COMMENT ON COLUMN runledger.completed_runs_v1.gpu IS
    'metadata.gpu, as it is now, if it is a string of 1 to 64 bytes, else NULL.';
COMMENT ON COLUMN runledger.completed_runs_v1.duration_ms IS 'Milliseconds; NULL if it is unknown.';
COMMENT ON COLUMN runledger.completed_runs_v1.cost_usd IS 'US dollars, 12 decimals; NULL if it is unknown.';
COMMENT ON COLUMN runledger.completed_runs_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key.';
