-- The triggers' functions on generations. They fire in the application's transactions, with the rights of their owner.
CREATE OR REPLACE FUNCTION runledger.queue_settlement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.run_id IS NOT NULL AND runledger.is_forgotten(NEW.run_id) THEN
        -- The application has saved what it had read before. This fires the trigger again, for the pseudonym.
        PERFORM runledger.scrub_generation(NEW.id, TG_OP = 'INSERT');
    ELSIF NEW.run_id IS NOT NULL THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (NEW.run_id);
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.run_id IS NOT NULL AND OLD.run_id IS DISTINCT FROM NEW.run_id
       AND NOT runledger.is_forgotten(OLD.run_id) THEN
        INSERT INTO runledger.settle_queue (run_id) VALUES (OLD.run_id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runledger.queue_settlement() IS
    'Queues the run of a generation that was inserted or whose metadata changed, and the run that it named before, in the application''s own transaction. If the run was forgotten, the row is scrubbed, and names its pseudonym.';
