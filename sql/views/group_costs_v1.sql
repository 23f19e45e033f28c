CREATE OR REPLACE VIEW runledger.group_costs_v1 AS
SELECT g.group_key AS group_id,
       count(*) AS runs,
       max(g.group_size) AS group_size,
       count(*) FILTER (WHERE runledger.is_ended(g.status)) AS ended,
       count(*) FILTER (WHERE s.outcome <> 'reopened') AS settled,
       count(*) FILTER (WHERE g.status = 'completed') AS completed,
       count(*) FILTER (WHERE g.status = 'failed') AS failed,
       count(*) FILTER (WHERE g.status = 'cancelled') AS cancelled,
       count(g.cost_usd) AS priced,
       count(*) FILTER (WHERE g.status = 'completed' AND g.cost_usd IS NULL) AS unpriced,
       sum(g.duration_ms) AS duration_ms,
       sum(g.cost_usd) AS cost_usd,
       min(g.request_timestamp) AS first_request_at,
       max(g.response_timestamp) AS last_ended_at,
       bool_and(runledger.is_ended(g.status)) AND count(*) >= coalesce(max(g.group_size), 0) AS all_ended,
       (SELECT told.told_at FROM runledger.generation_groups AS told WHERE told.group_key = g.group_key) AS told_at
FROM runledger.generations AS g
LEFT JOIN LATERAL (
    SELECT audit.outcome FROM runledger.settlements AS audit
    WHERE audit.generation_id = g.id AND audit.outcome <> 'edited_by_hand' AND NOT audit.row_is_gone
    ORDER BY audit.id DESC LIMIT 1) AS s ON true
WHERE g.group_key IS NOT NULL
GROUP BY g.group_key;
COMMENT ON VIEW runledger.group_costs_v1 IS
    'Each group of generations, such as a batch or a chain: how many have ended, and the exact cost. Read it with a condition on group_id, for which there is an index. A run that others name as their parent is a member only if it names the group itself.';
COMMENT ON COLUMN runledger.group_costs_v1.group_id IS
    'metadata.groupId or parentRunId of its members, or the keys that runledger.use_metadata_keys has chosen.';
COMMENT ON COLUMN runledger.group_costs_v1.runs IS 'Number of generations in the group so far.';
COMMENT ON COLUMN runledger.group_costs_v1.group_size IS
    'How many there will be: the largest metadata.groupSize of its members; NULL: none says.';
COMMENT ON COLUMN runledger.group_costs_v1.ended IS 'How many of them are completed, failed or cancelled.';
COMMENT ON COLUMN runledger.group_costs_v1.settled IS
    'How many of them have the result of a run. Less than ended: the application has ended the others itself.';
COMMENT ON COLUMN runledger.group_costs_v1.completed IS 'How many are completed.';
COMMENT ON COLUMN runledger.group_costs_v1.failed IS 'How many failed or timed out; they cost nothing.';
COMMENT ON COLUMN runledger.group_costs_v1.cancelled IS 'How many were cancelled; they cost nothing.';
COMMENT ON COLUMN runledger.group_costs_v1.priced IS 'How many have a known cost; cost_usd is their sum.';
COMMENT ON COLUMN runledger.group_costs_v1.unpriced IS
    'How many are completed without a known cost: the true sum is higher by their cost.';
COMMENT ON COLUMN runledger.group_costs_v1.duration_ms IS
    'The exact sum of the known durations in milliseconds, including those of failed and cancelled runs. NULL: none is known.';
COMMENT ON COLUMN runledger.group_costs_v1.cost_usd IS 'US dollars: the exact sum of the known costs. NULL: none is known.';
COMMENT ON COLUMN runledger.group_costs_v1.first_request_at IS 'When the application asked for the first of them.';
COMMENT ON COLUMN runledger.group_costs_v1.last_ended_at IS
    'When the last ending so far was received; NULL: none was.';
COMMENT ON COLUMN runledger.group_costs_v1.all_ended IS
    'Whether all have ended, and there are as many as group_size says.';
COMMENT ON COLUMN runledger.group_costs_v1.told_at IS
    'When NOTIFY runledger_group last said that all have ended; NULL: not yet, a member is open again since, or all had ended before the ledger had them.';
