-- An adopted table may have a unique index on id that is no primary key.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = 'runledger.generations'::regclass AND indisprimary)
       AND (SELECT relreplident FROM pg_catalog.pg_class WHERE oid = 'runledger.generations'::regclass) = 'd' THEN
        ALTER TABLE runledger.generations REPLICA IDENTITY FULL;
    END IF;
END
$$;
-- Apart from the table, so that an adopted one is filled before. An index that was built concurrently before this comes
-- is taken as it is.
CREATE INDEX IF NOT EXISTS generations_telegram_chat_id_idx ON runledger.generations (telegram_chat_id)
    WHERE telegram_chat_id IS NOT NULL;
COMMENT ON INDEX runledger.generations_telegram_chat_id_idx IS
    'Finds everything about a person: to forget one, and for the costs of a chat.';
CREATE INDEX IF NOT EXISTS generations_costs_by_day_idx ON runledger.generations (response_timestamp)
    INCLUDE (id, status, telegram_chat_id, duration_ms, cost_usd, account_key, tool_key)
    WHERE response_timestamp IS NOT NULL;
COMMENT ON INDEX runledger.generations_costs_by_day_idx IS
    'Costs of a period, read from the index alone: a month of ten million generations in a third of a second. Because of it no update by settle is HOT: docs/dba.md says what that costs.';
CREATE INDEX IF NOT EXISTS generations_costs_by_chat_idx ON runledger.generations (telegram_chat_id, response_timestamp)
    INCLUDE (status, duration_ms, cost_usd) WHERE telegram_chat_id IS NOT NULL;
COMMENT ON INDEX runledger.generations_costs_by_chat_idx IS
    'One chat''s costs over any time, read from the index alone; and all rows of a chat.';
-- What went wrong is little among much: a partial index, which only those rows are in.
CREATE INDEX IF NOT EXISTS generations_cost_note_idx ON runledger.generations (cost_note, response_timestamp)
    INCLUDE (cost_usd) WHERE cost_note IS NOT NULL;
COMMENT ON INDEX runledger.generations_cost_note_idx IS
    'Finds the generations with one note, by time; cost_notes_v1 reads only the index.';
CREATE INDEX IF NOT EXISTS generations_unheard_idx ON runledger.generations (request_timestamp, id)
    WHERE status IN ('pending', 'processing') AND run_id IS NOT NULL;
COMMENT ON INDEX runledger.generations_unheard_idx IS
    'Reconcile reads the generations that have not ended, by age, and looks for those without any event of their run.';
CREATE INDEX IF NOT EXISTS generations_group_idx ON runledger.generations (group_key) WHERE group_key IS NOT NULL;
COMMENT ON INDEX runledger.generations_group_idx IS 'Finds the members of a group: whether it has ended, and its costs.';
CREATE INDEX IF NOT EXISTS generations_request_timestamp_idx ON runledger.generations
    USING brin (request_timestamp) WITH (autosummarize = on);
COMMENT ON INDEX runledger.generations_request_timestamp_idx IS
    'Finds the rows of the last days, for misspelt_metadata_v1 and unusable_metadata_v1. BRIN: an INSERT writes to it once in many pages.';
