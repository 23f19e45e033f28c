-- Each event updates its run's row. As long as no indexed column changes and its page has room, PostgreSQL does so without
-- touching an index (HOT); latest_at changes each time.
DROP INDEX runledger.runs_running_idx;
CREATE INDEX runs_running_idx ON runledger.runs (running_at)
    WHERE terminal_status IS NULL AND running_at IS NOT NULL;
COMMENT ON INDEX runledger.runs_running_idx IS
    'Notify looks for runs whose progress may be told. Not by latest_at, which every event changes.';
ALTER TABLE runledger.runs SET (fillfactor = 70);
