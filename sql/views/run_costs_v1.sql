CREATE OR REPLACE VIEW runledger.run_costs_v1 AS
SELECT g.id AS generation_id, g.run_id, g.status, g.request_timestamp, g.response_timestamp, g.duration_ms,
       g.cost_usd, g.cost_note, s.rate_amount, s.rate_unit, s.duration_clock, s.running_at, s.finished_at,
       s.rate_source, s.gpu, g.telegram_chat_id, runledger.masked_links(g.status_reason) AS status_reason,
       s.token_count, g.application_id::text AS application_id, g.application_status::text AS application_status
FROM runledger.generations AS g
LEFT JOIN LATERAL (
    SELECT * FROM runledger.settlements AS audit
    WHERE audit.generation_id = g.id AND audit.outcome <> 'edited_by_hand' AND NOT audit.row_is_gone
    ORDER BY audit.id DESC LIMIT 1) AS s ON true;
COMMENT ON VIEW runledger.run_costs_v1 IS
    'Cost of each generation, with the rate, the instants and the clock that it was computed from. Times are UTC instants; cost in US dollars.';
COMMENT ON COLUMN runledger.run_costs_v1.rate_source IS
    'metadata: the application gave the rate. gpu_rates: it came from that table. NULL: no usable rate.';
COMMENT ON COLUMN runledger.run_costs_v1.gpu IS 'metadata.gpu when the row was settled; NULL: there was none.';
COMMENT ON COLUMN runledger.run_costs_v1.generation_id IS
    'The application''s handle for the row; if it has an application_id, the ledger''s number of it.';
COMMENT ON COLUMN runledger.run_costs_v1.run_id IS 'The provider''s id of the run; NULL while the application has stored none.';
COMMENT ON COLUMN runledger.run_costs_v1.status IS 'pending, processing, completed, failed or cancelled.';
COMMENT ON COLUMN runledger.run_costs_v1.request_timestamp IS 'When the application asked.';
COMMENT ON COLUMN runledger.run_costs_v1.response_timestamp IS 'When the edge received the run''s ending; NULL until then.';
COMMENT ON COLUMN runledger.run_costs_v1.duration_ms IS
    'Milliseconds from the first running to the ending, exact to the microsecond; NULL if it is unknown.';
COMMENT ON COLUMN runledger.run_costs_v1.cost_usd IS
    'US dollars, 12 decimals; NULL if nothing is charged or the cost is unknown: see cost_note.';
COMMENT ON COLUMN runledger.run_costs_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';
COMMENT ON COLUMN runledger.run_costs_v1.rate_amount IS 'US dollars per rate_unit, as copied at the settlement; NULL: no usable rate.';
COMMENT ON COLUMN runledger.run_costs_v1.rate_unit IS 'second, minute, hour, run, request or token; NULL: no usable rate.';
COMMENT ON COLUMN runledger.run_costs_v1.duration_clock IS
    'boottime: both instants from one boot of one edge, immune to clock steps. realtime: from wall clocks. provider: the provider''s own times. application: as the application wrote it. NULL: no duration.';
COMMENT ON COLUMN runledger.run_costs_v1.running_at IS 'The instant that the duration counts from; NULL: none was received.';
COMMENT ON COLUMN runledger.run_costs_v1.finished_at IS 'The instant that it counts to; NULL: not settled.';
COMMENT ON COLUMN runledger.run_costs_v1.telegram_chat_id IS 'The chat; negative for groups; NULL: none, or malformed.';
COMMENT ON COLUMN runledger.run_costs_v1.status_reason IS
    'What is known about why it failed or was cancelled, its links masked; NULL for other statuses.';
COMMENT ON COLUMN runledger.run_costs_v1.token_count IS
    'metadata.tokenCount as copied with a rate whose unit is token; NULL: the rate has another unit, or there is none.';
COMMENT ON COLUMN runledger.run_costs_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key.';
COMMENT ON COLUMN runledger.run_costs_v1.application_status IS
    'The application''s own word for the status, if its table was adopted with such words; NULL: it has none.';
