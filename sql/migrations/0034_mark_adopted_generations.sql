-- Rows that were there before the ledger was: settled like any, but nobody is told of them.
ALTER TABLE runledger.generations ADD COLUMN IF NOT EXISTS adopted_at timestamptz;
COMMENT ON COLUMN runledger.generations.adopted_at IS
    'When `runledger migrate --adopt` took the row over with its table: nobody is notified of it. NULL: it was inserted into the ledger. Written by migrate.';

CREATE FUNCTION runledger.skip_notification_of_adopted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM runledger.generations WHERE id = NEW.generation_id AND adopted_at IS NOT NULL) THEN
        NEW.state := 'skipped';
        NEW.last_error := 'the generation is older than the adoption of its table';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runledger.skip_notification_of_adopted() IS
    'Turns a notification of a generation that was adopted with its table into a skipped one.';
CREATE TRIGGER notifications_skip_adopted
    BEFORE INSERT ON runledger.notifications
    FOR EACH ROW WHEN (NEW.state = 'pending')
    EXECUTE FUNCTION runledger.skip_notification_of_adopted();
