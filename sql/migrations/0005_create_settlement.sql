-- Settlement: from a run and a generation to a row that a DBA can prove.
CREATE TABLE runledger.settle_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX settle_queue_due_idx ON runledger.settle_queue (due_at, id);
COMMENT ON INDEX runledger.settle_queue_due_idx IS 'Settle takes what is due, oldest first.';
COMMENT ON TABLE runledger.settle_queue IS
    'Runs to be settled or looked at again. Only ever inserted into by its two sources, the daemon''s apply and the trigger on generations, so that neither can wait for a settlement. A run may stand here several times.';
COMMENT ON COLUMN runledger.settle_queue.id IS 'The order of arrival.';
COMMENT ON COLUMN runledger.settle_queue.run_id IS 'The run to settle; neither its run nor its generation need be there yet.';
COMMENT ON COLUMN runledger.settle_queue.queued_at IS 'When the transaction that queued it began.';
COMMENT ON COLUMN runledger.settle_queue.due_at IS 'Not before this moment.';
COMMENT ON COLUMN runledger.settle_queue.attempts IS 'How often settling it was tried in vain.';
COMMENT ON COLUMN runledger.settle_queue.last_error IS 'Why the last attempt was in vain; NULL before the first.';

CREATE TABLE runledger.settlements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    why text NOT NULL,
    status text NOT NULL,
    status_reason text,
    running_at timestamptz,
    finished_at timestamptz NOT NULL,
    duration_us bigint,
    duration_clock text,
    rate_amount numeric,
    rate_unit text,
    cost_usd numeric,
    cost_note text,
    output_count integer NOT NULL,
    before jsonb NOT NULL,
    CONSTRAINT settlements_outcome_is_known CHECK (outcome IN ('settled', 'resettled', 'kept', 'edited_by_hand')),
    CONSTRAINT settlements_duration_clock_is_known CHECK (duration_clock IN ('boottime', 'realtime')),
    CONSTRAINT settlements_clock_iff_duration CHECK ((duration_us IS NULL) = (duration_clock IS NULL)),
    CONSTRAINT settlements_unknown_cost_says_why CHECK (cost_usd IS NOT NULL OR cost_note IS NOT NULL)
);
CREATE INDEX settlements_generation_id_idx ON runledger.settlements (generation_id, id);
COMMENT ON INDEX runledger.settlements_generation_id_idx IS 'Settle reads the last row of a generation; so do people.';
COMMENT ON TABLE runledger.settlements IS
    'The audit: each time a generations row was settled, what was written, what stood there before, and why. Written by the daemon, never changed.';
COMMENT ON COLUMN runledger.settlements.id IS 'The order in which they were made.';
COMMENT ON COLUMN runledger.settlements.generation_id IS 'The row that was settled; no foreign key, since the audit outlives it.';
COMMENT ON COLUMN runledger.settlements.run_id IS 'Its run.';
COMMENT ON COLUMN runledger.settlements.settled_at IS 'The time of the transaction.';
COMMENT ON COLUMN runledger.settlements.outcome IS
    'settled: the first time. resettled: later news changed the result. kept: the application had ended the row itself, its status stands. edited_by_hand: the row no longer says what was settled; reported here, not overwritten.';
COMMENT ON COLUMN runledger.settlements.why IS 'A sentence for people.';
COMMENT ON COLUMN runledger.settlements.status IS 'The generation''s status that was written (or, if edited by hand, would have been).';
COMMENT ON COLUMN runledger.settlements.status_reason IS 'Likewise; NULL where there is nothing to say.';
COMMENT ON COLUMN runledger.settlements.running_at IS 'The instant that the duration counts from; NULL: no running event.';
COMMENT ON COLUMN runledger.settlements.finished_at IS 'The instant that it counts to.';
COMMENT ON COLUMN runledger.settlements.duration_us IS 'Microseconds; NULL where it can''t be known.';
COMMENT ON COLUMN runledger.settlements.duration_clock IS
    'boottime: both instants from one boot of one edge, immune to clock steps. realtime: from wall clocks. NULL: no duration.';
COMMENT ON COLUMN runledger.settlements.rate_amount IS 'US dollars per rate_unit, as copied at the settlement; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.rate_unit IS 'second, minute, hour or run; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.cost_usd IS 'US dollars, 12 decimals; NULL where nothing is charged or it can''t be known.';
COMMENT ON COLUMN runledger.settlements.cost_note IS 'Why cost_usd is NULL, or what to know about it.';
COMMENT ON COLUMN runledger.settlements.output_count IS 'How many outputs the run had.';
COMMENT ON COLUMN runledger.settlements.before IS 'The settled columns as they stood before.';

CREATE FUNCTION runledger.queue_settlement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO runledger.settle_queue (run_id) VALUES (NEW.run_id);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.queue_settlement() IS
    'Queues the run of a generation that was inserted or whose metadata changed, in the application''s own transaction.';

CREATE TRIGGER generations_queue_settlement_on_insert
    AFTER INSERT ON runledger.generations
    FOR EACH ROW WHEN (NEW.run_id IS NOT NULL)
    EXECUTE FUNCTION runledger.queue_settlement();
CREATE TRIGGER generations_queue_settlement_on_update
    AFTER UPDATE ON runledger.generations
    FOR EACH ROW WHEN (NEW.run_id IS NOT NULL AND OLD.metadata IS DISTINCT FROM NEW.metadata)
    EXECUTE FUNCTION runledger.queue_settlement();
