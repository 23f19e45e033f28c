-- Who deletes what the books count is written down, so that they still close, and say what is gone.
CREATE TABLE runledger.ledger_removals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT now(),
    removed_by text NOT NULL DEFAULT session_user,
    from_table text NOT NULL,
    segment_id uuid,
    day date,
    events bigint NOT NULL,
    CONSTRAINT ledger_removals_from_table_is_known CHECK (from_table IN ('webhook_events', 'quarantine', 'runs')),
    CONSTRAINT ledger_removals_name_the_entry
        CHECK (num_nulls(segment_id, day) = CASE from_table WHEN 'runs' THEN 2 ELSE 0 END),
    CONSTRAINT ledger_removals_events_are_positive CHECK (events > 0)
);
COMMENT ON TABLE runledger.ledger_removals IS
    'Events whose rows were deleted, one row a statement, segment and day; written by triggers. A dropped or truncated partition is not here: the books know its days.';
COMMENT ON COLUMN runledger.ledger_removals.id IS 'The order of the deletions.';
COMMENT ON COLUMN runledger.ledger_removals.removed_at IS 'The time of the transaction that deleted them.';
COMMENT ON COLUMN runledger.ledger_removals.removed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.ledger_removals.from_table IS
    'webhook_events or quarantine: rows of it. runs: the events that deleted runs had counted.';
COMMENT ON COLUMN runledger.ledger_removals.segment_id IS 'The segment whose events they were; NULL for runs.';
COMMENT ON COLUMN runledger.ledger_removals.day IS 'The UTC day on which they had been applied or set aside; NULL for runs.';
COMMENT ON COLUMN runledger.ledger_removals.events IS 'How many.';

CREATE FUNCTION runledger.note_removed_events() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'webhook_events' THEN
        INSERT INTO runledger.ledger_removals (from_table, segment_id, day, events)
        SELECT TG_TABLE_NAME, segment_id, (applied_at AT TIME ZONE 'UTC')::date, count(*) FROM gone GROUP BY 2, 3;
    ELSIF TG_TABLE_NAME = 'quarantine' THEN
        INSERT INTO runledger.ledger_removals (from_table, segment_id, day, events)
        SELECT TG_TABLE_NAME, segment_id, (quarantined_at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE scope = 'event') + coalesce(sum(batch_event_count), 0)
        FROM gone WHERE scope <> 'output' GROUP BY 2, 3;
    ELSE
        INSERT INTO runledger.ledger_removals (from_table, events)
        SELECT TG_TABLE_NAME, sum(event_count) FROM gone HAVING sum(event_count) > 0;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.note_removed_events() IS
    'Enters into ledger_removals what a DELETE on webhook_events, quarantine or runs took away. With the rights of its owner, since whoever deletes needs none on the books.';

-- By statement: a DELETE of a month's rows makes a row or two. A DELETE on a partition itself passes by.
CREATE TRIGGER webhook_events_note_removed AFTER DELETE ON runledger.webhook_events
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
CREATE TRIGGER quarantine_note_removed AFTER DELETE ON runledger.quarantine
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
CREATE TRIGGER runs_note_removed AFTER DELETE ON runledger.runs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
