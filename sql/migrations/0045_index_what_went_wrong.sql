-- What went wrong is little among much: partial indexes, which only those rows are in.
CREATE INDEX IF NOT EXISTS generations_cost_note_idx ON runledger.generations (cost_note, response_timestamp)
    INCLUDE (cost_usd) WHERE cost_note IS NOT NULL;
COMMENT ON INDEX runledger.generations_cost_note_idx IS
    'Which generations have one note, by time; and cost_notes_v1, from the index alone.';
CREATE INDEX notifications_failed_idx ON runledger.notifications (created_at)
    WHERE state IN ('uncertain', 'dead', 'skipped');
COMMENT ON INDEX runledger.notifications_failed_idx IS
    'failed_notifications_v1 reads the few that reached nobody. The other indexes hang on state already, so it costs no HOT update.';
