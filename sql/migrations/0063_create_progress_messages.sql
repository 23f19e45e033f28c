-- The message that tells how a run is getting on, one a run, while there is no ending to tell.
CREATE TABLE runledger.progress_messages (
    run_id text COLLATE "C" PRIMARY KEY,
    generation_id bigint NOT NULL,
    chat_id bigint NOT NULL,
    message_id bigint,
    told_of timestamptz NOT NULL,
    called_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX runs_running_idx ON runledger.runs (latest_at)
    WHERE terminal_status IS NULL AND running_at IS NOT NULL;
COMMENT ON INDEX runledger.runs_running_idx IS 'Notify looks for runs whose progress may be told.';
COMMENT ON TABLE runledger.progress_messages IS
    'The progress message of each run that has one, where [telegram] progress is on. A row goes when its message is deleted, after the ending was told. Written by the daemon.';
COMMENT ON COLUMN runledger.progress_messages.run_id IS 'The run it tells of.';
COMMENT ON COLUMN runledger.progress_messages.generation_id IS 'Its generation: the ending''s notification is found by it.';
COMMENT ON COLUMN runledger.progress_messages.chat_id IS 'Telegram''s chat.';
COMMENT ON COLUMN runledger.progress_messages.message_id IS
    'Telegram''s id of the message, to edit and delete it; NULL while it is being sent, and where the answer was lost: then it stays.';
COMMENT ON COLUMN runledger.progress_messages.told_of IS 'runs.latest_at of what was told last: later news are told next.';
COMMENT ON COLUMN runledger.progress_messages.called_at IS
    'When the last call was begun: the next is not made before [telegram] progress_interval_ms, by any daemon.';
