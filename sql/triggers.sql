-- If a generation is inserted or its metadata changes, the run that it names and the one that it named before are
-- queued.
CREATE OR REPLACE TRIGGER generations_queue_settlement_on_insert
    AFTER INSERT ON runledger.generations
    FOR EACH ROW WHEN (NEW.run_id IS NOT NULL)
    EXECUTE FUNCTION runledger.queue_settlement();
CREATE OR REPLACE TRIGGER generations_queue_settlement_on_update
    AFTER UPDATE ON runledger.generations
    FOR EACH ROW WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata AND (NEW.run_id IS NOT NULL OR OLD.run_id IS NOT NULL))
    EXECUTE FUNCTION runledger.queue_settlement();

CREATE OR REPLACE TRIGGER notifications_skip_adopted
    BEFORE INSERT ON runledger.notifications
    FOR EACH ROW WHEN (NEW.state = 'pending')
    EXECUTE FUNCTION runledger.skip_notification_of_adopted();

-- By statement: a DELETE of a month's rows makes a row or two. A DELETE on a partition itself is not noticed.
CREATE OR REPLACE TRIGGER webhook_events_note_removed AFTER DELETE ON runledger.webhook_events
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
CREATE OR REPLACE TRIGGER quarantine_note_removed AFTER DELETE ON runledger.quarantine
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
CREATE OR REPLACE TRIGGER runs_note_removed AFTER DELETE ON runledger.runs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.note_removed_events();
