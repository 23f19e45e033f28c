CREATE OR REPLACE VIEW runledger.closed_runs_v1 AS
SELECT line.period, line.settlement_id, line.generation_id, s.run_id, g.telegram_chat_id, line.finished_at, line.status,
       round(line.duration_us / 1000.0, 3) AS duration_ms, line.gpu, line.rate_amount, line.rate_unit, line.cost_usd,
       line.cost_note, s.token_count, g.account_key AS account_id, g.tool_key AS tool, g.application_id::text AS application_id
FROM runledger.closed_runs AS line
LEFT JOIN runledger.settlements AS s ON s.id = line.settlement_id
LEFT JOIN runledger.generations AS g ON g.id = line.generation_id AND NOT s.row_is_gone;
COMMENT ON VIEW runledger.closed_runs_v1 IS
    'The lines of the closed months: each run as it was settled when its month was closed. Only run_id, telegram_chat_id, account_id, tool and application_id are looked up as they are now, so that a person can be forgotten.';
COMMENT ON COLUMN runledger.closed_runs_v1.period IS 'The closed month.';
COMMENT ON COLUMN runledger.closed_runs_v1.settlement_id IS 'The settlement that the line was copied from.';
COMMENT ON COLUMN runledger.closed_runs_v1.generation_id IS 'The row that was settled.';
COMMENT ON COLUMN runledger.closed_runs_v1.run_id IS 'The provider''s id of the run, or the pseudonym of a forgotten one.';
COMMENT ON COLUMN runledger.closed_runs_v1.telegram_chat_id IS
    'The chat that the row names now; NULL: none, or the row was deleted or its person forgotten.';
COMMENT ON COLUMN runledger.closed_runs_v1.finished_at IS 'When the run''s ending was received.';
COMMENT ON COLUMN runledger.closed_runs_v1.status IS 'completed, failed or cancelled, or the status that the application had written itself.';
COMMENT ON COLUMN runledger.closed_runs_v1.duration_ms IS 'Milliseconds; NULL: unknown.';
COMMENT ON COLUMN runledger.closed_runs_v1.gpu IS 'metadata.gpu when it was settled; NULL: none.';
COMMENT ON COLUMN runledger.closed_runs_v1.rate_amount IS 'US dollars per rate_unit; NULL: no usable rate.';
COMMENT ON COLUMN runledger.closed_runs_v1.rate_unit IS 'The unit of the rate; NULL: no usable rate.';
COMMENT ON COLUMN runledger.closed_runs_v1.cost_usd IS 'US dollars; NULL: nothing is charged, or the cost is unknown.';
COMMENT ON COLUMN runledger.closed_runs_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';
COMMENT ON COLUMN runledger.closed_runs_v1.token_count IS
    'metadata.tokenCount as copied with a rate whose unit is token; NULL: the rate has another unit, or there is none.';
COMMENT ON COLUMN runledger.closed_runs_v1.account_id IS 'The account that the row names now; NULL: none, or the row was deleted or forgotten.';
COMMENT ON COLUMN runledger.closed_runs_v1.tool IS 'The tool that the row names now; NULL: none, or the row was deleted.';
COMMENT ON COLUMN runledger.closed_runs_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
