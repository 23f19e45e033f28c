-- A generation that names another run than before is news for both: the old one's settlement is withdrawn.
CREATE OR REPLACE FUNCTION runledger.queue_settlement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.run_id IS NOT NULL THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (NEW.run_id);
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.run_id IS NOT NULL AND OLD.run_id IS DISTINCT FROM NEW.run_id THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (OLD.run_id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.queue_settlement() IS
    'Queues the run of a generation that was inserted or whose metadata changed, and the run that it named before, in the application''s own transaction.';

DROP TRIGGER generations_queue_settlement_on_update ON runledger.generations;
CREATE TRIGGER generations_queue_settlement_on_update
    AFTER UPDATE ON runledger.generations
    FOR EACH ROW WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata AND (NEW.run_id IS NOT NULL OR OLD.run_id IS NOT NULL))
    EXECUTE FUNCTION runledger.queue_settlement();

-- What was slow to fail is tried again apart from the rest, so that it delays nobody.
ALTER TABLE runledger.settle_queue ADD COLUMN is_slow boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN runledger.settle_queue.is_slow IS
    'The last attempt held settle up (a trigger of the application that hangs or waits): tried again by a thread of its own.';
DROP INDEX runledger.settle_queue_due_idx;
CREATE INDEX settle_queue_due_idx ON runledger.settle_queue (is_slow, due_at, id);
COMMENT ON INDEX runledger.settle_queue_due_idx IS 'Each of settle''s two threads takes what is due to it, oldest first.';

-- A generation that was reopened has an ending to tell of each of its runs.
ALTER TABLE runledger.notifications
    DROP CONSTRAINT notifications_are_made_once,
    ADD CONSTRAINT notifications_are_made_once UNIQUE (generation_id, run_id, kind, for_status);
