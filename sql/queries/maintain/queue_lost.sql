-- $1 timestamptz and $2 text: after which run, by (changed_at, run_id); $3 how many to read at most; $4 integer days to
-- look back. Of the runs that ended, those that have a generation and are neither settled nor queued, though none should
-- be, are queued again, whatever has removed their entry. Returns the last run that was read, how many were, how many
-- were queued, and one of these; no row if there was none to read.
WITH read AS MATERIALIZED (
    SELECT run_id, changed_at FROM runledger.runs
    WHERE terminal_status IS NOT NULL AND changed_at < now() - interval '10 minutes'
      AND changed_at > now() - $4::integer * interval '1 day' AND changed_at >= $1::timestamptz AND (changed_at, run_id) > ($1::timestamptz, $2::text)
    ORDER BY changed_at, run_id
    LIMIT $3::integer
),
unsettled AS MATERIALIZED (
    -- As an array and not as joins: the planner takes it for a few rows, and reads each by its index.
    SELECT g.run_id FROM unnest(ARRAY(SELECT run_id FROM read)) AS ended (run_id)
    JOIN runledger.generations AS g ON g.run_id = ended.run_id
    WHERE (SELECT true FROM runledger.settlements AS s
           WHERE s.generation_id = g.id AND s.run_id = g.run_id AND NOT s.row_is_gone LIMIT 1) IS NULL
      -- A row that was edited by hand keeps the result of the run that it named before. Once the audit says so, settling
      -- does nothing until the edit is undone.
      AND CASE (SELECT newest.outcome FROM runledger.settlements AS newest
                WHERE newest.generation_id = g.id AND NOT newest.row_is_gone ORDER BY newest.id DESC LIMIT 1)
          WHEN 'edited_by_hand' THEN NOT runledger.keeps_edit(g, runledger.last_settlement(g.id))
          ELSE true END
),
queued AS (
    INSERT INTO runledger.settle_queue (run_id)
    SELECT u.run_id FROM unsettled AS u
    -- By its index, and not by an anti join, which would walk all entries that a long snapshot keeps from vacuum.
    WHERE (SELECT q.run_id FROM runledger.settle_queue AS q WHERE q.run_id = u.run_id LIMIT 1) IS NULL
    RETURNING run_id
)
SELECT changed_at, run_id, (SELECT count(*) FROM read) AS rows_read, (SELECT count(*) FROM queued) AS runs_queued,
       (SELECT min(run_id) FROM queued) AS one_queued
FROM read ORDER BY changed_at DESC, run_id DESC LIMIT 1
