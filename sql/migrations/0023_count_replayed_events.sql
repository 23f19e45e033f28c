-- An event that was quarantined and is stored after all: the books keep saying what became of it first.
CREATE TABLE runledger.ledger_replays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replayed_at timestamptz NOT NULL DEFAULT now(),
    replayed_by text NOT NULL DEFAULT session_user,
    segment_id uuid NOT NULL,
    batch_number bigint NOT NULL,
    event_index integer NOT NULL,
    CONSTRAINT ledger_replays_are_made_once UNIQUE (segment_id, batch_number, event_index)
);
COMMENT ON TABLE runledger.ledger_replays IS
    'Events that stand in webhook_events though they count as quarantined in the books, since an operator had them applied later. Written by note_replayed_event.';
COMMENT ON COLUMN runledger.ledger_replays.id IS 'The order in which they were applied.';
COMMENT ON COLUMN runledger.ledger_replays.replayed_at IS 'The time of the transaction, and so the event''s applied_at.';
COMMENT ON COLUMN runledger.ledger_replays.replayed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.ledger_replays.segment_id IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.ledger_replays.batch_number IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.ledger_replays.event_index IS 'Of the event''s name.';

CREATE FUNCTION runledger.note_replayed_event(p_segment_id uuid, p_batch_number bigint, p_event_index integer)
    RETURNS void LANGUAGE sql AS $$
    INSERT INTO runledger.ledger_replays (segment_id, batch_number, event_index)
    VALUES (p_segment_id, p_batch_number, p_event_index)
$$;
COMMENT ON FUNCTION runledger.note_replayed_event(uuid, bigint, integer) IS
    'To be called in the transaction that stores a quarantined event under its own name in webhook_events, so that the books still close. An event can''t be replayed twice.';
