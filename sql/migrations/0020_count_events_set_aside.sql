-- How many events each batch and each row of quarantine stands for, so that the books can be added up from either side.
ALTER TABLE runledger.ingested_batches
    ADD COLUMN quarantined_count integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT ingested_batches_quarantined_count_is_a_part
        CHECK (quarantined_count BETWEEN 0 AND event_count);
COMMENT ON COLUMN runledger.ingested_batches.quarantined_count IS
    'How many of its events went to quarantine; the others are in webhook_events.';
UPDATE runledger.ingested_batches AS b SET quarantined_count = q.events
    FROM (SELECT segment_id, batch_number, count(*) AS events
          FROM runledger.quarantine WHERE scope = 'event' GROUP BY segment_id, batch_number) AS q
    WHERE b.segment_id = q.segment_id AND b.batch_number = q.batch_number;

ALTER TABLE runledger.quarantine
    ADD COLUMN batch_event_count integer,
    ADD CONSTRAINT quarantine_batch_event_count_is_of_a_batch CHECK (batch_event_count IS NULL OR scope = 'batch');
COMMENT ON COLUMN runledger.quarantine.batch_event_count IS
    'How many events a whole batch held that was set aside; NULL for the other scopes.';
-- It was not kept so far, but the bodies stand a line each.
UPDATE runledger.quarantine
    SET batch_event_count = octet_length(content) - length(replace(convert_from(content, 'LATIN1'), E'\n', ''))
    WHERE scope = 'batch';

CREATE FUNCTION runledger.events_set_aside(q runledger.quarantine) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE q.scope WHEN 'event' THEN 1 WHEN 'batch' THEN coalesce(q.batch_event_count, 0) ELSE 0 END;
COMMENT ON FUNCTION runledger.events_set_aside(runledger.quarantine) IS
    'How many events stand in this row and in none of webhook_events: 1 for an event, all of a batch''s, 0 for an output.';
