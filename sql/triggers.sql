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

-- Before the settlements have their numbers, and when they are written: each is in a closed month or corrects it.
CREATE OR REPLACE TRIGGER settlements_hold_periods
    BEFORE INSERT ON runledger.settlements
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.hold_periods();
CREATE OR REPLACE TRIGGER settlements_post_corrections AFTER INSERT ON runledger.settlements
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION runledger.post_corrections();

-- What a closed month says stays.
CREATE OR REPLACE TRIGGER closed_periods_stay BEFORE UPDATE OR DELETE ON runledger.closed_periods
    FOR EACH ROW EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER closed_periods_stay_whole BEFORE TRUNCATE ON runledger.closed_periods
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER closed_runs_stay BEFORE UPDATE OR DELETE ON runledger.closed_runs
    FOR EACH ROW EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER closed_runs_stay_whole BEFORE TRUNCATE ON runledger.closed_runs
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER corrections_stay BEFORE UPDATE OR DELETE ON runledger.corrections
    FOR EACH ROW EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER corrections_stay_whole BEFORE TRUNCATE ON runledger.corrections
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
