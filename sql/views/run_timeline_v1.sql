-- A condition on run_id reaches each part, where an index has it. Messages are found through the settlement that created
-- them, because their index begins with the generation.
CREATE OR REPLACE VIEW runledger.run_timeline_v1 AS
SELECT g.run_id, g.id AS generation_id, g.request_timestamp AS at, 'requested' AS step, NULL::text AS status,
       NULL::text AS edge, NULL::text AS detail, g.application_id::text AS application_id
FROM runledger.generations AS g
WHERE g.run_id IS NOT NULL
UNION ALL
SELECT e.run_id, NULL, e.received_at, 'received', e.status, e.edge,
       CASE WHEN e.redelivered THEN 'redelivered: the sender''s second or third try' END, NULL
FROM runledger.webhook_events AS e
UNION ALL
SELECT p.run_id, NULL, p.fetched_at, 'reported', p.status, NULL, 'the provider''s answer to a look-up', NULL
FROM runledger.provider_reports AS p
UNION ALL
SELECT s.run_id, s.generation_id, s.settled_at, s.outcome, s.status, NULL, runledger.masked_links(s.why),
       g.application_id::text
FROM runledger.settlements AS s
LEFT JOIN runledger.generations AS g ON g.id = s.generation_id
UNION ALL
SELECT n.run_id, n.generation_id, coalesce(n.sent_at, n.logged_at, n.created_at), 'message ' || n.state,
       CASE n.channel WHEN 'webhook' THEN n.payload #>> '{data,status}'
                      ELSE coalesce(nullif(n.for_status, ''), n.payload ->> 'status') END, NULL,
       concat_ws('; ', replace(n.kind, '_', ' ')
                       || CASE WHEN n.channel = 'webhook' THEN ' to ' || n.webhook_host
                               WHEN n.state = 'elsewhere' THEN ' to ' || n.recipient
                               WHEN n.recipient LIKE '@%' THEN ' to chat ' || n.recipient
                               ELSE coalesce(' to chat ' || n.chat_id, '') END,
                 n.attempts || CASE n.attempts WHEN 1 THEN ' attempt' ELSE ' attempts' END,
                 runledger.masked_links(n.last_error)), g.application_id::text
FROM (SELECT DISTINCT s.run_id, s.generation_id FROM runledger.settlements AS s) AS settled
JOIN runledger.notifications AS n ON n.generation_id = settled.generation_id AND n.run_id = settled.run_id
LEFT JOIN runledger.generations AS g ON g.id = n.generation_id;
COMMENT ON VIEW runledger.run_timeline_v1 IS
    'What happened to a run, a row for each step, from the application''s request to the message. Read it with a condition on run_id, ordered by at. Events whose rows retention has dropped are missing.';
COMMENT ON COLUMN runledger.run_timeline_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.run_timeline_v1.generation_id IS 'The generation that the step is about; NULL: the step is the run''s own.';
COMMENT ON COLUMN runledger.run_timeline_v1.at IS
    'When it happened: by the edge''s clock for received, by the application''s for requested, by the database''s for the others.';
COMMENT ON COLUMN runledger.run_timeline_v1.step IS
    'requested, received (an event), reported (by the provider), an outcome of settlements_v1, or message and its state.';
COMMENT ON COLUMN runledger.run_timeline_v1.status IS 'The status that came with it; NULL: none.';
COMMENT ON COLUMN runledger.run_timeline_v1.edge IS 'The nginx host that received the event; NULL for other steps.';
COMMENT ON COLUMN runledger.run_timeline_v1.detail IS 'What else there is to say, for people; NULL: nothing.';
COMMENT ON COLUMN runledger.run_timeline_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, the row was deleted, or the step is of no generation.';
