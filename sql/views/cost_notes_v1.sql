CREATE OR REPLACE VIEW runledger.cost_notes_v1 AS
SELECT g.cost_note, count(*) AS generations, count(*) FILTER (WHERE g.cost_usd IS NULL) AS without_cost,
       min(g.response_timestamp) AS first_at, max(g.response_timestamp) AS last_at
FROM runledger.generations AS g
WHERE g.cost_note IS NOT NULL
GROUP BY g.cost_note;
COMMENT ON VIEW runledger.cost_notes_v1 IS
    'How many generations have each cost_note, how many of them have no cost, and when the first and the last of their runs ended. docs/dba.md, "Money and time", explains the notes.';
COMMENT ON COLUMN runledger.cost_notes_v1.cost_note IS 'The note; docs/dba.md lists the words.';
COMMENT ON COLUMN runledger.cost_notes_v1.generations IS 'How many generations have it.';
COMMENT ON COLUMN runledger.cost_notes_v1.without_cost IS 'How many of them have no cost.';
COMMENT ON COLUMN runledger.cost_notes_v1.first_at IS 'When the first of their runs ended.';
COMMENT ON COLUMN runledger.cost_notes_v1.last_at IS 'When the last of them ended.';
