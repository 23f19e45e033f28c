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

-- Another row may get the id of a deleted one.
CREATE OR REPLACE TRIGGER generations_leave_id_on_delete AFTER DELETE ON runledger.generations
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION runledger.leave_id_of_deleted_rows();
CREATE OR REPLACE TRIGGER generations_leave_id_on_truncate AFTER TRUNCATE ON runledger.generations
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.leave_all_ids();

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

-- A group is looked at again if one of its members comes, goes, ends or is open again. A generation without a group
-- costs the condition.
CREATE OR REPLACE TRIGGER generations_queue_group_on_insert
    AFTER INSERT ON runledger.generations
    FOR EACH ROW WHEN (NEW.group_key IS NOT NULL)
    EXECUTE FUNCTION runledger.queue_group();
CREATE OR REPLACE TRIGGER generations_queue_group_on_update
    AFTER UPDATE ON runledger.generations
    FOR EACH ROW WHEN ((OLD.group_key IS NOT NULL OR NEW.group_key IS NOT NULL)
                       AND (OLD.group_key IS DISTINCT FROM NEW.group_key OR OLD.group_size IS DISTINCT FROM NEW.group_size
                            OR (OLD.status IN ('pending', 'processing')) <> (NEW.status IN ('pending', 'processing'))))
    EXECUTE FUNCTION runledger.queue_group();
CREATE OR REPLACE TRIGGER generations_queue_group_on_delete
    AFTER DELETE ON runledger.generations
    FOR EACH ROW WHEN (OLD.group_key IS NOT NULL)
    EXECUTE FUNCTION runledger.queue_group();

-- News for the application. Deferred: the lock that gives them their numbers is taken at COMMIT, behind all others.
DROP TRIGGER IF EXISTS notifications_tell_unsent ON runledger.notifications;
CREATE CONSTRAINT TRIGGER notifications_tell_unsent
    AFTER UPDATE ON runledger.notifications DEFERRABLE INITIALLY DEFERRED
    -- Progress that is not delivered is no news: later progress takes its row.
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND NEW.kind <> 'progress'
                       AND (NEW.state IN ('dead', 'uncertain')
                            OR NEW.state = 'skipped' AND NEW.last_error LIKE 'waited past not_after%'))
    EXECUTE FUNCTION runledger.tell_unsent();
DROP TRIGGER IF EXISTS telegram_chats_tell_refused_on_insert ON runledger.telegram_chats;
CREATE CONSTRAINT TRIGGER telegram_chats_tell_refused_on_insert
    AFTER INSERT ON runledger.telegram_chats DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.refused_at IS NOT NULL)
    EXECUTE FUNCTION runledger.tell_refused_chat();
DROP TRIGGER IF EXISTS telegram_chats_tell_refused_on_update ON runledger.telegram_chats;
CREATE CONSTRAINT TRIGGER telegram_chats_tell_refused_on_update
    AFTER UPDATE ON runledger.telegram_chats DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.refused_at IS DISTINCT FROM OLD.refused_at AND NEW.refused_at IS NOT NULL)
    EXECUTE FUNCTION runledger.tell_refused_chat();
DROP TRIGGER IF EXISTS settle_queue_tell_refused ON runledger.settle_queue;
CREATE CONSTRAINT TRIGGER settle_queue_tell_refused
    AFTER UPDATE ON runledger.settle_queue DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.last_error LIKE 'failed:%' AND NEW.last_error IS DISTINCT FROM OLD.last_error)
    EXECUTE FUNCTION runledger.tell_refused_settlement();

DROP TRIGGER IF EXISTS settlements_tell_edited ON runledger.settlements;
CREATE CONSTRAINT TRIGGER settlements_tell_edited
    AFTER INSERT ON runledger.settlements DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.outcome = 'edited_by_hand')
    EXECUTE FUNCTION runledger.tell_edited();

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
CREATE OR REPLACE TRIGGER closed_runs_are_complete AFTER INSERT ON runledger.closed_runs
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_line_of_closed_period();
CREATE OR REPLACE TRIGGER corrections_come_into_open_months AFTER INSERT ON runledger.corrections
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_correction_in_closed_period();
CREATE OR REPLACE TRIGGER corrections_stay BEFORE UPDATE OR DELETE ON runledger.corrections
    FOR EACH ROW EXECUTE FUNCTION runledger.refuse_change_of_closed_period();
CREATE OR REPLACE TRIGGER corrections_stay_whole BEFORE TRUNCATE ON runledger.corrections
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.refuse_change_of_closed_period();

-- The words of an adopted application: those of the table are in force, whoever changes it.
CREATE OR REPLACE TRIGGER status_words_come_into_force
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON runledger.status_words
    FOR EACH STATEMENT EXECUTE FUNCTION runledger.use_changed_status_words();
DO $$
BEGIN
    PERFORM runledger.use_status_words();  -- Of a build that was before this trigger.
END
$$;
