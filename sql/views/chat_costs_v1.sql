CREATE OR REPLACE VIEW runledger.chat_costs_v1 AS
SELECT d.day, sums.telegram_chat_id, sums.generations, sums.completed, sums.failed, sums.cancelled, sums.priced,
       sums.unpriced, sums.duration_ms, sums.cost_usd
FROM runledger.report_days_v1 AS d
CROSS JOIN LATERAL (
    SELECT g.telegram_chat_id,
           count(*) AS generations,
           count(*) FILTER (WHERE g.status = 'completed') AS completed,
           count(*) FILTER (WHERE g.status = 'failed') AS failed,
           count(*) FILTER (WHERE g.status = 'cancelled') AS cancelled,
           count(g.cost_usd) AS priced,
           count(*) FILTER (WHERE g.status = 'completed' AND g.cost_usd IS NULL) AS unpriced,
           sum(g.duration_ms) AS duration_ms,
           sum(g.cost_usd) AS cost_usd
    FROM runledger.generations AS g
    WHERE g.response_timestamp >= d.begins_at AND g.response_timestamp < d.ends_at
    GROUP BY g.telegram_chat_id) AS sums;
COMMENT ON VIEW runledger.chat_costs_v1 IS
    'What each chat cost on each day, exactly: a row for each chat and day with an ending; add them up for longer. Days as in day_costs_v1.';
COMMENT ON COLUMN runledger.chat_costs_v1.day IS 'The day, by the time zone that runledger.report_time_zone() tells.';
COMMENT ON COLUMN runledger.chat_costs_v1.telegram_chat_id IS
    'The chat that was to be told; negative for groups; NULL: those without one.';
COMMENT ON COLUMN runledger.chat_costs_v1.generations IS 'How many ended, however they did.';
COMMENT ON COLUMN runledger.chat_costs_v1.completed IS 'How many of them succeeded.';
COMMENT ON COLUMN runledger.chat_costs_v1.failed IS 'How many failed or timed out; nothing is charged for them.';
COMMENT ON COLUMN runledger.chat_costs_v1.cancelled IS 'How many were cancelled; nothing is charged for them.';
COMMENT ON COLUMN runledger.chat_costs_v1.priced IS 'How many have a cost, which cost_usd adds up.';
COMMENT ON COLUMN runledger.chat_costs_v1.unpriced IS
    'How many succeeded without a known cost: the true sum is higher by what they cost.';
COMMENT ON COLUMN runledger.chat_costs_v1.duration_ms IS
    'Milliseconds that they ran, failed and cancelled ones too, where that is known; exact. NULL: it is known of none.';
COMMENT ON COLUMN runledger.chat_costs_v1.cost_usd IS 'US dollars: the exact sum of the known costs. NULL: none is known.';
