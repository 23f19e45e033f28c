-- The books: what was received and with what result, even if rows are deleted or replayed later.
CREATE OR REPLACE FUNCTION runledger.events_set_aside(q runledger.quarantine) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE q.scope WHEN 'event' THEN 1 WHEN 'batch' THEN coalesce(q.batch_event_count, 0) ELSE 0 END;
COMMENT ON FUNCTION runledger.events_set_aside(runledger.quarantine) IS
    'Number of events that are in this row and not in webhook_events: 1 for an event, all events of a batch, 0 for an output.';

CREATE OR REPLACE FUNCTION runledger.note_removed_events() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'webhook_events' THEN
        INSERT INTO runledger.ledger_removals (from_table, segment_id, day, events, is_simulated)
        SELECT TG_TABLE_NAME, segment_id, (applied_at AT TIME ZONE 'UTC')::date, count(*),
               bool_and(runledger.is_simulated(run_id))
        FROM gone GROUP BY 2, 3;
    ELSIF TG_TABLE_NAME = 'quarantine' THEN
        INSERT INTO runledger.ledger_removals (from_table, segment_id, day, events, is_simulated)
        SELECT TG_TABLE_NAME, segment_id, (quarantined_at AT TIME ZONE 'UTC')::date,
               count(*) FILTER (WHERE scope = 'event') + coalesce(sum(batch_event_count), 0),
               bool_and(coalesce(runledger.is_simulated(run_id), false))
        FROM gone WHERE scope <> 'output' GROUP BY 2, 3;
    ELSE
        INSERT INTO runledger.ledger_removals (from_table, events, is_simulated)
        SELECT TG_TABLE_NAME, sum(event_count), bool_and(runledger.is_simulated(run_id))
        FROM gone HAVING sum(event_count) > 0;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.note_removed_events() IS
    'Enters in ledger_removals which events a DELETE on webhook_events, quarantine or runs has removed. With its owner''s rights, because the role that deletes needs no rights on the books.';

CREATE OR REPLACE FUNCTION runledger.note_replayed_event(p_segment_id uuid, p_batch_number bigint, p_event_index integer)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO runledger.ledger_replays (segment_id, batch_number, event_index)
    VALUES (p_segment_id, p_batch_number, p_event_index)
$$;
COMMENT ON FUNCTION runledger.note_replayed_event(uuid, bigint, integer) IS
    'Call it in the transaction that stores a quarantined event under its own name in webhook_events, so that the books still close. An event can''t be replayed twice.';
